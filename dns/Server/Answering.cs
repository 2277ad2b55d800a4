using Declarative.Dns.Zones;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>
/// One loop's way from packet to answer, and the bulkhead around it: a packet that meets a bug gets SERVFAIL and the loop goes on.
/// </summary>
internal sealed class Answering(DnsZones zones, ILogger logger) : IDisposable
{
    private readonly ZoneCell.Reader _reader = zones.Cell.Open();
    private ZoneSnapshot _snapshot = ZoneSnapshot.Empty;
    private long _now;
    private uint _rotation;

    public Counters Counters { get; } = new();

    /// <summary>Before a batch of packets.</summary>
    public void Begin()
    {
        _snapshot = _reader.Enter();
        _now = zones.Ticks;
    }

    /// <summary>After the batch's answers are sent.</summary>
    public void End() => _reader.Exit();

    /// <summary>Length of the answer, 0 for none.</summary>
    public int Write(ReadOnlySpan<byte> packet, Span<byte> response, bool stream)
    {
        int length;
        try
        {
            length = Answer.Write(_snapshot, packet, response, new AnswerTurn(stream, _rotation++, _now));
        }
        catch (Exception e)
        {
            if (Counters.Failures++ == 0)
                Log.PacketFailed(logger, Convert.ToHexString(packet), e);
            length = Answer.Failure(packet, response);
        }
        if (length == 0)
            Counters.Dropped++;
        else
            Counters.Count(response[..length]);
        return length;
    }

    public void Dispose() => zones.Cell.Close(_reader);
}
