using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Declarative.ApiServer.OpenApi;
using Declarative.ApiServer.Patch;
using Declarative.ApiServer.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>Real kubectl reads the documents: <c>explain</c> and <c>apply</c> against a server that has discovery and the documents, and no objects.</summary>
public sealed class OpenApiKubectlTests : IAsyncLifetime
{
    private readonly string _home = Directory.CreateTempSubdirectory("openapi").FullName;
    private readonly ConcurrentQueue<string> _requests = new();
    private readonly ConcurrentQueue<(string ContentType, JsonNode Object)> _created = new();
    private readonly ConcurrentDictionary<string, byte[]> _stored = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _patches = new();
    private int _revision;
    private WebApplication _server = null!;

    public static TheoryData<string> Kubectls => [.. KubectlBinaries.All.DefaultIfEmpty("")];

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        _server = builder.Build();
        _server.Run(Answer);
        await _server.StartAsync(TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_home, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Kubectls))]
    public async Task Explain_shows_types_and_descriptions(string kubectl)
    {
        Assert.SkipWhen(kubectl.Length == 0, "no kubectl on PATH");
        var (code, text) = await Run(kubectl, "explain deployment.spec.replicas");
        Assert.True(code == 0, text);
        Assert.Contains("The number of pods wanted; default 1", text);
        Assert.Contains("integer", text);

        (code, text) = await Run(kubectl, "explain pods --recursive");
        Assert.True(code == 0, text);
        Assert.Contains("livenessProbe", text);
        Assert.Contains("<[]Container>", text.Replace("<[]Object>", "<[]Container>"));

        (code, text) = await Run(kubectl, "explain trafficreports.status.draining --api-version=declarative.mesos/v1");
        Assert.True(code == 0, text);
        Assert.Contains("Terminating pods and what is still in flight to them", text);

        (code, text) = await Run(kubectl, "explain service.spec.ports.targetPort");
        Assert.True(code == 0, text);
        Assert.Contains("declared container port", text);

        (code, text) = await Run(kubectl, "explain deployment.spec.template.spec.containers --output=plaintext-openapiv2");
        Assert.True(code == 0, text);
        Assert.Contains("PORT_NAME", text);

        (code, text) = await Run(kubectl, "explain cronjobs.spec.schedule --api-version=batch/v1beta1");
        Assert.True(code == 0, text);
        Assert.Contains("string", text);

        (code, text) = await Run(kubectl, "explain ingresses.spec.rules.http.paths.backend --api-version=networking.k8s.io/v1beta1");
        Assert.True(code == 0, text);
        Assert.Contains("servicePort", text);

        (code, text) = await Run(kubectl, "explain pod.spec.nope");
        Assert.NotEqual(0, code);
        Assert.Contains("does not exist", text);
    }

    [Theory]
    [MemberData(nameof(Kubectls))]
    public async Task Apply_leaves_validation_to_the_server(string kubectl)
    {
        Assert.SkipWhen(kubectl.Length == 0, "no kubectl on PATH");
        const string Manifest =
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web}
            spec: {replicass: 3, template: {spec: {containers: [{name: a}]}}}
            ---
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: c}
            data: {a: "1"}
            """;
        var (code, text) = await Run(kubectl, "apply -f -", Manifest);
        Assert.True(code == 0, text + string.Join("\n", _requests));
        Assert.Contains(_requests, request => request.StartsWith("POST /apis/apps/v1/namespaces/default/deployments", StringComparison.Ordinal) && request.Contains("fieldValidation=Strict"));
        Assert.Contains(_requests, request => request.StartsWith("POST /api/v1/namespaces/default/configmaps", StringComparison.Ordinal) && request.Contains("fieldValidation=Strict"));
    }

    [Theory]
    [MemberData(nameof(Kubectls))]
    public async Task Apply_again_sends_a_strategic_patch_by_the_merge_keys(string kubectl)
    {
        Assert.SkipWhen(kubectl.Length == 0, "no kubectl on PATH");
        const string Before =
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web}
            spec: {template: {spec: {containers: [{name: a, image: x, env: [{name: E, value: "1"}, {name: F, value: "2"}], ports: [{containerPort: 80}]}, {name: b, image: i1}], volumes: [{name: v, emptyDir: {}}]}}}
            """;
        const string After =
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web}
            spec: {template: {spec: {containers: [{name: c, image: z}, {name: a, image: x2, env: [{name: F, value: "2"}, {name: G, value: "3"}], ports: [{containerPort: 80}]}], volumes: [{name: v, hostPath: {path: /x}}]}}}
            """;
        var (code, text) = await Run(kubectl, "apply -f -", Before);
        Assert.True(code == 0, text);
        (code, text) = await Run(kubectl, "apply -f -", After);
        Assert.True(code == 0, text + string.Join("\n", _requests));
        Assert.Contains("configured", text);
        Assert.StartsWith("application/strategic-merge-patch+json", Assert.Single(_patches), StringComparison.Ordinal);
        Assert.Contains("$setElementOrder/containers", _patches.Single());
        var spec = JsonNode.Parse(_stored["apis/apps/v1/namespaces/default/deployments/web"])!["spec"]!["template"]!["spec"]!;
        const string Wanted = """{"containers":[{"name":"c","image":"z"},{"name":"a","image":"x2","env":[{"name":"F","value":"2"},{"name":"G","value":"3"}],"ports":[{"containerPort":80}]}],"volumes":[{"name":"v","hostPath":{"path":"/x"}}]}""";
        if (!JsonNode.DeepEquals(JsonNode.Parse(Wanted), spec))
        {
            Assert.Equal(Wanted + _patches.Single(), spec.ToJsonString());
        }
    }

    [Theory]
    [MemberData(nameof(Kubectls))]
    public async Task Server_side_apply_takes_over_what_was_applied_from_the_client(string kubectl)
    {
        Assert.SkipWhen(kubectl.Length == 0, "no kubectl on PATH");
        const string Before =
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web}
            spec: {template: {spec: {containers: [{name: a, image: x, env: [{name: E, value: "1"}, {name: F, value: "2"}]}, {name: b, image: i1}]}}}
            """;
        const string After =
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web}
            spec: {template: {spec: {containers: [{name: a, image: x, env: [{name: F, value: "2"}]}]}}}
            """;
        var (code, text) = await Run(kubectl, "apply -f -", Before);
        Assert.True(code == 0, text);
        (code, text) = await Run(kubectl, "apply --server-side -f -", After);
        Assert.True(code == 0, text + string.Join("\n", _requests) + string.Join("\n", _patches));
        Assert.Contains("serverside-applied", text);
        var stored = JsonNode.Parse(_stored["apis/apps/v1/namespaces/default/deployments/web"])!;
        Assert.Equal("""[{"env":[{"name":"F","value":"2"}],"image":"x","name":"a"}]""", stored["spec"]!["template"]!["spec"]!["containers"]!.ToJsonString());
        Assert.DoesNotContain(stored["metadata"]!["managedFields"]!.AsArray(), entry => (string)entry!["manager"]! == "kubectl-client-side-apply");
        Assert.Contains(stored["metadata"]!["managedFields"]!.AsArray(), entry => (string)entry!["manager"]! == "kubectl" && (string)entry["operation"]! == "Apply");
    }

    // The last version that sends JSON, and the newest.
    public static TheoryData<string, string> Creations => new MatrixTheoryData<string, string>(
        KubectlBinaries.All.Where(path => path.EndsWith(".31", StringComparison.Ordinal)).Append(KubectlBinaries.All.LastOrDefault("")).Distinct(),
    [
        """create deployment web --image=nginx:1 --replicas=0 --port=80|{"spec":{"replicas":0,"selector":{"matchLabels":{"app":"web"}},"strategy":{},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"nginx","image":"nginx:1","ports":[{"containerPort":80}],"resources":{}}]}}}}""",
        """create configmap c --from-literal=a=1|{"data":{"a":"1"}}""",
        """create secret generic s --from-literal=a=1|{"data":{"a":"MQ=="}}""",
        """create namespace shop|{"spec":{}}""",
        """create serviceaccount bot|{}""",
        """create service loadbalancer web --tcp=80:8080|{"spec":{"ports":[{"name":"80-8080","protocol":"TCP","port":80,"targetPort":8080}],"selector":{"app":"web"},"type":"LoadBalancer"}}""",
        """create job j --image=busybox -- true|{"spec":{"template":{"metadata":{},"spec":{"containers":[{"name":"j","image":"busybox","command":["true"],"resources":{}}],"restartPolicy":"Never"}}}}""",
        """create role r --verb=get,list --resource=pods|{"rules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]}]}""",
        """create rolebinding rb --role=r --user=u|{"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"u"}],"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"}}""",
        """create quota q --hard=cpu=1,pods=2|{"spec":{"hard":{"cpu":"1","pods":"2"}}}""",
        """create pdb p --selector=app=web --min-available=1|{"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}}""",
        """create ingress i --rule=a.example/x=web:80|{"spec":{"rules":[{"host":"a.example","http":{"paths":[{"path":"/x","pathType":"Exact","backend":{"service":{"name":"web","port":{"number":80}}}}]}}]}}""",
        """create priorityclass high --value=1000|{"value":1000,"preemptionPolicy":"PreemptLowerPriority"}""",
    ]);

    [Theory]
    [MemberData(nameof(Creations))]
    public async Task Create_sends_what_is_understood_in_JSON_and_in_protobuf(string kubectl, string creation)
    {
        Assert.SkipWhen(kubectl.Length == 0, "no kubectl on PATH");
        var words = creation.Split('|');
        var (code, text) = await Run(kubectl, words[0].Contains(" -- ", StringComparison.Ordinal) ? words[0].Replace(" -- ", " --validate=false -- ", StringComparison.Ordinal) : words[0] + " --validate=false");
        Assert.True(code == 0, text + string.Join("\n", _requests));
        var (contentType, created) = Assert.Single(_created);
        var protobuf = string.Compare(Path.GetExtension(kubectl), ".32", StringComparison.Ordinal) >= 0;
        Assert.Equal(protobuf ? ProtobufCodec.MediaType : "application/json", contentType);
        foreach (var member in (string[])["apiVersion", "kind", "metadata", "status"])
        {
            created.AsObject().Remove(member);
        }

        if (!JsonNode.DeepEquals(JsonNode.Parse(words[1]), created))
        {
            Assert.Equal(words[1], created.ToJsonString());
        }
    }

    private Task<(int Code, string Output)> Run(string kubectl, string arguments, string input = "") =>
        KubectlBinaries.Run(kubectl, _server.Urls.First(), _home, arguments, input, TestContext.Current.CancellationToken);

    private async Task Answer(HttpContext context)
    {
        var (request, path) = (context.Request, context.Request.Path.Value!.Trim('/'));
        _requests.Enqueue($"{request.Method} {request.Path}{request.QueryString}");
        if (request.Method == "POST")
        {
            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            context.Response.ContentType = "application/json";
            var (status, answer) = Accept(path, request.ContentType ?? "", body.ToArray());
            context.Response.StatusCode = status;
            await context.Response.Body.WriteAsync(answer);
            return;
        }

        var words = path.Split('/');
        if (request.Method == "PATCH")
        {
            using var patch = new MemoryStream();
            await request.Body.CopyToAsync(patch);
            var contentType = request.ContentType ?? "";
            _patches.Enqueue($"{contentType} {Encoding.UTF8.GetString(patch.ToArray())}");
            _stored[path] = Change(contentType, request.Query["fieldManager"].ToString(), _stored.GetValueOrDefault(path, []), patch.ToArray());
        }

        if (_stored.TryGetValue(path, out var stored))
        {
            context.Response.ContentType = "application/json";
            await context.Response.Body.WriteAsync(stored);
            return;
        }

        OpenApiDocument? document = words switch
        {
            ["openapi", "v3"] => OpenApiV3.Index(),
            ["openapi", "v3", "api", var version] => OpenApiV3.Document("", version),
            ["openapi", "v3", "apis", var group, var version] => OpenApiV3.Document(group, version),
            ["openapi", "v2"] when request.Headers.Accept.ToString().Contains("protobuf") => OpenApiV2.Protobuf(),
            _ => null,
        };
        if (words is ["openapi", "v2"])
        {
            context.Response.ContentType = OpenApiV2.ProtobufContentType;
        }

        if (document is not null)
        {
            context.Response.Headers.ETag = $"\"{document.Hash}\"";
            context.Response.ContentType ??= "application/json";
            await context.Response.Body.WriteAsync(document.Bytes);
            return;
        }

        context.Response.ContentType = "application/json";
        var text = words switch
        {
            ["api"] => """{"kind":"APIVersions","versions":["v1"]}""",
            ["apis"] => $$"""{"kind":"APIGroupList","apiVersion":"v1","groups":[{{string.Join(",", Kind.All.Where(x => x.Group.Length > 0).GroupBy(x => x.Group).Select(Group))}}]}""",
            ["api", var version] => Resources(version, Kind.All.Where(x => x.Group.Length == 0)),
            ["apis", var group, var version] => Resources($"{group}/{version}", Kind.All.Where(x => x.Group == group && x.Version == version)),
            _ => null,
        };
        if (text is null)
        {
            context.Response.StatusCode = 404;
            text = """{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"not found","reason":"NotFound","code":404}""";
        }

        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text));
    }

    // Deployments only.
    private byte[] Change(string contentType, string manager, byte[] current, byte[] patch)
    {
        var type = TypeTable.Kind("apps", "v1", "Deployment");
        var writer = new FieldWriter(manager, "apps/v1");
        if (contentType == "application/apply-patch+yaml")
        {
            return Numbered(ServerSideApply.Apply(type, current, patch, writer, force: false, DateTimeOffset.UtcNow));
        }

        var patched = Patches.Apply(contentType == "application/json-patch+json" ? PatchKind.Json : PatchKind.Strategic, type, current, patch);
        return Numbered(ServerSideApply.Track(type, current, patched, writer, DateTimeOffset.UtcNow));
    }

    private byte[] Numbered(byte[] json)
    {
        var tree = JsonTree.Parse(json);
        tree["metadata"]!.Members!["resourceVersion"] = JsonTree.String($"{Interlocked.Increment(ref _revision)}");
        return tree.ToBytes();
    }

    private (int Status, byte[] Answer) Accept(string path, string contentType, byte[] body)
    {
        try
        {
            var json = contentType == ProtobufCodec.MediaType ? ProtobufCodec.ToJson(body) : body;
            var tree = JsonTree.Parse(json);
            var (apiVersion, name) = (tree["apiVersion"]!.Text(), tree["kind"]!.Text());
            var kind = Kind.FindByName(apiVersion, name)!;
            // kubectl itself sends creationTimestamp: null and the like, but no field that is unknown.
            var accepted = SchemaCheck.Check(TypeTable.Kind(kind.Group, kind.Version, kind.Name), json, FieldValidation.Ignore).Accepted(apiVersion, name);
            _created.Enqueue((contentType, JsonNode.Parse(accepted)!));
            var writer = new FieldWriter("kubectl-client-side-apply", apiVersion);
            _stored[$"{path}/{JsonNode.Parse(accepted)!["metadata"]!["name"]}"] = Numbered(ServerSideApply.Track(TypeTable.Kind(kind.Group, kind.Version, kind.Name), default, accepted, writer, DateTimeOffset.UtcNow));
            return (201, accepted);
        }
        catch (ApiException e)
        {
            return (e.Code, e.Status.ToJson());
        }
    }

    private static string Group(IGrouping<string, Kind> group)
    {
        var versions = group.Select(kind => kind.Version).Distinct().Select(version => $$"""{"groupVersion":"{{group.Key}}/{{version}}","version":"{{version}}"}""").ToList();
        return $$"""{"name":"{{group.Key}}","versions":[{{string.Join(",", versions)}}],"preferredVersion":{{versions[0]}}}""";
    }

    private static string Resources(string groupVersion, IEnumerable<Kind> kinds)
    {
        var resources = kinds.Select(kind => $$"""{"name":"{{kind.Plural}}","singularName":"{{kind.Singular}}","namespaced":{{(kind.Namespaced ? "true" : "false")}},"kind":"{{kind.Name}}","verbs":["create","get","list","patch","update"],"shortNames":[{{string.Join(",", kind.ShortNames.Select(x => $"\"{x}\""))}}]}""");
        return $$"""{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"{{groupVersion}}","resources":[{{string.Join(",", resources)}}]}""";
    }
}
