namespace Declarative.Controllers.Deployments;

/// <summary>The annotations that Deployments and their ReplicaSets carry, as kubectl reads them.</summary>
internal static class Annotations
{
    public const string Revision = "deployment.kubernetes.io/revision";

    /// <summary>Earlier revisions of a ReplicaSet that became current again, comma separated.</summary>
    public const string RevisionHistory = "deployment.kubernetes.io/revision-history";

    /// <summary>The Deployment's replicas when the ReplicaSet was last scaled, and with maxSurge: what proportional scaling needs.</summary>
    public const string DesiredReplicas = "deployment.kubernetes.io/desired-replicas";
    public const string MaxReplicas = "deployment.kubernetes.io/max-replicas";

    /// <summary>How many pods a set may still have that was scaled down, until its controller has seen the lower number.</summary>
    public const string ReplicasBefore = "declarative.mesos/replicas-before";

    private const string LastApplied = "kubectl.kubernetes.io/last-applied-configuration";
    private const string RollbackTo = "deprecated.deployment.rollback.to";

    /// <summary>Those of a Deployment that its ReplicaSets do not inherit.</summary>
    public static bool IsOwn(string key) => key is LastApplied or Revision or RevisionHistory or DesiredReplicas or MaxReplicas or ReplicasBefore or RollbackTo;
}
