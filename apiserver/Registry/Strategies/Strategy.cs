using System.Collections.Frozen;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>What one kind does differently on the generic paths of <see cref="Registry"/>. This base serves kinds without rules of their own.</summary>
internal class Strategy
{
    private static readonly FrozenDictionary<(string Group, string Plural), Strategy> Table = Rows().ToFrozenDictionary(x => (x.Kind.Group, x.Kind.Plural), x => x.Strategy);

    private static readonly Strategy Generic = new();
    private static readonly Strategy GenericWithStatus = new() { HasStatus = true };

    public bool HasStatus { get; protected init; }

    /// <summary>metadata.generation counts changes of what the user wants.</summary>
    public virtual bool HasGeneration => HasStatus;

    /// <summary>The rules of <see cref="Validate"/> hold for writes to status and scale too.</summary>
    public virtual bool ValidatesSubresources => false;

    public virtual int NameCharsMax => Limits.SubdomainCharsMax;

    /// <summary>PUT of an absent object creates it.</summary>
    public virtual bool CreatesOnUpdate => false;

    /// <summary>Dotted paths for field selectors beside metadata.name and metadata.namespace.</summary>
    public virtual IReadOnlyList<string> SelectableFields => [];

    /// <summary>The one table from kind to strategy.</summary>
    private static IEnumerable<(Kind Kind, Strategy Strategy)> Rows() =>
    [
        (Kind.Namespace, new NamespaceStrategy()),
        (Kind.Pod, new PodStrategy()),
        (Kind.Service, new ServiceStrategy()),
        (Kind.Deployment, new DeploymentStrategy()),
        (Kind.ReplicaSet, new ReplicaSetStrategy()),
        (Kind.ConfigMap, new ConfigMapStrategy()),
        (Kind.Secret, new SecretStrategy()),
        (Kind.Event, new EventStrategy()),
        (Kind.Node, new NodeStrategy()),
        (Kind.Lease, new LeaseStrategy()),
        (Kind.EndpointSlice, new EndpointSliceStrategy()),
        (Kind.Endpoints, new EndpointsStrategy()),
        (Find("certificates.k8s.io", "certificatesigningrequests"), new CertificateRequestStrategy()),
        (Kind.Role, new RbacStrategy(Kind.Role)),
        (Kind.RoleBinding, new RbacStrategy(Kind.RoleBinding)),
        (Kind.ClusterRole, new RbacStrategy(Kind.ClusterRole)),
        (Kind.ClusterRoleBinding, new RbacStrategy(Kind.ClusterRoleBinding)),
        (Kind.Ingress, new IngressStrategy()),
        (Kind.IngressClass, new IngressClassStrategy()),
        (Find("", "replicationcontrollers"), new ReplicationControllerStrategy()),
        (Find("", "persistentvolumes"), new PersistentVolumeStrategy()),
        (Find("", "persistentvolumeclaims"), new ClaimStrategy()),
        (Find("apps", "statefulsets"), new StatefulSetStrategy()),
        (Find("apps", "daemonsets"), new DaemonSetStrategy()),
        (Find("batch", "jobs"), new JobStrategy()),
        (Find("batch", "cronjobs"), new CronJobStrategy()),
        (Find("autoscaling", "horizontalpodautoscalers"), new AutoscalerStrategy()),
        (Find("policy", "poddisruptionbudgets"), new DisruptionBudgetStrategy()),
        (Find("networking.k8s.io", "networkpolicies"), new NetworkPolicyStrategy()),
        (Find("scheduling.k8s.io", "priorityclasses"), new PriorityClassStrategy()),
        (Find("storage.k8s.io", "storageclasses"), new StorageClassStrategy()),
        (Find("storage.k8s.io", "volumeattachments"), new ImmutableStrategy("spec", "attacher", "attacher", "nodeName", "source") { WithStatus = true }),
        (Find("storage.k8s.io", "csidrivers"), new ImmutableStrategy("spec", "", "attachRequired", "fsGroupPolicy", "volumeLifecycleModes")),
        (Find("node.k8s.io", "runtimeclasses"), new ImmutableStrategy("", "handler", "handler")),
        (Find("apps", "controllerrevisions"), new ImmutableStrategy("", "", "data")),
        (Kind.ApiService, new ApiServiceStrategy()),
        (Kind.ResourceQuota, new Admission.Amounts.ResourceQuotaStrategy()),
        (Kind.LimitRange, new Admission.Amounts.LimitRangeStrategy()),
        (Kind.MutatingWebhookConfiguration, new Admission.Webhooks.WebhookConfigurationStrategy(mutating: true)),
        (Kind.ValidatingWebhookConfiguration, new Admission.Webhooks.WebhookConfigurationStrategy(mutating: false)),
        (Kind.ValidatingAdmissionPolicy, new Admission.Policies.PolicyStrategy()),
        (Kind.ValidatingAdmissionPolicyBinding, new Admission.Policies.PolicyBindingStrategy()),
        (Kind.CustomResourceDefinition, new CustomResources.DefinitionStrategy()),
    ];

    private static Kind Find(string group, string plural) => Kind.Find(group, "v1", plural)!;

    public static Strategy Of(Kind kind) =>
        kind is CustomResources.CustomKind custom ? custom.Strategy : Table.GetValueOrDefault((kind.Group, kind.Plural)) ?? (kind.Subresources.Contains("status") ? GenericWithStatus : Generic);

    public virtual string? NameError(string name) => Names.SubdomainError(name);

    /// <summary>Fills in what Kubernetes' API defaults fill in; on create and on update.</summary>
    public virtual void Default(JsonObject json)
    {
    }

    public virtual void PrepareForCreate(JsonObject json, WriteContext context)
    {
    }

    /// <summary>What an object says of who asked for it.</summary>
    public virtual void Requested(JsonObject json, User user)
    {
    }

    /// <summary>Throws 403 where a change needs a right beside that to write the object.</summary>
    /// <param name="subresource">"" or the part that is written.</param>
    public virtual void MayChange(User user, string subresource, JsonObject json, JsonObject old, WriteContext context)
    {
    }

    public virtual void PrepareForUpdate(JsonObject json, JsonObject old, WriteContext context)
    {
    }

    /// <summary>A write to a subresource changes that part alone; "status" by default keeps everything but status, labels and annotations.</summary>
    public virtual void PrepareSubresource(string subresource, JsonObject json, JsonObject old, WriteContext context)
    {
        // A CertificateSigningRequest is approved by a condition of its status.
        if (subresource is not ("status" or "approval") || !HasStatus) throw Status.PageNotFound();
        KeepAllBut(json, old, "status");
    }

    public virtual void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
    }

    /// <summary>Things the user should know though the object is accepted.</summary>
    public virtual void Warn(JsonObject json, JsonObject? old, ICollection<string> warnings)
    {
    }

    /// <summary>After validation, before the write: takes what is unique in the cluster (cluster IPs, node ports), or says in the status what this server finds.</summary>
    public virtual void Allocate(JsonObject json, JsonObject? old, WriteContext context)
    {
    }

    /// <summary>Where other API servers take from the same: whether what was taken is still this object's, when its write's turn comes.</summary>
    public virtual Func<bool>? Holds(JsonObject json, WriteContext context) => null;

    public virtual void Release(JsonObject json, WriteContext context)
    {
    }

    /// <summary>Throws 403 for objects that can not be deleted.</summary>
    public virtual void MayDelete(ResourceKey key)
    {
    }

    /// <summary>Seconds between the mark and the removal; 0 = at once.</summary>
    public virtual long GraceSeconds(JsonObject json, long? asked) => 0;

    /// <summary>Called when the deletionTimestamp has been set.</summary>
    public virtual void Marked(JsonObject json)
    {
    }

    /// <summary>A deleted object stays while this is true.</summary>
    public virtual bool HoldsDeleted(JsonObject json) => false;

    protected static void KeepAllBut(JsonObject json, JsonObject old, string member)
    {
        foreach (var name in json.Select(x => x.Key).Union(old.Select(x => x.Key)).ToList())
        {
            if (name is not ("metadata" or "apiVersion" or "kind") && name != member) Canonical.CopyMember(old, json, name);
        }
        foreach (var name in (ReadOnlySpan<string>)["ownerReferences", "finalizers"]) Canonical.CopyMember(Metadata.Of(old), Metadata.Of(json), name);
    }

    /// <summary>Adds a cause where a field that can not change has changed.</summary>
    protected static void Immutable(JsonObject json, JsonObject? old, string parent, string field, List<StatusCause> causes)
    {
        if (old is null || JsonNode.DeepEquals(json.Object(parent)?[field], old.Object(parent)?[field])) return;
        causes.Add(Metadata.InvalidJson($"{parent}.{field}", json.Object(parent)?[field], "field is immutable"));
    }
}
