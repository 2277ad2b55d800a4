namespace Declarative.Tests.Mesos.Replay;

/// <summary>What the recorder did beside its requests: files it made, processes it killed and started.</summary>
/// <param name="At">Seconds since the start of the recording.</param>
internal sealed record Deed(string Recording, double At, Func<ReplayWorld, Task> Do);

internal static class Deeds
{
    public static IEnumerable<Deed> Of(string recording) => All.Where(deed => recording.StartsWith(deed.Recording, StringComparison.Ordinal));

    /// <summary>When the master that stood by has become the leader (13).</summary>
    public const double NewLeaderAt = 25;

    private static readonly IReadOnlyList<Deed> All =
    [
        new("02", 9.8895, world => File.WriteAllTextAsync(Path.Combine(world.RunOf("t-health").Sandbox, "unhealthy"), "")),
        new("08-", 8.5257, world => world.Agent(1).Stop()),
        new("08-", 28.3690, world => world.Agent(1).Start()),
        new("08-", 41.0655, world => world.Agent(1).Restart()),
        new("08-", 54.7355, world => world.Agent(1).Unregister()),
        new("08b", 8.4082, world => world.Agent(1).Stop()),
        new("08b", 107.1837, world => world.Agent(1).Start()),
        new("08b", 119.8579, world => world.Agent(1).Restart()),
        new("08b", 133.6336, world => world.Agent(1).Unregister()),
        new("13", 20.3677, world => world.StopMaster()),
        new("13", NewLeaderAt, world => world.StartOtherMaster()),
        new("14", 1.2517, world => world.StopMaster()),
        new("14", 6.5, world => world.StartMaster()),
        // Agents without ZooKeeper look for their master about once a minute.
        new("14", 69.5, world => world.LetAgentsIn()),
        new("17", 1.2623, world => world.Kill("e1", keeper: true)),
        new("17", 8.5121, world => world.Kill("e2", keeper: false)),
        new("17", 13.9135, world => world.Kill("e-pod", keeper: true)),
    ];
}
