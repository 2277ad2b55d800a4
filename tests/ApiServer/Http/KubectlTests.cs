using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>Unmodified kubectl, every version at hand, against the API server alone (no controllers run).</summary>
public sealed class KubectlTests : IAsyncLifetime
{
    private const string Web = """
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: web
        spec:
          replicas: 2
          selector:
            matchLabels: {app: web}
          template:
            metadata:
              labels: {app: web}
            spec:
              containers:
              - name: web
                command: [serve]
                ports:
                - containerPort: 8080
        """;

    private RunningFace _server = null!;

    public async ValueTask InitializeAsync() => _server = await RunningFace.Start();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    public static TheoryData<string> Versions => Kubectls.Rows;

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Reads_what_the_server_is(string version)
    {
        var kubectl = Make(version);
        Assert.Contains("v1.33.0+declarative", (await kubectl.Run("version")).Succeeds().Output, StringComparison.Ordinal);
        var resources = (await kubectl.Run("api-resources")).Succeeds().Output;
        Assert.Matches(@"(?m)^pods\s+po\s+v1\s+true\s+Pod$", resources);
        Assert.Matches(@"(?m)^deployments\s+deploy\s+apps/v1\s+true\s+Deployment$", resources);
        Assert.Matches(@"(?m)^trafficreports\s+declarative.mesos/v1\s+false\s+TrafficReport$", resources);
        Assert.Contains("apps/v1", (await kubectl.Run("api-versions")).Succeeds().Lines);
        Assert.Equal("ok", (await kubectl.Run("get", "--raw", "/readyz")).Succeeds().Output);
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task What_the_client_has_applied_the_server_applies_without_a_conflict(string version)
    {
        var kubectl = Make(version);
        var hello = EndToEnd.Installation.Hello;
        (await kubectl.Run("apply", "-f", hello)).Succeeds();
        Assert.Equal("deployment.apps/hello serverside-applied\nservice/hello serverside-applied\n", (await kubectl.Run("apply", "--server-side", "-f", hello)).Succeeds().Output);
        // The defaults of what is applied as a whole (a fieldRef) are no change: nothing is written the second time.
        var key = ResourceKey.Of(Kind.Deployment, "default", "hello");
        var before = (await _server.Admin.Get(key, stop: TestContext.Current.CancellationToken)).Revision;
        (await kubectl.Run("apply", "--server-side", "-f", hello)).Succeeds();
        Assert.Equal(before, (await _server.Admin.Get(key, stop: TestContext.Current.CancellationToken)).Revision);
        (await kubectl.Run("apply", "-f", hello)).Succeeds();
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Tells_who_one_is(string version) =>
        Assert.Contains("system:masters", (await Make(version).Run("auth", "whoami")).Succeeds().Output, StringComparison.Ordinal);

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Shows_objects_as_tables(string version)
    {
        var kubectl = Make(version);
        await Create(Kind.ConfigMap, """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"x":"y"}},"data":{"k":"v","l":"w"}}""");
        Assert.Matches(@"^NAME\s+DATA\s+AGE\na\s+2\s+\d+s\n$", (await kubectl.Run("get", "cm")).Succeeds().Output);
        Assert.Matches(@"^NAME\s+DATA\s+AGE\s+LABELS\na\s+2\s+\d+s\s+x=y\n$", (await kubectl.Run("get", "cm", "a", "--show-labels")).Succeeds().Output);
        Assert.Equal("configmap/a\n", (await kubectl.Run("get", "cm", "-l", "x in (y)", "-o", "name")).Succeeds().Output);
        Assert.Equal("w", (await kubectl.Run("get", "cm", "a", "-o", "jsonpath={.data.l}")).Succeeds().Output);
        Assert.Contains("No resources found", (await kubectl.Run("get", "cm", "-l", "x=z")).Succeeds().Errors, StringComparison.Ordinal);
        Assert.Matches(@"(?m)^default\s+Active\s+\d+s$", (await kubectl.Run("get", "ns", "--sort-by=.metadata.name")).Succeeds().Output);
        Assert.Matches(@"(?m)^default\s+a\s+2\s+\d+s$", (await kubectl.Run("get", "cm", "-A")).Succeeds().Output);
        (await kubectl.Run("get", "deploy", "nope")).Fails("Error from server (NotFound): deployments.apps \"nope\" not found");
        (await kubectl.Run("get", "teapots")).Fails("the server doesn't have a resource type \"teapots\"");
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Watches(string version)
    {
        var kubectl = Make(version);
        using var watching = kubectl.Start(["get", "cm", "-w"]);
        try
        {
            await Create(Kind.ConfigMap, """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}""");
            Assert.Matches(@"^NAME\s+DATA\s+AGE$", await watching.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
            Assert.Matches(@"^a\s+0\s+\d+s$", await watching.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
            await _server.Admin.Patch(new(Kind.ConfigMap, "default", "a"), PatchKind.Merge, """{"data":{"k":"v"}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
            Assert.Matches(@"^a\s+1\s+\d+s$", await watching.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        }
        finally
        {
            watching.Kill();
        }
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Says_who_may_what(string version)
    {
        var kubectl = Make(version);
        Assert.Equal("yes\n", (await kubectl.Run("auth", "can-i", "create", "deployments.apps")).Succeeds().Output);
        var dns = Make(version, Path.Combine(_server.Face.Pki.Directory, "dns.kubeconfig"));
        Assert.Equal("no\n", (await dns.Run("auth", "can-i", "create", "deployments.apps")).Output);
        Assert.Equal("yes\n", (await dns.Run("auth", "can-i", "watch", "services", "-A")).Output);
        Assert.Equal("no\n", (await kubectl.Run("auth", "can-i", "delete", "pods", "--as", "somebody")).Output);
        Assert.Contains("endpointslices.discovery.k8s.io", (await dns.Run("auth", "can-i", "--list")).Succeeds().Output, StringComparison.Ordinal);
        (await dns.Run("get", "secrets")).Fails("Error from server (Forbidden): secrets is forbidden: User \"system:declarative:dns\" cannot list resource \"secrets\"");
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Applies_scales_and_deletes(string version)
    {
        var kubectl = Make(version);
        Assert.Equal("deployment.apps/web created\n", (await kubectl.Run(Web, ["apply", "-f", "-"])).Succeeds().Output);
        Assert.Equal("deployment.apps/web unchanged\n", (await kubectl.Run(Web, ["apply", "-f", "-"])).Succeeds().Output);
        Assert.Equal("deployment.apps/web configured\n", (await kubectl.Run(Web.Replace("replicas: 2", "replicas: 3", StringComparison.Ordinal), ["apply", "-f", "-"])).Succeeds().Output);
        Assert.Matches(@"(?m)^web\s+0/3\s+0\s+0\s+\d+s\s+web\s+<none>\s+app=web$", (await kubectl.Run("get", "deploy", "-o", "wide")).Succeeds().Output);
        Assert.Equal("deployment.apps/web scaled\n", (await kubectl.Run("scale", "deploy/web", "--replicas=5")).Succeeds().Output);
        Assert.Equal("5", (await kubectl.Run("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}")).Succeeds().Output);
        Assert.Contains("Replicas:", (await kubectl.Run("describe", "deploy", "web")).Succeeds().Output, StringComparison.Ordinal);
        Assert.Equal("deployment.apps/web labeled\n", (await kubectl.Run("label", "deploy/web", "tier=front")).Succeeds().Output);
        (await kubectl.Run("wait", "--for=jsonpath={.metadata.labels.tier}=front", "deploy/web", "--timeout=10s")).Succeeds();
        Assert.Equal("deployment.apps \"web\" deleted\n", (await kubectl.Run("delete", "deploy", "web")).Succeeds().Output.Replace(" from default namespace", "", StringComparison.Ordinal));
        (await kubectl.Run("get", "deploy", "web")).Fails("NotFound");
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Creates_by_the_commands_that_send_protobuf(string version)
    {
        var kubectl = Make(version);
        Assert.Equal("namespace/shop created\n", (await kubectl.Run("create", "ns", "shop")).Succeeds().Output);
        (await kubectl.Run("create", "ns", "shop")).Fails("Error from server (AlreadyExists): namespaces \"shop\" already exists");
        Assert.Equal("configmap/c created\n", (await kubectl.Run("-n", "shop", "create", "cm", "c", "--from-literal=k=v")).Succeeds().Output);
        Assert.Equal("secret/s created\n", (await kubectl.Run("-n", "shop", "create", "secret", "generic", "s", "--from-literal=k=v")).Succeeds().Output);
        Assert.Equal("dg==", (await kubectl.Run("-n", "shop", "get", "secret", "s", "-o", "jsonpath={.data.k}")).Succeeds().Output);
        Assert.Equal("deployment.apps/d created\n", (await kubectl.Run("-n", "shop", "create", "deploy", "d", "--image=web", "--replicas=2")).Succeeds().Output);
        Assert.Equal("2", (await kubectl.Run("-n", "shop", "get", "deploy", "d", "-o", "jsonpath={.spec.replicas}")).Succeeds().Output);
        Assert.Equal("service/v created\n", (await kubectl.Run("-n", "shop", "create", "svc", "clusterip", "v", "--tcp=80:8080")).Succeeds().Output);
        Assert.Matches(@"(?m)^v\s+ClusterIP\s+127\.\d+\.\d+\.\d+\s+<none>\s+80/TCP\s+\d+s$", (await kubectl.Run("-n", "shop", "get", "svc")).Succeeds().Output);
        Assert.Equal("role.rbac.authorization.k8s.io/r created\n", (await kubectl.Run("-n", "shop", "create", "role", "r", "--verb=get,list", "--resource=pods,pods/log")).Succeeds().Output);
        Assert.Equal("rolebinding.rbac.authorization.k8s.io/b created\n", (await kubectl.Run("-n", "shop", "create", "rolebinding", "b", "--role=r", "--user=jane")).Succeeds().Output);
        await Client.Eventually.True(() => _server.Authorizer.Check(new User("jane"), "get", Kind.Pod, "log", "shop", "x") is null, "jane may read logs");
        Assert.Equal("yes\n", (await kubectl.Run("-n", "shop", "auth", "can-i", "get", "pods", "--subresource=log", "--as", "jane")).Succeeds().Output);
        Assert.Equal("pod/p created\n", (await kubectl.Run("-n", "shop", "run", "p", "--image=web")).Succeeds().Output);
        Assert.Matches(@"(?m)^p\s+0/1\s+Pending\s+0\s+\d+s\s+<none>\s+<none>\s+<none>\s+<none>$", (await kubectl.Run("-n", "shop", "get", "po", "-o", "wide")).Succeeds().Output);
        // 1.27 asks for the alpha and beta versions of this review alone.
        if (version != "kubectl.1.27") Assert.Contains("Username", (await kubectl.Run("auth", "whoami")).Succeeds().Output, StringComparison.Ordinal);
        (await kubectl.Run("-n", "shop", "delete", "cm,secret,svc", "--all")).Succeeds();
        (await kubectl.Run("delete", "ns", "shop", "--wait=false")).Succeeds();
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Explains_and_tells_of_wrong_fields(string version)
    {
        var kubectl = Make(version);
        Assert.Contains("replicas\t<integer>", (await kubectl.Run("explain", "deploy.spec")).Succeeds().Output, StringComparison.Ordinal);
        Assert.Contains("inFlight", (await kubectl.Run("explain", "trafficreports", "--recursive")).Succeeds().Output, StringComparison.Ordinal);
        var wrong = Web.Replace("replicas: 2", "replica: 2", StringComparison.Ordinal);
        (await kubectl.Run(wrong, ["apply", "-f", "-"])).Fails("unknown field \"spec.replica\"");
        var warned = (await kubectl.Run(wrong, ["apply", "--validate=warn", "-f", "-"])).Succeeds();
        Assert.Contains("Warning: unknown field \"spec.replica\"", warned.Errors, StringComparison.Ordinal);
        (await kubectl.Run(Web.Replace("replicas: 2", "replicas: two", StringComparison.Ordinal), ["apply", "-f", "-"])).Fails("replicas");
        (await kubectl.Run(Web.Replace("name: web", "name: We_b", StringComparison.Ordinal), ["create", "-f", "-"])).Fails("metadata.name: Invalid value");
        Assert.Equal("deployment.apps/web configured (server dry run)\n", (await kubectl.Run(Web, ["apply", "--dry-run=server", "-f", "-"])).Succeeds().Output);
        Assert.Contains("-", (await kubectl.Run(Web.Replace("replicas: 2", "replicas: 7", StringComparison.Ordinal), ["diff", "-f", "-"])).Output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Waits_for_rollouts_and_deletions(string version)
    {
        var kubectl = Make(version);
        (await kubectl.Run(Web, ["apply", "-f", "-"])).Succeeds();
        using var waiting = kubectl.Start(["rollout", "status", "deploy/web", "--timeout=30s"]);
        var deployment = new ResourceKey(Kind.Deployment, "default", "web");
        await _server.Admin.Patch(deployment, PatchKind.Merge, """
            {"status":{"observedGeneration":1,"replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2,
            "conditions":[{"type":"Available","status":"True","reason":"x","message":"x"}]}}
            """u8.ToArray(), new WriteOptions { Subresource = "status" }, TestContext.Current.CancellationToken);
        var last = (await waiting.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1];
        Assert.Equal("deployment \"web\" successfully rolled out", last);
        Assert.Equal("deployment.apps/web condition met\n", (await kubectl.Run("wait", "--for=condition=Available", "deploy/web", "--timeout=10s")).Succeeds().Output);

        await Create(Kind.ConfigMap, """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"held","finalizers":["example.com/hold"]}}""");
        using var deleting = kubectl.Start(["delete", "cm", "held", "--timeout=30s"]);
        await Client.Eventually.True(() => Read("held")?.Metadata.IsDeleting == true, "the finalizer holds it");
        Assert.False(deleting.HasExited);
        await _server.Admin.Patch(new(Kind.ConfigMap, "default", "held"), PatchKind.Merge, """{"metadata":{"finalizers":null}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        await deleting.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, deleting.ExitCode);

        ConfigMap? Read(string name)
        {
            try
            {
                return ConfigMap.Read(_server.Admin.Get(new(Kind.ConfigMap, "default", name)).Result.Json);
            }
            catch (AggregateException)
            {
                return null;
            }
        }
    }

    private Kubectl Make(string version, string? kubeconfig = null)
    {
        var path = Kubectls.Require(version);
        var home = Path.Combine(_server.Directory, "home");
        Directory.CreateDirectory(home);
        return new(path, kubeconfig ?? _server.Face.KubeconfigPath, home);
    }

    private Task<Stored> Create(Kind kind, string json) => _server.Admin.Create(new(kind, kind.Namespaced ? "default" : "", ""), Encoding.UTF8.GetBytes(json));
}
