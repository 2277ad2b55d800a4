using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.ApiServer.Http.Audit;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>The audit log of a running server: who, what, with which result; and never a secret.</summary>
public sealed class AuditTests : IDisposable
{
    private const string Hidden = "dG9wLXNlY3JldC12YWx1ZQ==";
    private readonly string _directory = Directory.CreateTempSubdirectory("declarative-audit-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string File => Path.Combine(_directory, "audit.log");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Requests_are_recorded_with_who_asked_for_what_and_what_came_of_it()
    {
        string id;
        await using (var server = await Start())
        {
            using var admin = server.Client();
            using var made = await admin.PostAsync("/api/v1/namespaces/default/configmaps?fieldManager=me", Json("""{"metadata":{"name":"a"},"data":{"x":"y"}}"""), Stop);
            id = made.Headers.GetValues("Audit-Id").Single();
            await admin.GetAsync("/api/v1/namespaces/default/configmaps/none", Stop);
            await admin.GetAsync("/healthz", Stop);
            await admin.GetAsync("/metrics", Stop);
            using var dns = server.Client("dns");
            Assert.Equal(HttpStatusCode.Forbidden, (await dns.PostAsync("/api/v1/namespaces/default/configmaps", Json("""{"metadata":{"name":"b"}}"""), Stop)).StatusCode);
            await dns.GetAsync("/api/v1/pods", Stop); // a part of the platform reads: not kept
            using var acting = new HttpRequestMessage(HttpMethod.Get, "/api/v1/namespaces/default/pods");
            acting.Headers.Add("Impersonate-User", "jane");
            acting.Headers.Add("Impersonate-Extra-aa", "x");
            acting.Headers.Add("Impersonate-Extra-a%61", "y");
            await admin.SendAsync(acting, Stop);
            using var nobody = server.Client("nobody");
            Assert.Equal(HttpStatusCode.Unauthorized, (await nobody.GetAsync("/api/v1/secrets", Stop)).StatusCode);
            using var pretending = new HttpRequestMessage(HttpMethod.Post, "/api/v1/namespaces/default/secrets") { Content = Json("{}") };
            pretending.Headers.Add("Impersonate-User", "admin");
            Assert.Equal(HttpStatusCode.Forbidden, (await dns.SendAsync(pretending, Stop)).StatusCode);
        }
        var events = Events();
        Assert.Equal(
            ["create configmaps a 201", "get configmaps none 404", "get /metrics 200", "create configmaps 403", "list pods 403", "list secrets 401", "create secrets 403"],
            events.Select(x => string.Join(' ', ((string?[])[(string?)x["verb"], (string?)x["objectRef"]?["resource"] ?? (string?)x["requestURI"], (string?)x["objectRef"]?["name"], x["responseStatus"]!["code"]!.ToString()]).OfType<string>())));
        var first = events[0];
        Assert.Equal(id, (string)first["auditID"]!);
        Assert.Equal(("Event", "audit.k8s.io/v1", "Metadata", "ResponseComplete"), ((string)first["kind"]!, (string)first["apiVersion"]!, (string)first["level"]!, (string)first["stage"]!));
        Assert.Equal("admin", (string)first["user"]!["username"]!);
        Assert.Equal("default", (string)first["objectRef"]!["namespace"]!);
        Assert.Equal("/api/v1/namespaces/default/configmaps?fieldManager=me", (string)first["requestURI"]!);
        Assert.Equal("allow", (string)first["annotations"]!["authorization.k8s.io/decision"]!);
        Assert.Null(first["requestObject"]);
        Assert.Equal(("system:declarative:dns", "forbid"), ((string)events[3]["user"]!["username"]!, (string)events[3]["annotations"]!["authorization.k8s.io/decision"]!));
        Assert.Equal(("admin", "jane"), ((string)events[4]["user"]!["username"]!, (string)events[4]["impersonatedUser"]!["username"]!));
        Assert.Equal(["x", "y"], events[4]["impersonatedUser"]!["extra"]!["aa"]!.AsArray().Select(x => (string)x!).Order());
        Assert.Equal(("system:anonymous", "allow"), ((string)events[5]["user"]!["username"]!, (string)events[5]["annotations"]!["authorization.k8s.io/decision"]!));
        Assert.Equal(("system:declarative:dns", "forbid"), ((string)events[6]["user"]!["username"]!, (string)events[6]["annotations"]!["authorization.k8s.io/decision"]!));
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, System.IO.File.GetUnixFileMode(File));
    }

    [Fact]
    public async Task A_policy_says_how_much_is_kept_and_secrets_never_are()
    {
        var policy = Path.Combine(_directory, "policy.yaml");
        await System.IO.File.WriteAllTextAsync(policy, """
            apiVersion: audit.k8s.io/v1
            kind: Policy
            rules:
            - {level: None, resources: [{resources: [events]}]}
            - {level: Request, resources: [{resources: [configmaps], resourceNames: [quiet]}]}
            - {level: RequestResponse}
            """, Stop);
        await using (var server = await Start(policy))
        {
            using var admin = server.Client();
            await admin.PostAsync("/api/v1/namespaces/default/configmaps", Json("""{"metadata":{"name":"loud"},"data":{"x":"y"}}"""), Stop);
            await admin.PutAsync("/api/v1/namespaces/default/configmaps/quiet", Json("""{"metadata":{"name":"quiet"},"data":{"x":"z"}}"""), Stop);
            await admin.PostAsync("/api/v1/namespaces/default/secrets", Json($$"""{"metadata":{"name":"s"},"data":{"password":"{{Hidden}}"} }"""), Stop);
            await admin.GetAsync("/api/v1/namespaces/default/secrets/s", Stop);
            await admin.PostAsync("/api/v1/namespaces/default/serviceaccounts/default/token", Json("""{"spec":{"audiences":["x"]}}"""), Stop);
            await admin.GetAsync("/api/v1/namespaces/default/events", Stop);
            using var watch = new CancellationTokenSource();
            using var stream = await admin.GetAsync("/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=1", HttpCompletionOption.ResponseHeadersRead, Stop);
            await stream.Content.ReadAsStringAsync(Stop);
        }
        var events = Events();
        Assert.Equal(["create", "update", "create", "get", "create", "watch", "watch"], events.Select(x => (string)x["verb"]!));
        Assert.Equal("y", (string)events[0]["requestObject"]!["data"]!["x"]!);
        Assert.NotNull(events[0]["responseObject"]!["metadata"]!["uid"]);
        Assert.Equal("z", (string)events[1]["requestObject"]!["data"]!["x"]!);
        Assert.Null(events[1]["responseObject"]);
        Assert.All(events[2..5], x => Assert.Equal(("Metadata", true, true), ((string)x["level"]!, x["requestObject"] is null, x["responseObject"] is null)));
        Assert.Equal(["ResponseStarted", "ResponseComplete"], events[5..].Select(x => (string)x["stage"]!));
        var all = await System.IO.File.ReadAllTextAsync(File, Stop);
        Assert.DoesNotContain(Hidden, all, StringComparison.Ordinal);
        Assert.DoesNotContain("\"token\":", all, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("kind: X", "expected kind Policy")]
    [InlineData("apiVersion: audit.k8s.io/v1\nkind: Policy", "rules: at least one is required")]
    [InlineData("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Much}]", "rules[0].level: \"Much\": expected None, Metadata, Request or RequestResponse")]
    [InlineData("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, users: 1}]", "rules[0].users: expected a list of strings")]
    [InlineData("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, resources: [{resourceNames: [a]}]}]", "rules[0].resources[0].resourceNames: needs resources beside it")]
    [InlineData("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]", "not both")]
    [InlineData("{", "policy.yaml")]
    public void A_policy_that_can_not_be_used_says_where(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<AuditPolicyException>(() => AuditPolicy.Parse("policy.yaml", text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("pods/log", "pods/*", true)]
    [InlineData("pods/log", "*/log", true)]
    [InlineData("pods/log", "pods/log", true)]
    [InlineData("pods/log", "*", true)]
    [InlineData("pods/log", "pods", false)]
    [InlineData("pods", "pods/*", false)]
    public void Resources_are_selected_as_Kubernetes_does(string resource, string selector, bool selected)
    {
        var policy = AuditPolicy.Parse("p", $"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{{level: Metadata, resources: [{{resources: ['{selector}']}}]}}]");
        Assert.Equal(selected ? AuditLevel.Metadata : AuditLevel.None, policy.LevelOf(new("u", [], "get", "", resource, "default", "n", "")));
    }

    [Fact]
    public async Task A_file_that_has_grown_is_put_aside_and_nothing_is_left_out()
    {
        await using (var server = await Start(bytesMax: 20_000))
        {
            using var admin = server.Client();
            for (var i = 0; i < 100; i++) await admin.GetAsync($"/api/v1/namespaces/default/configmaps/c{i}", Stop);
        }
        var files = Directory.GetFiles(_directory, "audit.log*");
        Assert.InRange(files.Length, 3, 10);
        var lines = files.SelectMany(System.IO.File.ReadAllLines).ToList();
        Assert.Equal(100, lines.Count);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"c{i}").Order(), lines.Select(x => (string)JsonNode.Parse(x)!["objectRef"]!["name"]!).Order());
    }

    [Fact]
    public async Task Policies_tell_of_failures_that_are_let_pass_and_of_what_else_they_find()
    {
        await using (var server = await Start())
        {
            using var admin = server.Client();
            const string Policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
            await admin.PostAsync(Policies, Json("""
                {"metadata":{"name":"few"},"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE","DELETE"],"resources":["configmaps"]}]},
                 "validations":[{"expression":"true"},{"expression":"object == null || !has(object.data) || size(object.data) < 2","message":"too much"}],
                 "auditAnnotations":[{"key":"size","valueExpression":"object != null && has(object.data) ? dyn('has ' + string(size(object.data))) : null"}]}}
                """), Stop).Json(201);
            foreach (var name in (string[])["one", "two"])
            {
                await admin.PostAsync(Policies.Replace("policies", "policybindings", StringComparison.Ordinal),
                    Json($$$"""{"metadata":{"name":"{{{name}}}"},"spec":{"policyName":"few","validationActions":["Audit"]}}"""), Stop).Json(201);
            }
            await admin.PostAsync("/api/v1/namespaces/default/configmaps", Json("""{"metadata":{"name":"a"},"data":{"x":"y","z":"w"}}"""), Stop).Json(201);
            await admin.DeleteAsync("/api/v1/namespaces/default/configmaps/a", Stop).Json();
        }
        var events = Events();
        var annotations = events[^2]["annotations"]!;
        Assert.Equal("has 2", (string)annotations["few/size"]!);
        var failures = JsonNode.Parse((string)annotations["validation.policy.admission.k8s.io/validation_failure"]!)!.AsArray();
        Assert.Equal(["one", "two"], failures.Select(x => (string)x!["binding"]!));
        Assert.Equal("""{"message":"too much","policy":"few","binding":"one","expressionIndex":1,"validationActions":["Audit"]}""", failures[0]!.ToJsonString());
        Assert.Equal(["authorization.k8s.io/decision"], events[^1]["annotations"]!.AsObject().Select(x => x.Key));
    }

    private Task<RunningFace> Start(string policy = "", long bytesMax = 1 << 30) =>
        RunningFace.Start(options => options with { Audit = new AuditOptions(File) { PolicyFile = policy, BytesMax = bytesMax } });

    private JsonNode[] Events() => [.. System.IO.File.ReadAllLines(File).Select(x => JsonNode.Parse(x)!)];

    private static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");
}
