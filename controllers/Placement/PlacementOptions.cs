namespace Declarative.Controllers.Placement;

/// <summary>How Placement registers with Mesos and how patient it is.</summary>
public sealed record PlacementOptions
{
    /// <summary>The framework's name; <c>marathon</c> makes DNS names of an existing cluster go on working (architecture.md, decision 9).</summary>
    public string FrameworkName { get; init; } = "declarative";

    /// <summary>
    /// The Mesos role of namespaces that have none of their own (<see cref="MesosRoles"/>). Not <c>*</c> unless wanted: Mesos reserves nothing, and so
    /// makes no persistent volumes, for <c>*</c>.
    /// </summary>
    public string Role { get; init; } = "declarative";

    /// <summary>Roles by namespace; they go before the namespaces' own annotations.</summary>
    public IReadOnlyDictionary<string, string> RoleOf { get; init; } = new Dictionary<string, string>();

    /// <summary>The user that tasks run as where they name none.</summary>
    public string User { get; init; } = Environment.UserName;

    /// <summary>The framework's principal; "" = none.</summary>
    public string Principal { get; init; } = "";

    /// <summary>Mesos keeps the tasks of a framework that is away for this long.</summary>
    public TimeSpan FailoverTimeout { get; init; } = TimeSpan.FromDays(7);

    /// <summary>Who holds Lease kube-system/placement. Processes that may run at the same time need different ones; the same process after a restart the same.</summary>
    public string Identity { get; init; } = "placement";

    /// <summary>An offer that nothing needs is given back after this time.</summary>
    public TimeSpan OfferHold { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a pod whose task ended waits for room on its agent before it becomes Failed/ResourcesTaken.</summary>
    public TimeSpan RestartWait { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Between implicit reconciliations.</summary>
    public TimeSpan ImplicitReconcileEvery { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>API writes in flight at once.</summary>
    public int WritesMax { get; init; } = 64;

    /// <summary>Seconds of Lease kube-system/placement; null = Kubernetes' own defaults.</summary>
    public Client.Reconcile.LeaseOptions? Lease { get; init; }

    /// <summary>Values of <c>spec.schedulerName</c> that Placement places.</summary>
    public IReadOnlyList<string> SchedulerNames { get; init; } = ["", "default-scheduler", "declarative"];
}
