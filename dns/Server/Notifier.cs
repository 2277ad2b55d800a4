using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Declarative.Dns.Wire;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>Tells secondaries of each new version of a zone (NOTIFY, RFC 1996), again with growing pauses until they answer.</summary>
internal sealed class Notifier(IReadOnlyList<IPEndPoint> secondaries, DnsZones zones, TimeProvider time, ILogger logger)
{
    public Task Run(CancellationToken stop) => Task.WhenAll(secondaries.Select(s => Tell(s, stop)));

    private async Task Tell(IPEndPoint secondary, CancellationToken stop)
    {
        var told = new Dictionary<DnsName, uint>();
        var version = 0L;
        try
        {
            while (true)
            {
                await zones.NextVersion(version, stop);
                var snapshot = zones.Cell.Current;
                version = snapshot.Version;
                foreach (var zone in snapshot.Zones.Where(z => !z.Authority.IsShared))
                {
                    if (told.TryGetValue(zone.Apex, out var serial) && serial == zone.Serial)
                        continue;
                    told[zone.Apex] = zone.Serial;
                    if (!await Notify(secondary, zone.Apex, stop))
                        Log.NotNotified(logger, secondary, zone.Apex.ToString());
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
    }

    private async Task<bool> Notify(IPEndPoint secondary, DnsName apex, CancellationToken stop)
    {
        var packet = new byte[Header.Size + NameWire.SizeMax + 4];
        var id = (ushort)RandomNumberGenerator.GetInt32(ushort.MaxValue + 1);
        var length = Query.Write(packet, id, apex.Wire, RecordType.Soa);
        new Header(id, Header.Notify | Header.Authoritative, 1, 0, 0, 0).Write(packet);
        var answer = new byte[Answer.UdpSizeMax];
        for (var (attempt, wait) = (0, TimeSpan.FromSeconds(1)); attempt < DnsLimits.NotifyTriesMax; attempt++, wait *= 2)
        {
            using var limit = new CancellationTokenSource(wait, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
            try
            {
                using var socket = new Socket(secondary.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
                await socket.ConnectAsync(secondary, either.Token);
                await socket.SendAsync(packet.AsMemory(0, length), either.Token);
                var received = await socket.ReceiveAsync(answer, either.Token);
                if (Message.Read(answer.AsSpan(0, received)) is { Header.IsResponse: true } reply && reply.Header.Id == id)
                    return true;
            }
            catch (SocketException)
            {
                await Task.Delay(wait, time, stop); // nobody listens there at the moment
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
                continue; // no answer: again
            }
        }
        return false;
    }
}
