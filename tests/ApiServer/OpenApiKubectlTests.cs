using System.Collections.Concurrent;
using System.Text;
using Declarative.Api.Kinds;
using Declarative.ApiServer.OpenApi;
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

    private Task<(int Code, string Output)> Run(string kubectl, string arguments, string input = "") =>
        KubectlBinaries.Run(kubectl, _server.Urls.First(), _home, arguments, input, TestContext.Current.CancellationToken);

    private async Task Answer(HttpContext context)
    {
        var (request, path) = (context.Request, context.Request.Path.Value!.Trim('/'));
        _requests.Enqueue($"{request.Method} {request.Path}{request.QueryString}");
        if (request.Method == "POST")
        {
            context.Response.StatusCode = 201;
            context.Response.ContentType = "application/json";
            await request.Body.CopyToAsync(context.Response.Body);
            return;
        }

        var words = path.Split('/');
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
