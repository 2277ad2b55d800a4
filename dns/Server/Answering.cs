using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>
/// One loop's way from packet to answer, and the bulkhead around it: a packet that meets a bug gets SERVFAIL and the loop goes on.
/// </summary>
internal sealed class Answering(DnsZones zones, ServerParts parts, ILogger logger) : IDisposable
{
    private readonly ZoneCell.Reader _reader = zones.Cell.Open();
    private readonly ResponseRate? _rate = parts.NewRate();
    private ZoneSnapshot _snapshot = ZoneSnapshot.Empty;
    private long _now;
    private uint _rotation;

    public Counters Counters { get; } = new();

    /// <summary>Of the present batch.</summary>
    public ZoneSnapshot Snapshot => _snapshot;

    /// <summary>Before a batch of packets.</summary>
    public void Begin()
    {
        _snapshot = _reader.Enter();
        _now = zones.Ticks;
    }

    /// <summary>After the batch's answers are sent.</summary>
    public void End() => _reader.Exit();

    /// <summary>Length of the answer, 0 for none; with what <paramref name="fate"/> says left to do.</summary>
    /// <param name="packet">A message.</param>
    /// <param name="response">Room for the answer.</param>
    /// <param name="stream">Over TCP.</param>
    /// <param name="client">The sender's address, 4 or 16 bytes.</param>
    /// <param name="fate">What is left to do.</param>
    public int Write(ReadOnlySpan<byte> packet, Span<byte> response, bool stream, ReadOnlySpan<byte> client, out AnswerFate fate)
    {
        int length;
        fate = AnswerFate.Done;
        try
        {
            var verdict = _rate is null || stream ? RateVerdict.Answer : Judge(packet, client);
            if (verdict != RateVerdict.Answer)
            {
                Counters.Limited++;
                return verdict == RateVerdict.Drop ? 0 : Answer.Short(packet, response, ResponseCode.NoError, truncated: true);
            }
            var turn = new AnswerTurn(stream, _rotation++, _now) { Forwarding = parts.Forwarder is not null, Cookies = parts.Cookies, Client = client };
            length = Answer.Write(_snapshot, packet, response, turn, out fate);
        }
        catch (Exception e)
        {
            if (Counters.Failures++ == 0)
                Log.PacketFailed(logger, Convert.ToHexString(packet), e);
            length = Answer.Failure(packet, response);
        }
        if (length > 0)
            Counters.Count(response[..length]);
        else if (fate == AnswerFate.Done)
            Counters.Dropped++;
        return length;
    }

    public void Dispose() => zones.Cell.Close(_reader);

    /// <summary>Who shows a cookie of ours has had an answer of ours: the address is not forged.</summary>
    private RateVerdict Judge(ReadOnlySpan<byte> packet, ReadOnlySpan<byte> client)
    {
        Span<byte> name = stackalloc byte[NameWire.SizeMax];
        return Query.Read(packet, name, out var query) == Reading.Query && parts.Cookies.IsOurs(query.Cookie, client, parts.Cookies.Seconds(_now))
            ? RateVerdict.Answer : _rate!.Judge(client, _now);
    }
}
