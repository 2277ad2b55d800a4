using Declarative.Api.Kinds;

namespace Declarative.Client.Reconcile;

/// <summary>What one reconciliation of one key wants done: the writes in their order, when to look again, and what to tell the user.</summary>
public sealed record Plan
{
    public static Plan Nothing { get; } = new();

    public IReadOnlyList<Change> Changes { get; init; } = [];

    /// <summary>Run the key again after this time even if nothing changes; null = only on a change.</summary>
    public TimeSpan? LookAgainIn { get; init; }

    /// <summary>Recorded when all changes have been made.</summary>
    public IReadOnlyList<EventNote> Events { get; init; } = [];

    /// <summary>The event of one change that was made, where it can only be told then (the name of a created object); null = none.</summary>
    public Func<Applied, EventNote?>? Tell { get; init; }

    /// <summary>What to write and tell when the server refused a change. It is tried once, and the key is run again later in any case.</summary>
    public Func<Applied, Plan>? OnRefused { get; init; }
}

/// <summary>An event to be recorded about an object.</summary>
/// <param name="Type">Normal or Warning.</param>
public sealed record EventNote(ObjectReference About, string Type, string Reason, string Message)
{
    public static EventNote Normal(ObjectReference about, string reason, string message) => new(about, "Normal", reason, message);

    public static EventNote Warning(ObjectReference about, string reason, string message) => new(about, "Warning", reason, message);
}
