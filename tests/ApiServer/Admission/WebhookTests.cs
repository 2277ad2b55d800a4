using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Wire;
using Declarative.Tests.ApiServer.CustomResources;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.Admission;

/// <summary>Admission and conversion webhooks, called over real TLS.</summary>
public sealed class WebhookTests
{
    private const string Maps = """[{"apiGroups":[""],"apiVersions":["v1"],"resources":["configmaps"],"operations":["*"]}]""";

    private static string Hook(string name, string client, string rules = Maps, string more = "") =>
        $$"""{"name":"{{name}}.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","rules":{{rules}},"clientConfig":{{client}}{{more}} }""";

    private static string At(HookServer server) => $$"""{"url":"{{server.Url}}","caBundle":"{{server.CaBundle}}"}""";

    private static async Task Configure(IApi api, Kind kind, string name, params string[] hooks) =>
        await api.Create(ResourceKey.Of(kind, "", name), Encoding.UTF8.GetBytes($$"""{"metadata":{"name":"{{name}}"},"webhooks":[{{string.Join(',', hooks)}}]}"""), stop: TestContext.Current.CancellationToken);

    private static Task<Stored> Map(IApi api, string name, string more = "", WriteOptions? options = null, string ns = "default") => api.Create(
        ResourceKey.Of(Kind.ConfigMap, ns, name), Encoding.UTF8.GetBytes($$"""{"metadata":{"name":"{{name}}"{{more}} },"data":{"a":"1"} }"""), options, TestContext.Current.CancellationToken);

    private static JsonNode Json(Stored stored) => JsonNode.Parse(stored.Json.Span)!;

    [Fact]
    public async Task Mutating_webhooks_change_in_turn_and_one_that_asks_is_called_again()
    {
        await using var face = await RunningFace.Start();
        await using var first = await HookServer.Start(request => Task.FromResult(HookServer.Allowed(request["object"] is null ? null :
            $$"""[{"op":"add","path":"/data/seen","value":"{{request["object"]!["data"]!.AsObject().Count}}"},{"op":"add","path":"/metadata/labels","value":{"hooked":"yes"} }]""")));
        await using var second = await HookServer.Start(request => Task.FromResult(HookServer.Allowed(request["object"] is null ? null : """[{"op":"add","path":"/data/second","value":"2"}]""")));
        await Configure(face.Admin, Kind.MutatingWebhookConfiguration, "a", Hook("first", At(first), more: ",\"reinvocationPolicy\":\"IfNeeded\""));
        await Configure(face.Admin, Kind.MutatingWebhookConfiguration, "b", Hook("second", At(second)));

        var made = Json(await Map(face.Admin, "m"));
        Assert.Equal("""{"a":"1","seen":"3","second":"2"}""", made["data"]!.ToJsonString());
        Assert.Equal("yes", (string)made["metadata"]!["labels"]!["hooked"]!);
        Assert.Equal((2, 1), (first.Reviews.Count, second.Reviews.Count));
        var request = first.Reviews.First()["request"]!;
        Assert.Equal(("CREATE", "m", "default", "configmaps", "admin"),
            ((string)request["operation"]!, (string)request["name"]!, (string)request["namespace"]!, (string)request["resource"]!["resource"]!, (string)request["userInfo"]!["username"]!));

        await face.Admin.Patch(ResourceKey.Of(Kind.ConfigMap, "default", "m"), PatchKind.Merge, """{"data":{"b":"2"}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        request = second.Reviews.Last()["request"]!;
        Assert.Equal("UPDATE", (string)request["operation"]!);
        Assert.Null(request["oldObject"]!["data"]!["b"]);
        await face.Admin.Delete(ResourceKey.Of(Kind.ConfigMap, "default", "m"), stop: TestContext.Current.CancellationToken);
        request = second.Reviews.Last()["request"]!;
        Assert.Equal("DELETE", (string)request["operation"]!);
        Assert.Null(request["object"]);
        Assert.Equal("2", (string)request["oldObject"]!["data"]!["b"]!);
    }

    [Fact]
    public async Task What_a_webhook_adds_gets_the_defaults_of_the_namespace_and_who_asks_for_it_sees_them()
    {
        await using var face = await RunningFace.Start();
        await using var counts = await HookServer.Start(_ => Task.FromResult(HookServer.Allowed()));
        await using var injects = await HookServer.Start(request => Task.FromResult(HookServer.Allowed("""[{"op":"add","path":"/spec/containers/-","value":{"name":"side","command":["x"]} }]""")));
        await using var never = await HookServer.Start(_ => Task.FromResult(HookServer.Allowed()));
        const string Pods = """[{"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"],"operations":["CREATE"]}]""";
        await Configure(face.Admin, Kind.MutatingWebhookConfiguration, "m", Hook("counts", At(counts), Pods, ",\"reinvocationPolicy\":\"IfNeeded\""), Hook("never", At(never), Pods), Hook("injects", At(injects), Pods));
        await face.Admin.Create(ResourceKey.Of(Kind.LimitRange, "default", "l"), """{"metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","defaultRequest":{"cpu":"250m"} }]} }"""u8.ToArray(), stop: TestContext.Current.CancellationToken);

        var made = Json(await face.Admin.Create(ResourceKey.Of(Kind.Pod, "default", "p"), """{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","command":["x"]}]} }"""u8.ToArray(), stop: TestContext.Current.CancellationToken));
        Assert.Equal(["250m", "250m"], made["spec"]!["containers"]!.AsArray().Select(x => (string)x!["resources"]!["requests"]!["cpu"]!));
        Assert.Equal((2, 1, 1), (counts.Reviews.Count, never.Reviews.Count, injects.Reviews.Count));
        Assert.Equal([1, 2], counts.Reviews.Select(x => x["request"]!["object"]!["spec"]!["containers"]!.AsArray().Count));
        Assert.Equal("250m", (string)counts.Reviews.Last()["request"]!["object"]!["spec"]!["containers"]![1]!["resources"]!["requests"]!["cpu"]!);
    }

    [Fact]
    public async Task The_audit_event_and_the_refusal_tell_what_webhooks_say()
    {
        await using var face = await RunningFace.Start();
        await using var changes = await HookServer.Start(request =>
        {
            var allowed = HookServer.Allowed("""[{"op":"add","path":"/data/b","value":"2"}]""");
            allowed["auditAnnotations"] = new JsonObject { ["seen"] = (string)request["name"]! };
            return Task.FromResult(allowed);
        });
        await using var denies = await HookServer.Start(_ =>
        {
            var denied = HookServer.Denied("too long", 422);
            denied["status"]!["reason"] = "Invalid";
            denied["status"]!["details"] = new JsonObject { ["causes"] = new JsonArray(new JsonObject { ["reason"] = "FieldValueTooLong", ["message"] = "long", ["field"] = "data.a" }) };
            return Task.FromResult(denied);
        });
        await Configure(face.Admin, Kind.MutatingWebhookConfiguration, "m", Hook("changes", At(changes)), Hook("closed", """{"url":"https://127.0.0.1:1/"}""", more: ",\"failurePolicy\":\"Ignore\""));
        var said = new Dictionary<string, string>();
        await Map(face.Admin, "a", options: new() { AuditAnnotations = said });
        Assert.Equal(new Dictionary<string, string>
        {
            ["changes.example.com/seen"] = "a",
            ["mutation.webhook.admission.k8s.io/round_0_index_0"] = """{"configuration":"m","webhook":"changes.example.com","mutated":true}""",
            ["mutation.webhook.admission.k8s.io/round_0_index_1"] = """{"configuration":"m","webhook":"closed.example.com","mutated":false}""",
            ["failed-open.mutation.webhook.admission.k8s.io/round_0_index_1"] = "closed.example.com",
        }, said);
        await Configure(face.Admin, Kind.ValidatingWebhookConfiguration, "v", Hook("denies", At(denies)));
        var refused = (await Assert.ThrowsAsync<ApiException>(() => Map(face.Admin, "b"))).Status;
        Assert.Equal((422, "Invalid", "data.a"), (refused.Code, refused.Reason, Assert.Single(refused.Causes).Field));
    }

    [Fact]
    public async Task Connections_are_shown_to_webhooks_and_policies_before_they_are_made()
    {
        await using var face = await RunningFace.Start();
        await using var hook = await HookServer.Start(request => Task.FromResult((string)request["object"]!["command"]![0]! == "rm" ? HookServer.Denied("no rm") : HookServer.Allowed()));
        await Configure(face.Admin, Kind.ValidatingWebhookConfiguration, "a", Hook("first", At(hook), """[{"apiGroups":[""],"apiVersions":["v1"],"resources":["pods/exec"],"operations":["CONNECT"]}]"""));
        await face.Admin.Create(ResourceKey.Of(Kind.ValidatingAdmissionPolicy, "", "ports"), Yaml.ToJson("""
            metadata: {name: ports}
            spec:
              matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CONNECT], resources: [pods/portforward, services/proxy]}]}
              validations: [{expression: "request.operation == 'CONNECT' && object.kind == 'PodPortForwardOptions' && !object.ports.exists(x, x < 1024)", message: not that one}]
            """u8.ToArray()), stop: TestContext.Current.CancellationToken);
        await face.Admin.Create(ResourceKey.Of(Kind.ValidatingAdmissionPolicyBinding, "", "ports"), """{"metadata":{"name":"ports"},"spec":{"policyName":"ports","validationActions":["Deny"]}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        using var client = face.Client();

        Assert.Contains("denied the request: no rm", await Said("pods/p/exec?command=rm&command=-r&container=c&stdout=true", 403), StringComparison.Ordinal);
        var request = Assert.Single(hook.Reviews)["request"]!;
        Assert.Equal("""{"kind":"PodExecOptions","apiVersion":"v1","stdout":true,"container":"c","command":["rm","-r"]}""", request["object"]!.ToJsonString());
        Assert.Equal(("CONNECT", "exec", "p", "PodExecOptions"), ((string)request["operation"]!, (string)request["subResource"]!, (string)request["name"]!, (string)request["kind"]!["kind"]!));
        // Allowed, and there is no such pod.
        Assert.Contains("pods \"p\" not found", await Said("pods/p/exec?command=ls&stdout=true", 404), StringComparison.Ordinal);
        Assert.Contains("not that one", await Said("pods/p/portforward?ports=80", 422), StringComparison.Ordinal);
        Assert.Contains("not that one", await Said("services/https:s:443/proxy/x", 422), StringComparison.Ordinal);
        Assert.Contains("not found", await Said("pods/p/portforward?ports=8080", 404), StringComparison.Ordinal);

        async Task<string> Said(string path, int code) => (await client.GetAsync("/api/v1/namespaces/default/" + path, TestContext.Current.CancellationToken).Json(code)).Text("message");
    }

    [Fact]
    public async Task A_validating_webhook_denies_with_its_own_words_and_sees_what_is_stored()
    {
        await using var face = await RunningFace.Start();
        await using var hook = await HookServer.Start(request => Task.FromResult(
            (string?)request["object"]?["data"]?["a"] == "1" ? HookServer.Denied("one is not enough", 422) : HookServer.Allowed()));
        await Configure(face.Admin, Kind.ValidatingWebhookConfiguration, "v", Hook("check", At(hook)));
        var denied = await Assert.ThrowsAsync<ApiException>(() => Map(face.Admin, "m"));
        Assert.Equal((422, "admission webhook \"check.example.com\" denied the request: one is not enough"), (denied.Code, denied.Status.Message));
        Assert.Equal(36, ((string)hook.Reviews.Last()["request"]!["object"]!["metadata"]!["uid"]!).Length);
        denied = await Assert.ThrowsAsync<ApiException>(() => Map(face.Admin, "m", options: new() { DryRun = true }));
        Assert.True((bool)hook.Reviews.Last()["request"]!["dryRun"]!);

        var kubectl = new Kubectl(Kubectls.Require(Kubectls.All.Count == 0 ? "" : Path.GetFileName(Kubectls.All[^1])), face.Face.KubeconfigPath, face.Directory);
        (await kubectl.Run("create", "configmap", "m", "--from-literal=a=1")).Fails("admission webhook \"check.example.com\" denied the request: one is not enough");
        (await kubectl.Run("create", "configmap", "m", "--from-literal=a=2")).Succeeds();
        (await kubectl.Run("delete", "configmaps", "--all")).Succeeds();
        Assert.Contains(hook.Reviews, x => (string)x["request"]!["operation"]! == "DELETE" && (string)x["request"]!["name"]! == "m");
    }

    [Fact]
    public async Task Selectors_and_conditions_say_who_is_asked()
    {
        await using var face = await RunningFace.Start();
        await using var hook = await HookServer.Start(_ => Task.FromResult(HookServer.Denied("no")));
        await face.Admin.Create(ResourceKey.Of(Kind.Namespace, "", "watched"), """{"metadata":{"name":"watched","labels":{"hooks":"on"}}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        await Configure(face.Admin, Kind.ValidatingWebhookConfiguration, "v", Hook("check", At(hook), more:
            ""","namespaceSelector":{"matchLabels":{"hooks":"on"}},"objectSelector":{"matchExpressions":[{"key":"skip","operator":"DoesNotExist"}]},"""
            + "\"matchConditions\":[{\"name\":\"not-mine\",\"expression\":\"!object.metadata.name.startsWith('own-')\"},{\"name\":\"people\",\"expression\":\"request.userInfo.username == 'admin'\"}]"));
        await Map(face.Admin, "elsewhere");
        await Map(face.Admin, "skipped", ",\"labels\":{\"skip\":\"\"}", ns: "watched");
        await Map(face.Admin, "own-one", ns: "watched");
        await Map(face.Api(new("other", User.Masters)), "others", ns: "watched");
        Assert.Empty(hook.Reviews);
        await Assert.ThrowsAsync<ApiException>(() => Map(face.Admin, "m", ns: "watched"));
        Assert.Single(hook.Reviews);
    }

    [Fact]
    public async Task Who_can_not_be_asked_refuses_or_is_passed_over()
    {
        await using var face = await RunningFace.Start();
        await using var slow = await HookServer.Start(async _ =>
        {
            await Task.Delay(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
            return HookServer.Allowed();
        });
        await using var hook = await HookServer.Start(_ => Task.FromResult(HookServer.Allowed()));
        var warnings = new List<string>();

        await Configure(face.Admin, Kind.ValidatingWebhookConfiguration, "closed", Hook("closed", """{"url":"https://127.0.0.1:1/"}""", more: ",\"failurePolicy\":\"Ignore\""));
        await Map(face.Admin, "m", options: new() { Warnings = warnings });
        Assert.Contains("admission webhook \"closed.example.com\" was passed over", Assert.Single(warnings), StringComparison.Ordinal);

        await Configure(face.Admin, Kind.ValidatingWebhookConfiguration, "slow", Hook("slow", At(slow), more: ",\"timeoutSeconds\":1"));
        var refused = await Assert.ThrowsAsync<ApiException>(() => Map(face.Admin, "n"));
        Assert.Equal(500, refused.Code);
        Assert.StartsWith("Internal error occurred: failed calling webhook \"slow.example.com\": failed to call webhook: Post \"https://127.0.0.1:", refused.Status.Message, StringComparison.Ordinal);
        Assert.Contains("context deadline exceeded", refused.Status.Message, StringComparison.Ordinal);
        await face.Admin.Delete(ResourceKey.Of(Kind.ValidatingWebhookConfiguration, "", "slow"), stop: TestContext.Current.CancellationToken);

        // Another's certificate is none, with and without a bundle.
        await Configure(face.Admin, Kind.ValidatingWebhookConfiguration, "foreign", Hook("foreign", $$"""{"url":"{{hook.Url}}","caBundle":"{{slow.CaBundle}}"}"""));
        Assert.Contains("certificate", (await Assert.ThrowsAsync<ApiException>(() => Map(face.Admin, "n"))).Status.Message, StringComparison.Ordinal);
        Assert.Empty(hook.Reviews);
    }

    [Fact]
    public async Task A_service_is_called_at_its_endpoint_under_its_own_name()
    {
        await using var face = await RunningFace.Start();
        await using var hook = await HookServer.Start(_ => Task.FromResult(HookServer.Denied("reached")));
        await Configure(face.Admin, Kind.ValidatingWebhookConfiguration, "v", Hook("check", $$"""{"service":{"namespace":"default","name":"hook","path":"/here"},"caBundle":"{{hook.CaBundle}}"}"""));
        Assert.Contains("services \"hook\" not found", (await Assert.ThrowsAsync<ApiException>(() => Map(face.Admin, "m"))).Status.Message, StringComparison.Ordinal);
        await face.Admin.Create(ResourceKey.Of(Kind.Service, "default", "hook"), """{"metadata":{"name":"hook"},"spec":{"ports":[{"name":"https","port":443}]}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        Assert.Contains("no endpoints available for service \"hook\"", (await Assert.ThrowsAsync<ApiException>(() => Map(face.Admin, "m"))).Status.Message, StringComparison.Ordinal);
        await face.Admin.Create(ResourceKey.Of(Kind.EndpointSlice, "default", "hook-1"), Encoding.UTF8.GetBytes($$"""
            {"metadata":{"name":"hook-1","labels":{"kubernetes.io/service-name":"hook"} },"addressType":"IPv4","ports":[{"name":"https","port":{{hook.Port}} }],"endpoints":[{"addresses":["127.0.0.1"],"conditions":{"ready":true} }]}
            """), stop: TestContext.Current.CancellationToken);
        Assert.Equal("admission webhook \"check.example.com\" denied the request: reached", (await Assert.ThrowsAsync<ApiException>(() => Map(face.Admin, "m"))).Status.Message);
    }

    [Fact]
    public async Task A_write_to_scale_is_shown_as_a_scale()
    {
        await using var face = await RunningFace.Start();
        await using var hook = await HookServer.Start(request => Task.FromResult(
            (string)request["kind"]!["kind"]! == "Scale" && (int)request["object"]!["spec"]!["replicas"]! > 5 ? HookServer.Denied("too many") : HookServer.Allowed()));
        await face.Admin.Create(ResourceKey.Of(Kind.Deployment, "default", "web"), """
            {"metadata":{"name":"web"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","command":["x"]}]}}}}
            """u8.ToArray(), stop: TestContext.Current.CancellationToken);
        await Configure(face.Admin, Kind.ValidatingWebhookConfiguration, "v", Hook("check", At(hook), """[{"apiGroups":["apps"],"apiVersions":["v1"],"resources":["*/scale"],"operations":["UPDATE"]}]"""));
        var key = ResourceKey.Of(Kind.Deployment, "default", "web");
        await face.Admin.Patch(key, PatchKind.Merge, """{"spec":{"replicas":3}}"""u8.ToArray(), new() { Subresource = "scale" }, TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<ApiException>(() => face.Admin.Patch(key, PatchKind.Merge, """{"spec":{"replicas":6}}"""u8.ToArray(), new() { Subresource = "scale" }, TestContext.Current.CancellationToken));
        Assert.Equal(2, hook.Reviews.Count);
    }

    [Fact]
    public async Task A_conversion_webhook_is_called_over_TLS()
    {
        await using var face = await RunningFace.Start();
        await using var hook = await HookServer.Start(request =>
        {
            var converted = new JsonArray();
            foreach (var x in request["objects"]!.AsArray())
            {
                var json = (JsonObject)x!.DeepClone();
                json["apiVersion"] = request["desiredAPIVersion"]!.DeepClone();
                json["converted"] = true;
                converted.Add(json);
            }
            return Task.FromResult(new JsonObject { ["result"] = new JsonObject { ["status"] = "Success" }, ["convertedObjects"] = converted });
        });
        var definition = CronTab.Definition + $$"""

              conversion:
                strategy: Webhook
                webhook:
                  conversionReviewVersions: [v1]
                  clientConfig: {url: "{{hook.Url}}", caBundle: "{{hook.CaBundle}}"}
            """;
        await face.Admin.Create(ResourceKey.Of(Kind.CustomResourceDefinition, "", ""), Yaml.ToJson(Encoding.UTF8.GetBytes(definition)), stop: TestContext.Current.CancellationToken);
        var kind = new Kind { Group = "stable.example.com", Version = "v1", Plural = "crontabs", Name = "CronTab", Namespaced = true };
        await face.Admin.Create(ResourceKey.Of(kind, "default", ""), Yaml.ToJson(Encoding.UTF8.GetBytes(CronTab.Object)), stop: TestContext.Current.CancellationToken);
        var older = new Kind { Group = "stable.example.com", Version = "v1beta1", Plural = "crontabs", Name = "CronTab", Namespaced = true };
        var read = Json(await face.Admin.Get(ResourceKey.Of(older, "default", "nightly"), stop: TestContext.Current.CancellationToken));
        Assert.Equal(("stable.example.com/v1beta1", true), ((string)read["apiVersion"]!, (bool)read["converted"]!));
    }

    [Theory]
    [InlineData("\"name\":\"check.example.com\"", "\"name\":\"check\"", "webhooks[0].name: Invalid value: \"check\": should be a domain with at least three segments separated by dots")]
    [InlineData("\"sideEffects\":\"None\"", "\"sideEffects\":\"Some\"", "supported values: \"None\", \"NoneOnDryRun\"")]
    [InlineData("[\"v1\"],\"sideEffects\"", "[\"v2\"],\"sideEffects\"", "must include at least one of v1")]
    [InlineData("https://127", "http://127", "'https' is the only allowed URL scheme")]
    [InlineData("\"operations\":[\"*\"]", "\"operations\":[\"READ\"]", "supported values: \"*\", \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\"")]
    [InlineData("\"sideEffects\":\"None\"", "\"sideEffects\":\"None\",\"timeoutSeconds\":31", "the timeout value must be between 1 and 30 seconds")]
    [InlineData("\"sideEffects\":\"None\"", "\"sideEffects\":\"None\",\"matchConditions\":[{\"name\":\"a\",\"expression\":\"objekt.x\"}]", "undeclared reference to 'objekt'")]
    public async Task A_wrong_configuration_is_refused(string right, string wrong, string says)
    {
        await using var api = await InProcessApi.Start();
        var hook = Hook("check", """{"url":"https://127.0.0.1:1/"}""");
        var refused = await Assert.ThrowsAsync<ApiException>(() => Configure(api.Admin, Kind.ValidatingWebhookConfiguration, "v", hook.Replace(right, wrong, StringComparison.Ordinal)));
        Assert.Equal(422, refused.Code);
        Assert.Contains(says, refused.Status.Message, StringComparison.Ordinal);
    }
}
