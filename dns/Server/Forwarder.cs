using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Declarative.Dns.Wire;

namespace Declarative.Dns.Server;

/// <summary>
/// Asks other servers for names outside of our zones: in their order until one answers, over TCP where UDP was cut; what they say is kept as
/// long as it may be, and of several that ask the same at once one goes out.
/// </summary>
internal sealed class Forwarder(ForwardOptions options, TimeProvider time)
{
    private readonly (DnsName Zone, IReadOnlyList<IPEndPoint> Servers)[] _zones =
        [.. options.Zones.Select(z => (DnsName.Parse(z.Key), z.Value)).OrderByDescending(z => z.Item1.Wire.Length)];
    private readonly AnswerCache _cache = new(time, DnsLimits.CacheEntriesMax);
    private readonly Lock _gate = new();
    private readonly Dictionary<(DnsName, RecordType), Task<Message?>> _asking = [];

    private long _forwarded;
    private long _hits;
    private long _failed;

    public long Forwarded => Interlocked.Read(ref _forwarded);
    public long Hits => Interlocked.Read(ref _hits);
    public long Failed => Interlocked.Read(ref _failed);
    public int Cached => _cache.Count;

    /// <summary>The answer, from the cache or from another server; null: none of them gives one, or too many are being asked for already.</summary>
    public async Task<Message?> Ask(DnsName name, RecordType type, CancellationToken stop)
    {
        if (_cache.Find(name, type) is { } known)
        {
            Interlocked.Increment(ref _hits);
            return known;
        }
        Task<Message?> asking;
        lock (_gate)
        {
            if (!_asking.TryGetValue((name, type), out asking!))
            {
                if (_asking.Count >= DnsLimits.ForwardsMax)
                    return null;
                _asking[(name, type)] = asking = Fetch(name, type);
            }
        }
        return await asking.WaitAsync(stop);
    }

    private async Task<Message?> Fetch(DnsName name, RecordType type)
    {
        await Task.Yield(); // not under the lock of Ask
        try
        {
            Interlocked.Increment(ref _forwarded);
            foreach (var server in ServersFor(name))
            {
                if (await Exchange(server, name, type) is not { Code: not (ResponseCode.ServFail or ResponseCode.Refused or ResponseCode.NotImp) } answer)
                    continue;
                _cache.Add(name, type, answer);
                return answer;
            }
            Interlocked.Increment(ref _failed);
            return null;
        }
        finally
        {
            lock (_gate)
                _asking.Remove((name, type));
        }
    }

    private IReadOnlyList<IPEndPoint> ServersFor(DnsName name)
    {
        foreach (var (zone, servers) in _zones)
        {
            if (name.IsWithin(zone))
                return servers;
        }
        return options.Resolvers;
    }

    /// <summary>One question to one server; null: no answer to it.</summary>
    private async Task<Message?> Exchange(IPEndPoint server, DnsName name, RecordType type)
    {
        using var limit = new CancellationTokenSource(options.Timeout, time);
        var query = new byte[2 + Header.Size + NameWire.SizeMax + 4 + Opt.Size];
        // A number that nobody guesses, from a port that the system chose: an answer made up by others does not fit (RFC 5452).
        var id = (ushort)RandomNumberGenerator.GetInt32(ushort.MaxValue + 1);
        var length = Query.Write(query.AsSpan(2), id, name.Wire, type, Opt.PayloadSize);
        BinaryPrimitives.WriteUInt16BigEndian(query, (ushort)length);
        try
        {
            using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            await socket.ConnectAsync(server, limit.Token);
            await socket.SendAsync(query.AsMemory(2, length), limit.Token);
            var response = new byte[Opt.PayloadSize];
            while (true)
            {
                var received = await socket.ReceiveAsync(response, limit.Token);
                if (Fits(Message.Read(response.AsSpan(0, received)), id, name, type) is { } answer)
                    return answer.Truncated ? await OverTcp(server, query.AsMemory(0, length + 2), id, name, type, limit.Token) : answer;
            }
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
        {
            return null; // the next server
        }
    }

    private static async Task<Message?> OverTcp(IPEndPoint server, ReadOnlyMemory<byte> query, ushort id, DnsName name, RecordType type, CancellationToken limit)
    {
        using var socket = new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server, limit);
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync(query, limit);
        var size = new byte[2];
        await stream.ReadExactlyAsync(size, limit);
        var response = new byte[BinaryPrimitives.ReadUInt16BigEndian(size)];
        await stream.ReadExactlyAsync(response, limit);
        return Fits(Message.Read(response), id, name, type);
    }

    private static Message? Fits(Message? answer, ushort id, DnsName name, RecordType type) =>
        answer is not null && answer.Header.IsResponse && answer.Header.Id == id && answer.Question.Equals(name) && answer.Type == type ? answer : null;
}
