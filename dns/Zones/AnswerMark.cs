namespace Declarative.Dns.Zones;

/// <summary>
/// When a name was last answered. Versions of a name share one mark until a pod is withdrawn from it; then the next version starts a new
/// one, and the old one tells how long the withdrawn pod's address may still be cached (architecture.md, decision 12).
/// The hot path's share is one plain store; the clock counts tenths of a second since the server's start, 1-based (0: never answered).
/// </summary>
internal sealed class AnswerMark(AnswerMark? previous, long created)
{
    public const int TicksPerSecond = 10;

    // Four bytes hold thirteen years of tenths of a second, and there may be a million marks.
    private readonly uint _created = (uint)created;
    private uint _last;
    private AnswerMark? _previous = previous;

    /// <summary>How many marks hang together.</summary>
    public int Length => 1 + (_previous?.Length ?? 0);

    public void Answered(long now)
    {
        if (_last != (uint)now)
            _last = (uint)now;
    }

    /// <summary>The last answer under this mark or one before it; 0 if there was none that can still be cached.</summary>
    /// <param name="now">Ticks.</param>
    /// <param name="ttlTicks">How long an answer may be cached: marks that ended longer ago are forgotten.</param>
    public long Last(long now, long ttlTicks)
    {
        long latest = 0;
        for (var mark = this; mark is not null; mark = mark._previous)
        {
            // One second on top for answers that were being written when this mark followed the one before.
            if (mark._created + ttlTicks + TicksPerSecond < now)
                mark._previous = null;
            latest = Math.Max(latest, Volatile.Read(ref mark._last));
        }
        return latest;
    }
}
