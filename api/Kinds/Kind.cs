using System.Collections.Frozen;

namespace Declarative.Api.Kinds;

/// <summary>
/// One row of the table of kinds (<c>kinds.tsv</c>). Adding a kind is adding a row there and, where it needs rules of its own,
/// a strategy in <c>apiserver/Registry/Strategies</c>.
/// </summary>
public class Kind : IEquatable<Kind>
{
    /// <summary>The version of keys of custom objects: they are stored once, whatever versions they are served in.</summary>
    private const string AnyVersion = "*";
    private int _hash; // 0 = not asked for yet

    public required string Group { get; init; }
    public required string Version { get; init; }
    public required string Name { get; init; }
    public required string Plural { get; init; }
    public string Singular { get => field ?? Name.ToLowerInvariant(); init; }

    /// <summary>The kind of a list of them.</summary>
    public string ListName { get => field ?? Name + "List"; init; }
    public IReadOnlyList<string> ShortNames { get; init; } = [];
    public bool Namespaced { get; init; }
    public IReadOnlyList<string> Categories { get; init; } = [];
    public IReadOnlyList<string> Subresources { get; init; } = [];
    public KindSupport Support { get; init; }

    /// <summary>What every answer about this version warns of; null = it is no old one.</summary>
    public virtual string? Deprecation =>
        field ??= Equals(ComponentStatus) ? $"{this} is deprecated in v1.19+" : Newer is { } newer ? $"{this} is deprecated; use {newer}" : null;

    private Kind? Newer => Support == KindSupport.Acts && Version.Contains("beta", StringComparison.Ordinal) ? Find(Group, "v1", Plural) : null;

    /// <summary>What answers about a kind that is only stored warn of; null = it is acted on.</summary>
    public string? WithoutEffect => Support == KindSupport.Stored ? $"{Name}.{ApiVersion} is stored, but nothing acts on it here" : null;

    /// <summary>A row of the table; else a kind that a CustomResourceDefinition makes.</summary>
    public bool IsBuiltIn { get; private init; }

    /// <summary><c>v1</c> or <c>apps/v1</c>.</summary>
    public string ApiVersion => field ??= Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary><c>pods</c> or <c>deployments.apps</c>: the form of error messages.</summary>
    public string QualifiedPlural => Group.Length == 0 ? Plural : $"{Plural}.{Group}";

    public bool Equals(Kind? other) => other is not null && (ReferenceEquals(this, other) || (Group == other.Group && Version == other.Version && Plural == other.Plural));

    public static bool operator ==(Kind? a, Kind? b) => a is null ? b is null : a.Equals(b);

    public static bool operator !=(Kind? a, Kind? b) => !(a == b);

    public override bool Equals(object? obj) => Equals(obj as Kind);

    // A kind is part of every key, and is looked up several times for each request.
    public override int GetHashCode() => _hash != 0 ? _hash : _hash = string.GetHashCode(Plural, StringComparison.Ordinal) ^ string.GetHashCode(Group, StringComparison.Ordinal);

    public override string ToString() => $"{ApiVersion} {Name}";

    /// <summary>All rows in the table's order.</summary>
    public static IReadOnlyList<Kind> All { get; } = ReadTable();

    private static readonly FrozenDictionary<(string Group, string Version, string Plural), Kind> ByPlural =
        All.ToFrozenDictionary(x => (x.Group, x.Version, x.Plural));

    private static readonly FrozenDictionary<(string Group, string Version, string Name), Kind> ByName =
        All.ToFrozenDictionary(x => (x.Group, x.Version, x.Name));

    public static Kind Namespace { get; } = Core("namespaces");
    public static Kind Pod { get; } = Core("pods");
    public static Kind Service { get; } = Core("services");
    public static Kind ConfigMap { get; } = Core("configmaps");
    public static Kind Secret { get; } = Core("secrets");
    public static Kind Node { get; } = Core("nodes");
    public static Kind Event { get; } = Core("events");
    public static Kind Endpoints { get; } = Core("endpoints");
    public static Kind ServiceAccount { get; } = Core("serviceaccounts");
    public static Kind ResourceQuota { get; } = Core("resourcequotas");
    public static Kind LimitRange { get; } = Core("limitranges");
    public static Kind Deployment { get; } = ByPlural[("apps", "v1", "deployments")];
    public static Kind ReplicaSet { get; } = ByPlural[("apps", "v1", "replicasets")];
    public static Kind StatefulSet { get; } = ByPlural[("apps", "v1", "statefulsets")];
    public static Kind DaemonSet { get; } = ByPlural[("apps", "v1", "daemonsets")];
    public static Kind ControllerRevision { get; } = ByPlural[("apps", "v1", "controllerrevisions")];
    public static Kind ReplicationController { get; } = Core("replicationcontrollers");
    public static Kind Job { get; } = ByPlural[("batch", "v1", "jobs")];
    public static Kind CronJob { get; } = ByPlural[("batch", "v1", "cronjobs")];
    public static Kind HorizontalPodAutoscaler { get; } = ByPlural[("autoscaling", "v2", "horizontalpodautoscalers")];
    public static Kind PodMetrics { get; } = ByPlural[("metrics.k8s.io", "v1beta1", "pods")];
    public static Kind EndpointSlice { get; } = ByPlural[("discovery.k8s.io", "v1", "endpointslices")];
    public static Kind Ingress { get; } = ByPlural[("networking.k8s.io", "v1", "ingresses")];
    public static Kind IngressClass { get; } = ByPlural[("networking.k8s.io", "v1", "ingressclasses")];
    public static Kind Lease { get; } = ByPlural[("coordination.k8s.io", "v1", "leases")];
    public static Kind Role { get; } = Rbac("roles");
    public static Kind RoleBinding { get; } = Rbac("rolebindings");
    public static Kind ClusterRole { get; } = Rbac("clusterroles");
    public static Kind ClusterRoleBinding { get; } = Rbac("clusterrolebindings");
    public static Kind PodDisruptionBudget { get; } = ByPlural[("policy", "v1", "poddisruptionbudgets")];
    public static Kind CustomResourceDefinition { get; } = ByPlural[("apiextensions.k8s.io", "v1", "customresourcedefinitions")];
    public static Kind ApiService { get; } = ByPlural[("apiregistration.k8s.io", "v1", "apiservices")];
    public static Kind ComponentStatus { get; } = Core("componentstatuses");
    public static Kind ValidatingWebhookConfiguration { get; } = Admission("validatingwebhookconfigurations");
    public static Kind MutatingWebhookConfiguration { get; } = Admission("mutatingwebhookconfigurations");
    public static Kind ValidatingAdmissionPolicy { get; } = Admission("validatingadmissionpolicies");
    public static Kind ValidatingAdmissionPolicyBinding { get; } = Admission("validatingadmissionpolicybindings");
    public static Kind PersistentVolume { get; } = Core("persistentvolumes");
    public static Kind PersistentVolumeClaim { get; } = Core("persistentvolumeclaims");
    public static Kind StorageClass { get; } = ByPlural[("storage.k8s.io", "v1", "storageclasses")];
    public static Kind TrafficReport { get; } = ByPlural[("declarative.mesos", "v1", "trafficreports")];

    /// <summary>By the words of a URL: <c>/apis/GROUP/VERSION/PLURAL</c>.</summary>
    public static Kind? Find(string group, string version, string plural) => ByPlural.GetValueOrDefault((group, version, plural));

    /// <summary>By the words of an object: <c>apiVersion</c> and <c>kind</c>.</summary>
    public static Kind? FindByName(string apiVersion, string name)
    {
        var slash = apiVersion.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? ByName.GetValueOrDefault(("", apiVersion, name)) : ByName.GetValueOrDefault((apiVersion[..slash], apiVersion[(slash + 1)..], name));
    }

    /// <summary>The kind in the keys of stored custom objects, equal for all versions of one CustomResourceDefinition.</summary>
    public static Kind Stored(string group, string plural) => new() { Group = group, Version = AnyVersion, Plural = plural, Name = "", Namespaced = true };

    /// <summary>The kind of a stored key; null for one that is in no table.</summary>
    public static Kind? FindStored(string group, string version, string plural) => version == AnyVersion ? Stored(group, plural) : Find(group, version, plural);

    private static Kind Admission(string plural) => ByPlural[("admissionregistration.k8s.io", "v1", plural)];

    private static Kind Core(string plural) => ByPlural[("", "v1", plural)];

    private static Kind Rbac(string plural) => ByPlural[("rbac.authorization.k8s.io", "v1", plural)];

    private static List<Kind> ReadTable()
    {
        using var stream = typeof(Kind).Assembly.GetManifestResourceStream("Declarative.Api.Kinds.kinds.tsv")!;
        using var reader = new StreamReader(stream);
        reader.ReadLine(); // column names
        var rows = new List<Kind>();
        while (reader.ReadLine() is { } line)
        {
            var cells = line.Split('\t');
            if (cells.Length < 9 || cells[3].Length == 0) continue; // Scale and Eviction are bodies of subresources
            rows.Add(new Kind
            {
                IsBuiltIn = true,
                Group = cells[0],
                Version = cells[1],
                Name = cells[2],
                Plural = cells[3],
                ShortNames = Words(cells[4]),
                Namespaced = cells[5] == "namespaced",
                Categories = Words(cells[6]),
                Subresources = Words(cells[7]),
                Support = cells[8] switch { "store" => KindSupport.Stored, "review" => KindSupport.Review, _ => KindSupport.Acts },
            });
        }
        return rows;

        static string[] Words(string cell) => cell.Split(',', StringSplitOptions.RemoveEmptyEntries);
    }
}

public enum KindSupport
{
    /// <summary>The platform acts on it or serves it fully.</summary>
    Acts,

    /// <summary>Accepted, validated, stored and served, and answered with a warning that it has no effect here.</summary>
    Stored,

    /// <summary>Created to be answered, never stored.</summary>
    Review,
}
