namespace Declarative.Cli;

/// <summary>What real life gives to a process: its clock and its chance.</summary>
internal sealed record Machine(TimeProvider Time, Random Random)
{
    /// <summary>A Random of its own for one part, so that parts do not share one across threads.</summary>
    public Random NewRandom()
    {
        lock (Random) return new Random(Random.Next());
    }
}
