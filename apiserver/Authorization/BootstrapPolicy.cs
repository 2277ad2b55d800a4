using System.Buffers;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Authorization;

/// <summary>
/// The roles and bindings of a new cluster: Kubernetes' user-facing roles, and one least-privilege role per part of the platform, which
/// together hold the table "one writer per field" of docs/architecture.md at the granularity of kinds and subresources.
/// </summary>
public static class BootstrapPolicy
{
    private const string Read = "get,list,watch";
    private const string Write = "create,delete,deletecollection,patch,update";
    private const string All = Read + "," + Write;

    /// <summary>Created at start where they are missing, and completed as <see cref="BootstrapRights"/> says.</summary>
    public static IReadOnlyList<(ResourceKey Key, ReadOnlyMemory<byte> Json)> Objects { get; } =
    [
        .. ClusterWide("cluster-admin", ["group:" + User.Masters], [Of("*", "*", "*"), Paths("*", "*")]),
        .. ClusterWide("system:discovery", ["group:" + User.Authenticated],
            [Paths("get", "/", "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/")]),
        .. ClusterWide("system:basic-user", ["group:" + User.Authenticated],
        [
            Of("authorization.k8s.io", "selfsubjectaccessreviews,selfsubjectrulesreviews", "create"),
            Of("authentication.k8s.io", "selfsubjectreviews", "create"),
        ]),
        .. ClusterWide("system:service-account-issuer-discovery", ["group:system:serviceaccounts"], [Paths("get", "/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/")]),
        .. ClusterWide("system:public-info-viewer", ["group:" + User.Authenticated, "group:system:unauthenticated"], [Paths("get", "/healthz", "/livez", "/readyz", "/version", "/version/")]),
        ClusterRole("system:auth-delegator", [Of("authentication.k8s.io", "tokenreviews", "create"), Of("authorization.k8s.io", "subjectaccessreviews", "create")]),
        .. ClusterWide("system:monitoring", ["group:system:monitoring"], [Paths("get", "/metrics", "/metrics/*")]),
        Aggregated("admin", [], [.. Administering, .. Editing, .. Viewing]),
        Aggregated("edit", ["admin"], [.. Editing, .. Viewing]),
        Aggregated("view", ["edit"], Viewing),
        Part("admin", Administering),
        Part("edit", Editing),
        Part("view", Viewing),
        .. ClusterWide(User.Placement.Name, ["user:" + User.Placement.Name],
        [
            Of("", "pods", Read + ",delete"),
            Of("", "pods/binding", "create"),
            Of("", "pods/eviction", "create"), // preemption within disruption budgets
            Of("policy", "poddisruptionbudgets", Read),
            Of("", "pods/status", "patch,update"),
            Of("", "nodes", Read + ",create,delete,patch,update"),
            Of("", "nodes/status", "get,patch,update"),
            Of("", "configmaps,secrets,serviceaccounts,services,namespaces,persistentvolumeclaims,persistentvolumes,replicationcontrollers", Read),
            Of("", "persistentvolumeclaims,persistentvolumes", "patch"), // the node of a claim's first pod; what Mesos has of a volume
            Of("storage.k8s.io", "storageclasses", Read),
            Of("apps", "deployments,replicasets,statefulsets,daemonsets", Read),
            Of("batch", "jobs,cronjobs", Read),
            Of("scheduling.k8s.io", "priorityclasses", Read),
            Of("discovery.k8s.io", "endpointslices", Read),
            Of("declarative.mesos", "trafficreports", Read),
            .. Events,
        ]),
        .. Within("kube-system", User.Placement.Name, [Of("", "configmaps", "create,patch,update"), Leases]),
        .. Within("kube-node-lease", User.Placement.Name, [Leases]),
        .. ClusterWide(User.Controllers.Name, ["user:" + User.Controllers.Name],
        [
            // Garbage collection and namespace deletion read and delete every kind; subresources have no delete.
            Of("*", "*", Read + ",delete,deletecollection"),
            .. Kind.All.Where(x => x.Support != KindSupport.Review && ControllersMayPatch(x.Plural)).GroupBy(x => x.Group).Select(x =>
                new Rule(["patch", "update"], [x.Key], [.. x.Select(kind => kind.Plural).Distinct()], [], [])),
            Of("", "pods,endpoints,serviceaccounts,configmaps,persistentvolumeclaims,persistentvolumes", "create"),
            Of("storage.k8s.io", "storageclasses", "create"),
            Of("", "pods/eviction,serviceaccounts/token", "create"),
            Of("", "namespaces/finalize", "update"),
            Of("", "namespaces/status,replicationcontrollers/status,resourcequotas/status,persistentvolumeclaims/status,persistentvolumes/status", "patch,update"),
            Of("", "replicationcontrollers/scale", "patch,update"),
            Of("apps", "replicasets,controllerrevisions", "create"),
            Of("apps", "deployments/status,replicasets/status,statefulsets/status,daemonsets/status", "patch,update"),
            Of("apps", "deployments/scale,replicasets/scale,statefulsets/scale", "patch,update"),
            Of("*", "*/scale", "update"), // autoscalers, of custom objects too
            Of("batch", "jobs", "create"),
            Of("batch", "jobs/status,cronjobs/status", "patch,update"),
            Of("autoscaling", "horizontalpodautoscalers/status", "patch,update"),
            Of("policy", "poddisruptionbudgets/status", "patch,update"),
            Of("discovery.k8s.io", "endpointslices", "create"),
            Of("declarative.mesos", "trafficreports", "create"),
            Of("declarative.mesos", "trafficreports/status", "get,patch,update"),
            .. Events,
        ]),
        .. Within("kube-system", User.Controllers.Name, [Leases]),
        .. ClusterWide(User.Dns.Name, ["user:" + User.Dns.Name],
        [
            Of("", "services,pods,namespaces,nodes", Read),
            Of("discovery.k8s.io", "endpointslices", Read),
            .. Traffic,
            .. Events,
        ]),
        .. ClusterWide(User.Lb.Name, ["user:" + User.Lb.Name],
        [
            Of("", "services,secrets,namespaces", Read),
            Of("", "secrets", "create,patch,update"), // ACME certificates
            Of("", "services/status", "get,patch,update"),
            Of("discovery.k8s.io", "endpointslices", Read),
            Of("networking.k8s.io", "ingresses,ingressclasses", Read),
            Of("networking.k8s.io", "ingresses/status", "get,patch,update"),
            .. Traffic,
            .. Events,
        ]),
        .. Within("kube-system", User.Lb.Name, [Leases]),
        .. KubernetesRoles.Rows().SelectMany(OfKubernetes),
    ];

    private static IEnumerable<(ResourceKey, ReadOnlyMemory<byte>)> OfKubernetes(KubernetesRoles.Row row)
    {
        var (role, binding) = row.Namespace.Length == 0 ? (Kind.ClusterRole, Kind.ClusterRoleBinding) : (Kind.Role, Kind.RoleBinding);
        yield return Role(ResourceKey.Of(role, row.Namespace, row.Name), row.Rules);
        if (row.Subjects.Count > 0) yield return Binding(ResourceKey.Of(binding, row.Namespace, row.BindingName), role.Name, [.. row.Subjects], row.Name);
    }

    private static IReadOnlyList<Rule> Viewing =>
    [
        Of("", "configmaps,endpoints,events,limitranges,namespaces,persistentvolumeclaims,persistentvolumeclaims/status,pods,pods/log,pods/status,"
            + "replicationcontrollers,replicationcontrollers/scale,replicationcontrollers/status,resourcequotas,resourcequotas/status,serviceaccounts,services,services/status", Read),
        Of("apps", "controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,replicasets/scale,replicasets/status,"
            + "statefulsets,statefulsets/scale,statefulsets/status", Read),
        Of("autoscaling", "horizontalpodautoscalers,horizontalpodautoscalers/status", Read),
        Of("batch", "cronjobs,cronjobs/status,jobs,jobs/status", Read),
        Of("discovery.k8s.io", "endpointslices", Read),
        Of("events.k8s.io", "events", Read),
        Of("networking.k8s.io", "ingresses,ingresses/status,networkpolicies", Read),
        Of("policy", "poddisruptionbudgets,poddisruptionbudgets/status", Read),
        Of("metrics.k8s.io", "nodes,pods", "get,list"),
    ];

    private static IReadOnlyList<Rule> Administering =>
        [Of("rbac.authorization.k8s.io", "roles,rolebindings", All), Of("authorization.k8s.io", "localsubjectaccessreviews", "create")];

    private static IReadOnlyList<Rule> Editing =>
    [
        Of("", "secrets", Read),
        Of("", "pods/attach,pods/exec,pods/portforward,pods/proxy,services/proxy", "get,create,delete,patch,update"),
        Of("", "pods/eviction,serviceaccounts/token", "create"),
        Of("", "configmaps,endpoints,events,persistentvolumeclaims,pods,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services", Write),
        Of("apps", "daemonsets,deployments,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale", Write),
        Of("autoscaling", "horizontalpodautoscalers", Write),
        Of("batch", "cronjobs,jobs", Write),
        Of("networking.k8s.io", "ingresses,networkpolicies", Write),
        Of("policy", "poddisruptionbudgets", Write),
        Of("coordination.k8s.io", "leases", All),
    ];

    private static IReadOnlyList<Rule> Traffic =>
    [
        Of("declarative.mesos", "trafficreports", Read + ",create,delete,patch,update"),
        Of("declarative.mesos", "trafficreports/status", "get,patch,update"),
    ];

    private static IReadOnlyList<Rule> Events => [Of("", "events", "create,patch,update"), Of("events.k8s.io", "events", "create,patch,update")];

    private static Rule Leases => Of("coordination.k8s.io", "leases", Read + ",create,patch,update");

    // What users alone decide, and rights, no controller touches.
    private static bool ControllersMayPatch(string plural) =>
        plural is not ("roles" or "rolebindings" or "clusterroles" or "clusterrolebindings" or "secrets" or "services" or "ingresses" or "ingressclasses");

    private static Rule Of(string group, string resources, string verbs) => new(verbs.Split(','), [group], resources.Split(','), [], []);

    private static Rule Paths(string verbs, params string[] paths) => new(verbs.Split(','), [], [], [], paths);

    private static IEnumerable<(ResourceKey, ReadOnlyMemory<byte>)> ClusterWide(string name, string[] subjects, IReadOnlyList<Rule> rules) =>
        [ClusterRole(name, rules), Binding(ResourceKey.Of(Kind.ClusterRoleBinding, "", name), "ClusterRole", subjects)];

    private static IEnumerable<(ResourceKey, ReadOnlyMemory<byte>)> Within(string ns, string user, IReadOnlyList<Rule> rules) =>
        [Role(ResourceKey.Of(Kind.Role, ns, user), rules), Binding(ResourceKey.Of(Kind.RoleBinding, ns, user), "Role", ["user:" + user])];

    private const string AggregateTo = "rbac.authorization.k8s.io/aggregate-to-";

    /// <summary>A user-facing role that is made of others: whoever defines a kind adds a role with the label.</summary>
    /// <param name="into">User-facing roles that this one is part of.</param>
    /// <param name="rules">What the parts come to, so that the role is whole from the first moment on.</param>
    private static (ResourceKey, ReadOnlyMemory<byte>) Aggregated(string name, string[] into, IReadOnlyList<Rule> rules)
    {
        var key = ResourceKey.Of(Kind.ClusterRole, "", name);
        return (key, Object(key, json =>
        {
            json.WriteStartObject("aggregationRule"u8);
            json.WriteStartArray("clusterRoleSelectors"u8);
            json.WriteStartObject();
            json.WriteStartObject("matchLabels"u8);
            json.WriteString(AggregateTo + name, "true"u8);
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
            WriteRules(json, rules);
        }, into));
    }

    private static (ResourceKey, ReadOnlyMemory<byte>) Part(string of, IReadOnlyList<Rule> rules)
    {
        var key = ResourceKey.Of(Kind.ClusterRole, "", "system:aggregate-to-" + of);
        return (key, Object(key, json => WriteRules(json, rules), [of]));
    }

    private static void WriteRules(Utf8JsonWriter json, IReadOnlyList<Rule> rules)
    {
        json.WriteStartArray("rules"u8);
        foreach (var rule in rules) rule.Write(json);
        json.WriteEndArray();
    }

    private static (ResourceKey, ReadOnlyMemory<byte>) ClusterRole(string name, IReadOnlyList<Rule> rules) => Role(ResourceKey.Of(Kind.ClusterRole, "", name), rules);

    private static (ResourceKey, ReadOnlyMemory<byte>) Role(ResourceKey key, IReadOnlyList<Rule> rules) => (key, Object(key, json => WriteRules(json, rules)));

    /// <param name="subjects"><c>user:NAME</c>, <c>group:NAME</c>, or <c>sa:NAME</c> of kube-system.</param>
    /// <param name="role">Its name where that is another than the binding's.</param>
    private static (ResourceKey, ReadOnlyMemory<byte>) Binding(ResourceKey key, string roleKind, string[] subjects, string? role = null) => (key, Object(key, json =>
    {
        json.WriteStartObject("roleRef"u8);
        json.WriteString("apiGroup"u8, "rbac.authorization.k8s.io"u8);
        json.WriteString("kind"u8, roleKind);
        json.WriteString("name"u8, role ?? key.Name);
        json.WriteEndObject();
        json.WriteStartArray("subjects"u8);
        foreach (var subject in subjects)
        {
            var colon = subject.IndexOf(':', StringComparison.Ordinal);
            json.WriteStartObject();
            var kind = subject[..colon] switch { "user" => "User", "group" => "Group", _ => "ServiceAccount" };
            if (kind == "ServiceAccount") json.WriteString("namespace"u8, "kube-system"u8);
            else json.WriteString("apiGroup"u8, "rbac.authorization.k8s.io"u8);
            json.WriteString("kind"u8, kind);
            json.WriteString("name"u8, subject.AsSpan(colon + 1));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }));

    private static ReadOnlyMemory<byte> Object(ResourceKey key, Action<Utf8JsonWriter> body, params string[] aggregateTo)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("apiVersion"u8, key.Kind.ApiVersion);
            json.WriteString("kind"u8, key.Kind.Name);
            json.WriteStartObject("metadata"u8);
            json.WriteString("name"u8, key.Name);
            if (key.Namespace.Length > 0) json.WriteString("namespace"u8, key.Namespace);
            json.WriteStartObject("annotations"u8);
            json.WriteString(BootstrapRights.AutoUpdate, "true"u8);
            json.WriteEndObject();
            json.WriteStartObject("labels"u8);
            json.WriteString("kubernetes.io/bootstrapping"u8, "rbac-defaults"u8);
            foreach (var role in aggregateTo) json.WriteString(AggregateTo + role, "true"u8);
            json.WriteEndObject();
            json.WriteEndObject();
            body(json);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
