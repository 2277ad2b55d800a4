namespace Declarative.Cli;

/// <summary>What real life gives to a process: its clock, its chance and its threads.</summary>
/// <param name="OnThread">Runs work that blocks on a thread of its own.</param>
internal sealed record Machine(TimeProvider Time, Random Random, Func<Action, Task> OnThread)
{
    /// <summary>A Random of its own for one part, so that parts do not share one across threads.</summary>
    public Random NewRandom()
    {
        lock (Random) return new Random(Random.Next());
    }
}
