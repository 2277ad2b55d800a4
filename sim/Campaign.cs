namespace Declarative.Sim;

/// <param name="Jobs">Worlds that run at the same time, each on a thread of its own.</param>
public sealed record CampaignOptions(int FirstSeed, int Seeds, int Jobs)
{
    public SimulationOptions Simulation { get; init; } = new();

    /// <summary>After so many broken seeds no further one is begun.</summary>
    public int FailuresMax { get; init; } = 5;
}

/// <param name="Failures">In the order of seeds.</param>
/// <param name="NeverOccurred">Faults, user actions and controller actions that the campaign should have seen and did not; only said of many seeds.</param>
public sealed record CampaignResult(int Ran, IReadOnlyList<SimulationResult> Failures, Tally Tally, IReadOnlyList<string> NeverOccurred)
{
    public bool Passed => Failures.Count == 0 && NeverOccurred.Count == 0;
}

/// <summary>Many seeds, and what they have shown together.</summary>
public static class Campaign
{
    /// <summary>From so many seeds on everything should have happened at least once.</summary>
    public const int SeedsThatShowAll = 50;

    /// <summary>What the platform does of itself or for its users in the course of any longer campaign.</summary>
    public static IReadOnlyList<string> Expected { get; } =
    [
        .. Enum.GetNames<Fault>().Select(x => "fault " + x),
        .. Enum.GetNames<UserAction>().Select(x => "user " + x),
        "action deployment-controller create replicasets",
        "action deployment-controller patch replicasets",
        "action deployment-controller patch deployments",
        "action deployment-controller patch deployments/status",
        "action deployment-controller delete replicasets",
        "action replicaset-controller create pods",
        "action replicaset-controller delete pods",
        "action replicaset-controller patch replicasets/status",
        "action statefulset-controller create pods",
        "action statefulset-controller delete pods",
        "action statefulset-controller patch statefulsets/status",
        "action statefulset-controller create controllerrevisions",
        "action set makes an ordinal",
        "action job-controller create pods",
        "action job-controller delete pods",
        "action job-controller patch pods",
        "action job-controller patch jobs/status",
        "action job has a success",
        "action endpoints-controller create endpointslices",
        "action endpoints-controller patch endpointslices",
        "action endpoints-controller delete endpointslices",
        "action endpoints-object-controller create endpoints",
        "action endpoints-object-controller patch endpoints",
        "action endpoints-controller create trafficreports",
        "action endpoints-controller patch trafficreports/status",
        "action garbage-collector delete pods",
        "action garbage-collector delete replicasets",
        "action namespace-controller delete deployments",
        "action placement create pods/binding",
        "action placement patch pods/status",
        "action placement delete pods",
        "action placement create nodes",
        "action placement patch nodes/status",
        "action placement create configmaps",
        "action placement create pods/eviction",
        "action placement create events",
        "action placement call Subscribe",
        "action placement call Accept",
        "action placement call Decline",
        "action placement call Kill",
        "action placement call Acknowledge",
        "action placement call Reconcile",
        "action placement call Revive",
        "action placement call Suppress",
        "action lb create trafficreports",
        "action lb patch trafficreports/status",
        "action lb patch services/status",
        "action dns create trafficreports",
        "action dns patch trafficreports/status",
        "client lb-local is sent a request",
        "client lb-local still answers a request",
        "client dns-local is sent a request",
    ];

    /// <param name="parts">Makes the parts of one world.</param>
    /// <param name="onThread">Runs work on a thread of its own: a world is bound to one, and worlds know nothing of each other.</param>
    /// <param name="progress">Told of each seed when it is done, one at a time, from the worlds' threads.</param>
    public static async Task<CampaignResult> Run(CampaignOptions options, Func<SimulatedTraffic, IReadOnlyList<Part>> parts, Func<Action, Task> onThread, Action<SimulationResult>? progress, CancellationToken stop)
    {
        var gate = new Lock();
        var tally = new Tally();
        var failures = new List<SimulationResult>();
        Exception? broken = null;
        var (next, ran) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, Math.Clamp(options.Jobs, 1, Math.Max(1, options.Seeds))).Select(_ => onThread(Work)));
        if (broken is not null) throw new InvalidOperationException("the simulator itself failed", broken);
        var never = ran >= SeedsThatShowAll && failures.Count == 0 ? Expected.Where(x => tally.Of(x) == 0).ToList() : [];
        return new(ran, [.. failures.OrderBy(x => x.Seed)], tally, never);

        void Work()
        {
            while (true)
            {
                int seed;
                lock (gate)
                {
                    if (next >= options.Seeds || failures.Count >= options.FailuresMax || broken is not null || stop.IsCancellationRequested) return;
                    seed = options.FirstSeed + next++;
                }
                try
                {
                    var result = Simulation.Run(seed, parts, options.Simulation);
                    lock (gate)
                    {
                        ran++;
                        tally.Add(result.Tally);
                        if (!result.Passed) failures.Add(result);
                        progress?.Invoke(result);
                    }
                }
                catch (Exception e) // a world that cannot even report: told by the thread that waits for all
                {
                    lock (gate) broken ??= e;
                    return;
                }
            }
        }
    }
}
