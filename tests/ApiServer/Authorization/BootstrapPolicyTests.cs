using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Authorization;
using Xunit;

namespace Declarative.Tests.ApiServer.Authorization;

/// <summary>The table "one writer per field" of the architecture, asked of the roles that a new cluster has.</summary>
public sealed class BootstrapPolicyTests
{
    private static readonly User[] Parts = [User.Placement, User.Controllers, User.Dns, User.Lb];
    private readonly Authorizer _authorizer = new();

    [Theory]
    // field group | its one writer among the platform's parts ("" = users and the API server alone)
    [InlineData("pods", "binding", "create", "placement")]
    [InlineData("pods", "status", "patch", "placement")]
    [InlineData("pods", "status", "update", "placement")]
    [InlineData("nodes", "status", "patch", "placement")]
    [InlineData("nodes", "", "create", "placement")]
    [InlineData("pods", "", "create", "controllers")]
    [InlineData("pods", "", "patch", "controllers")]
    [InlineData("deployments", "status", "patch", "controllers")]
    [InlineData("replicasets", "status", "patch", "controllers")]
    [InlineData("deployments", "scale", "update", "controllers")]
    [InlineData("horizontalpodautoscalers", "status", "patch", "controllers")]
    [InlineData("deployments", "", "create", "")]
    [InlineData("replicasets", "", "create", "controllers")]
    [InlineData("endpointslices", "", "create", "controllers")]
    [InlineData("endpointslices", "", "patch", "controllers")]
    [InlineData("namespaces", "finalize", "update", "controllers")]
    [InlineData("services", "status", "patch", "lb")]
    [InlineData("ingresses", "status", "patch", "lb")]
    [InlineData("services", "", "patch", "")]
    [InlineData("ingresses", "", "update", "")]
    [InlineData("secrets", "", "create", "lb")]
    [InlineData("clusterroles", "", "create", "")]
    [InlineData("clusterroles", "", "patch", "")]
    [InlineData("rolebindings", "", "patch", "")]
    [InlineData("clusterrolebindings", "", "update", "")]
    [InlineData("pods", "exec", "create", "")]
    [InlineData("pods", "log", "get", "controllers")]
    public void One_writer(string plural, string subresource, string verb, string role)
    {
        var kind = Kind.All.First(x => x.Plural == plural && x.Version == "v1" && x.Group != "metrics.k8s.io");
        var allowed = Parts.Where(x => _authorizer.Check(x, verb, kind, subresource, kind.Namespaced ? "default" : "", "x") is null).Select(x => x.Name.Split(':')[^1]);
        Assert.Equal(role.Length == 0 ? [] : [role], allowed);
    }

    [Fact]
    public void Leases_and_the_frameworks_identity_are_written_in_kube_system_alone()
    {
        Assert.Null(_authorizer.Check(User.Placement, "update", Kind.Lease, "", "kube-system", "placement"));
        Assert.Null(_authorizer.Check(User.Placement, "create", Kind.ConfigMap, "", "kube-system", ""));
        Assert.Null(_authorizer.Check(User.Lb, "update", Kind.Lease, "", "kube-system", "lb-status"));
        Assert.NotNull(_authorizer.Check(User.Placement, "create", Kind.ConfigMap, "", "default", ""));
        Assert.NotNull(_authorizer.Check(User.Placement, "update", Kind.Lease, "", "default", "x"));
        Assert.NotNull(_authorizer.Check(User.Dns, "update", Kind.Lease, "", "kube-system", "x"));
    }

    /// <summary>What software for Kubernetes binds to by name, and who is bound from the beginning.</summary>
    [Theory]
    [InlineData("system:kube-scheduler", "create", "pods", "binding", true)]
    [InlineData("system:kube-scheduler", "create", "deployments", "", false)]
    [InlineData("system:kube-proxy", "watch", "endpointslices", "", true)]
    [InlineData("system:kube-controller-manager", "list", "secrets", "", true)]
    [InlineData("system:serviceaccount:kube-system:kube-dns", "watch", "endpoints", "", true)]
    [InlineData("system:serviceaccount:kube-system:deployment-controller", "update", "replicasets", "", false)]
    [InlineData("system:serviceaccount:kube-system:generic-garbage-collector", "delete", "configmaps", "", false)]
    [InlineData("system:serviceaccount:kube-system:clusterrole-aggregation-controller", "escalate", "clusterroles", "", false)]
    public void The_roles_of_Kubernetes_are_there(string user, string verb, string plural, string subresource, bool may)
    {
        var kind = Kind.All.First(x => x.Plural == plural && x.Version == "v1");
        Assert.Equal(may, _authorizer.Check(new User(user), verb, kind, subresource, "default", "x") is null);
    }

    [Fact]
    public void Roles_that_are_found_by_name_and_label()
    {
        var names = BootstrapPolicy.Objects.Where(x => x.Key.Kind == Kind.ClusterRole).Select(x => x.Key.Name).ToList();
        Assert.Equal(names.Count, names.Distinct().Count());
        string[] known =
        [
            "cluster-admin", "admin", "edit", "view", "system:node", "system:node-proxier", "system:node-bootstrapper", "system:kube-scheduler", "system:kube-controller-manager", "system:volume-scheduler",
            "system:persistent-volume-provisioner", "system:auth-delegator", "system:monitoring", "system:certificates.k8s.io:kubelet-serving-approver", "system:controller:job-controller", "system:controller:namespace-controller",
        ];
        Assert.Empty(known.Except(names));
        Assert.DoesNotContain(BootstrapPolicy.Objects, x => (x.Key.Kind == Kind.ClusterRoleBinding || x.Key.Kind == Kind.RoleBinding) && x.Key.Name.StartsWith("system:controller:", StringComparison.Ordinal));
        Assert.InRange(names.Count(x => x.StartsWith("system:controller:", StringComparison.Ordinal)), 30, 50);
        Assert.All(BootstrapPolicy.Objects, x => Assert.Contains("\"kubernetes.io/bootstrapping\":\"rbac-defaults\"", System.Text.Encoding.UTF8.GetString(x.Json.Span), StringComparison.Ordinal));
        Assert.NotNull(_authorizer.Check(new User("system:kube-scheduler"), "get", Kind.ConfigMap, "", "kube-system", "other"));
        Assert.Null(_authorizer.Check(new User("system:kube-scheduler"), "get", Kind.ConfigMap, "", "kube-system", "extension-apiserver-authentication"));
    }

    /// <summary>A store of an older release: its roles and bindings get what they lack, once, and keep what was added to them.</summary>
    [Theory]
    [InlineData("", true)]
    [InlineData("true", true)]
    [InlineData("false", false)]
    public async Task What_roles_and_bindings_lack_is_added_at_start(string autoupdate, bool isAdded)
    {
        var stop = TestContext.Current.CancellationToken;
        await using var api = await InProcessApi.Start(options: new() { BootstrapObjects = BootstrapPolicy.Objects });
        var role = ResourceKey.Of(Kind.ClusterRole, "", User.Placement.Name);
        var binding = ResourceKey.Of(Kind.ClusterRoleBinding, "", User.Placement.Name);
        var annotations = autoupdate.Length == 0 ? """{"rbac.authorization.kubernetes.io/autoupdate":null}""" : $$"""{"rbac.authorization.kubernetes.io/autoupdate":"{{autoupdate}}"}""";
        await Change(role, """ "rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["*"]},{"apiGroups":["x.io"],"resources":["ys"],"verbs":["get"]}] """);
        await Change(binding, """ "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"jane"}] """);

        await api.Server.Bootstrap(stop);
        var rules = Rule.ReadAll((await api.Admin.Get(role, stop: stop)).Json);
        Assert.Equal(isAdded, rules.Any(x => x.Allows("patch", "", "persistentvolumes", "", "v")));
        Assert.Contains(rules, x => x.Allows("get", "x.io", "ys", "", "y"));
        Assert.Single(rules, x => x.Resources.SequenceEqual(["pods"]));
        var metadata = System.Text.Json.Nodes.JsonNode.Parse((await api.Admin.Get(role, stop: stop)).Json.Span)!["metadata"]!;
        Assert.Equal(isAdded ? "true" : "false", (string?)metadata["annotations"]!["rbac.authorization.kubernetes.io/autoupdate"]);
        Assert.Equal(isAdded ? "rbac-defaults" : null, (string?)metadata["labels"]?["kubernetes.io/bootstrapping"]);
        var subjects = System.Text.Json.Nodes.JsonNode.Parse((await api.Admin.Get(binding, stop: stop)).Json.Span)!["subjects"]!.AsArray().Select(x => (string?)x!["name"]);
        Assert.Equal(isAdded ? ["jane", User.Placement.Name] : ["jane"], subjects);

        var before = await Revisions();
        await api.Server.Bootstrap(stop);
        Assert.Equal(before, await Revisions());

        async Task<(long, long)> Revisions() => ((await api.Admin.Get(role, stop: stop)).Revision, (await api.Admin.Get(binding, stop: stop)).Revision);

        Task Change(ResourceKey key, string member) =>
            api.Admin.Patch(key, PatchKind.Merge, System.Text.Encoding.UTF8.GetBytes($$"""{"metadata":{"annotations":{{annotations}},"labels":{"kubernetes.io/bootstrapping":null} },{{member}}}"""), stop: stop);
    }

    /// <summary>The role of a binding can not be changed: one that was put in its place by hand is made anew, as in Kubernetes.</summary>
    [Theory]
    [InlineData("true", true)]
    [InlineData("false", false)]
    public async Task A_binding_to_another_role_is_made_anew_at_start(string autoupdate, bool isMade)
    {
        var stop = TestContext.Current.CancellationToken;
        await using var api = await InProcessApi.Start(options: new() { BootstrapObjects = BootstrapPolicy.Objects });
        var binding = ResourceKey.Of(Kind.ClusterRoleBinding, "", User.Dns.Name);
        var first = await api.Admin.Get(binding, stop: stop);
        await api.Admin.Delete(binding, stop: stop);
        var other = await api.Admin.Create(binding, System.Text.Encoding.UTF8.GetBytes($$$"""
            {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding",
             "metadata":{"name":"{{{User.Dns.Name}}}","annotations":{"rbac.authorization.kubernetes.io/autoupdate":"{{{autoupdate}}}"}},
             "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},
             "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"jane"}]}
            """), stop: stop);

        await api.Server.Bootstrap(stop);
        var now = await api.Admin.Get(binding, stop: stop);
        Assert.Equal(isMade, now.Uid != other.Uid);
        var json = System.Text.Json.Nodes.JsonNode.Parse(now.Json.Span)!;
        Assert.Equal(isMade ? User.Dns.Name : "cluster-admin", (string?)json["roleRef"]!["name"]);
        Assert.Equal(isMade ? User.Dns.Name : "jane", (string?)json["subjects"]![0]!["name"]);
        Assert.NotEqual(first.Uid, now.Uid);

        await api.Server.Bootstrap(stop);
        Assert.Equal(now.Revision, (await api.Admin.Get(binding, stop: stop)).Revision);
    }

    [Theory]
    [InlineData("rbac.authorization.kubernetes.io/autoupdate", "false", false)]
    [InlineData("rbac.authorization.k8s.io/autoupdate", "false", false)]
    [InlineData("rbac.authorization.k8s.io/autoupdate", "true", true)]
    public void What_an_earlier_release_was_told_to_keep_is_kept(string key, string value, bool isCompleted)
    {
        var stored = System.Text.Json.Nodes.JsonNode.Parse($$"""{"metadata":{"name":"r","annotations":{"{{key}}":"{{value}}"} },"rules":[]}""")!.AsObject();
        var wanted = System.Text.Json.Nodes.JsonNode.Parse("""{"metadata":{"name":"r"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}""")!.AsObject();
        Assert.Equal(isCompleted, BootstrapRights.Completed(ResourceKey.Of(Kind.ClusterRole, "", "r"), stored, wanted) is not null);
    }

    [Fact]
    public void Every_part_reports_its_traffic_and_its_events()
    {
        foreach (var part in (User[])[User.Controllers, User.Dns, User.Lb])
        {
            Assert.Null(_authorizer.Check(part, "create", Kind.TrafficReport, "", "", ""));
            Assert.Null(_authorizer.Check(part, "patch", Kind.TrafficReport, "status", "", "x"));
        }
        foreach (var part in Parts) Assert.Null(_authorizer.Check(part, "create", Kind.Event, "", "default", ""));
        Assert.NotNull(_authorizer.Check(User.Placement, "patch", Kind.TrafficReport, "status", "", "x"));
    }

    [Fact]
    public void Masters_may_everything_and_strangers_nothing()
    {
        foreach (var kind in Kind.All)
        {
            Assert.Null(_authorizer.Check(User.Admin, "delete", kind, "", "", "x"));
            Assert.NotNull(_authorizer.Check(new User("jane"), "get", kind, "", "default", "x"));
        }
        Assert.Null(_authorizer.CheckPath(new User("jane", User.Authenticated), "get", "/apis/apps/v1"));
        Assert.NotNull(_authorizer.CheckPath(new User("jane", User.Authenticated), "get", "/metrics"));
    }
}
