namespace Declarative.Cli;

/// <summary>What real life gives to a process: its clock and its chance.</summary>
internal sealed record Machine(TimeProvider Time, Random Random)
{
    /// <summary>Runs work that blocks on a thread of its own.</summary>
    public Func<Action, Task> OnThread { get; init; } = static _ => throw new InvalidOperationException("this machine has no threads to give");

    /// <summary>A Random of its own for one part, so that parts do not share one across threads.</summary>
    public Random NewRandom()
    {
        lock (Random) return new Random(Random.Next());
    }
}
