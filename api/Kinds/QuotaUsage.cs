using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

/// <summary>What one object counts against the ResourceQuotas of its namespace (Kubernetes doc "Resource Quotas").</summary>
public static class QuotaUsage
{
    private const string ClassSuffix = ".storageclass.storage.k8s.io/";

    // Core kinds that have a name of their own beside count/PLURAL.
    private static readonly HashSet<string> Named = ["configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services"];

    /// <summary>The amounts by resource name, in ordinal order: <c>pods</c>, <c>count/deployments.apps</c>, <c>requests.cpu</c> …; empty for a pod that has ended.</summary>
    public static SortedDictionary<string, Quantity> Of(Kind kind, ReadOnlyMemory<byte> json)
    {
        var usage = new SortedDictionary<string, Quantity>(StringComparer.Ordinal);
        var pod = kind == Kind.Pod ? Pod.Read(json) : null;
        if (pod is { IsFinished: true }) return usage;
        Add("count/" + kind.QualifiedPlural, One);
        if (kind.Group.Length == 0 && Named.Contains(kind.Plural)) Add(kind.Plural, One);
        if (pod is not null) OfPod(pod, Add);
        else if (kind == Kind.Service) OfService(Service.Read(json), Add);
        else if (kind is { Group: "", Plural: "persistentvolumeclaims" }) OfClaim(PersistentVolumeClaim.Read(json), Add);
        return usage;

        void Add(string name, Quantity amount) => usage[name] = usage.GetValueOrDefault(name) + amount;
    }

    /// <summary>Whether a quota's scopes select the object. Scopes are about pods alone.</summary>
    public static bool Selects(ResourceQuota quota, Kind kind, ReadOnlyMemory<byte> json)
    {
        var scopes = quota.Spec.ScopeSelector?.MatchExpressions ?? [];
        if (quota.Spec.Scopes.Count == 0 && scopes.Count == 0) return true;
        if (kind != Kind.Pod) return false;
        var pod = Pod.Read(json);
        return quota.Spec.Scopes.All(x => Is(x, pod)) && scopes.All(x => x.ScopeName == "PriorityClass" ? HasPriority(x, pod.Spec.PriorityClassName) : Is(x.ScopeName, pod));
    }

    /// <summary>The compute resources that a quota limits and a container does not state: a pod without them is refused.</summary>
    public static IEnumerable<string> Unstated(ResourceQuota quota, Container container) =>
        from name in quota.Spec.Hard.Keys.Order(StringComparer.Ordinal)
        let at = name.StartsWith("limits.", StringComparison.Ordinal) ? (container.Resources.Limits, name["limits.".Length..])
            : (container.Resources.Requests, name.StartsWith("requests.", StringComparison.Ordinal) ? name["requests.".Length..] : name)
        where at.Item2 is "cpu" or "memory" && !at.Item1.ContainsKey(at.Item2)
        select name;

    private static Quantity One => new(1000);

    private static void OfPod(Pod pod, Action<string, Quantity> add)
    {
        foreach (var container in pod.Spec.Containers)
        {
            foreach (var (name, amount) in container.Resources.Requests)
            {
                add("requests." + name, amount);
                if (name is "cpu" or "memory" or "ephemeral-storage") add(name, amount);
            }
            foreach (var (name, amount) in container.Resources.Limits) add("limits." + name, amount);
        }
    }

    private static void OfService(Service service, Action<string, Quantity> add)
    {
        if (service.Spec.Type == "LoadBalancer") add("services.loadbalancers", One);
        if (service.Spec.Type is "LoadBalancer" or "NodePort") add("services.nodeports", new(1000L * service.Spec.Ports.Count));
    }

    private static void OfClaim(PersistentVolumeClaim claim, Action<string, Quantity> add)
    {
        var storage = claim.Spec.Resources.Requests.GetValueOrDefault("storage");
        add("requests.storage", storage);
        if (claim.Spec.StorageClassName is not { Length: > 0 }) return;
        add(claim.Spec.StorageClassName + ClassSuffix + "requests.storage", storage);
        add(claim.Spec.StorageClassName + ClassSuffix + "persistentvolumeclaims", One);
    }

    private static bool Is(string scope, Pod pod) => scope switch
    {
        "Terminating" => pod.Spec.ActiveDeadlineSeconds is not null,
        "NotTerminating" => pod.Spec.ActiveDeadlineSeconds is null,
        "BestEffort" => IsBestEffort(pod),
        "NotBestEffort" => !IsBestEffort(pod),
        "PriorityClass" => pod.Spec.PriorityClassName.Length > 0,
        _ => false,
    };

    private static bool IsBestEffort(Pod pod) => pod.Spec.Containers.All(x => x.Resources.Requests.Count == 0 && x.Resources.Limits.Count == 0);

    private static bool HasPriority(ScopedResourceSelectorRequirement x, string name) => x.Operator switch
    {
        "In" => x.Values.Contains(name),
        "NotIn" => !x.Values.Contains(name),
        "Exists" => name.Length > 0,
        "DoesNotExist" => name.Length == 0,
        _ => false,
    };
}

public sealed record ResourceQuota : ApiObject
{
    public ResourceQuotaSpec Spec { get; init; } = new();
    public ResourceQuotaStatus Status { get; init; } = new();

    public static new ResourceQuota Read(ReadOnlyMemory<byte> json) => ViewJson.Read<ResourceQuota>(json);
}

public sealed record ResourceQuotaSpec
{
    public IReadOnlyDictionary<string, Quantity> Hard { get; init; } = new Dictionary<string, Quantity>();

    /// <summary>Terminating, NotTerminating, BestEffort, NotBestEffort, PriorityClass.</summary>
    public IReadOnlyList<string> Scopes { get; init; } = [];
    public ScopeSelector? ScopeSelector { get; init; }
}

public sealed record ScopeSelector
{
    public IReadOnlyList<ScopedResourceSelectorRequirement> MatchExpressions { get; init; } = [];
}

public sealed record ScopedResourceSelectorRequirement
{
    public string ScopeName { get; init; } = "";

    /// <summary>In, NotIn, Exists, DoesNotExist.</summary>
    public string Operator { get; init; } = "";
    public IReadOnlyList<string> Values { get; init; } = [];
}

public sealed record ResourceQuotaStatus
{
    public IReadOnlyDictionary<string, Quantity> Hard { get; init; } = new Dictionary<string, Quantity>();
    public IReadOnlyDictionary<string, Quantity> Used { get; init; } = new Dictionary<string, Quantity>();
}
