using Declarative.Dns.Wire;

namespace Declarative.Dns.Server;

/// <summary>What to do with an answer to somebody who may not be who they say.</summary>
internal enum RateVerdict
{
    Answer,
    /// <summary>Only the hint to come over TCP, which nobody can do under a false address.</summary>
    Slip,
    Drop,
}

/// <summary>
/// Limits the answers per second to one network (24 bits of an IPv4 address, 56 of an IPv6 one), so that this server is of no use against a
/// victim whose address is forged. A table of fixed size; networks that share a place share its limit. Used by one thread.
/// </summary>
internal sealed class ResponseRate(int perSecond, int slots)
{
    private readonly (int Second, int Count)[] _slots = new (int, int)[slots];

    /// <param name="address">4 or 16 bytes.</param>
    /// <param name="now">Ticks.</param>
    public RateVerdict Judge(ReadOnlySpan<byte> address, long now)
    {
        var network = address.Length == 4 ? address[..3] : address[..Math.Min(7, address.Length)];
        ref var slot = ref _slots[NameWire.Hash(network) % (uint)_slots.Length];
        var second = (int)(now / Zones.AnswerMark.TicksPerSecond);
        if (slot.Second != second)
            slot = (second, 0);
        slot.Count++;
        return slot.Count <= perSecond ? RateVerdict.Answer : slot.Count % 2 == 0 ? RateVerdict.Slip : RateVerdict.Drop;
    }
}
