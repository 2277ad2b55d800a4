using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>Certificate signing requests: who asks, what is asked, and who may decide.</summary>
public sealed class CertificateRequestTests
{
    private static readonly Kind Csr = Kind.Find("certificates.k8s.io", "v1", "certificatesigningrequests")!;
    private static readonly ResourceKey Key = ResourceKey.Of(Csr, "", "jack");
    private static readonly User Jane = new("jane", "devs", User.Authenticated);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_requester_is_noted_and_nothing_that_was_asked_changes()
    {
        await using var server = await InProcessApi.Start();
        var made = await Create(server.Server.As(Jane), "example.io/x", "CN=jack", "\"username\":\"root\",\"uid\":\"1\",");
        Assert.Equal(("jane", """["devs","system:authenticated"]""", null), ((string?)made["spec"]!["username"], made["spec"]!["groups"]!.ToJsonString(), made["spec"]!["uid"]));
        var changed = await server.Admin.Patch(Key, PatchKind.Merge, """{"spec":{"signerName":"other.io/y"},"metadata":{"labels":{"a":"b"}}}"""u8.ToArray(), stop: Stop);
        Assert.Equal(("example.io/x", "b"), ((string?)Json(changed)["spec"]!["signerName"], (string?)Json(changed)["metadata"]!["labels"]!["a"]));
    }

    [Fact]
    public async Task Approving_and_signing_are_rights_by_signer()
    {
        var asked = new List<string>();
        await using var server = await InProcessApi.Start(options: new()
        {
            Allows = (user, x) =>
            {
                asked.Add($"{x.Verb} {x.Resource} {x.Name}");
                return user.Name == "admin";
            },
        });
        await Create(server.Admin, "example.io/x", "CN=jack");
        const string approved = """{"status":{"conditions":[{"type":"Approved","status":"True","reason":"Yes"}]}}""";
        var refused = await Assert.ThrowsAsync<ApiException>(() => Patch(server.Server.As(Jane), "approval", approved));
        Assert.Equal((403, "certificatesigningrequests.certificates.k8s.io \"jack\" is forbidden: user not permitted to approve requests with signerName \"example.io/x\""), (refused.Code, refused.Message));
        Assert.Equal(["approve signers example.io/x", "approve signers example.io/*"], asked);
        var decided = Json(await Patch(server.Admin, "approval", approved));
        Assert.NotNull(decided["status"]!["conditions"]![0]!["lastTransitionTime"]);
        Assert.Equal(403, (await Assert.ThrowsAsync<ApiException>(() => Patch(server.Server.As(Jane), "status", """{"status":{"certificate":"eA=="}}"""))).Code);
        await Patch(server.Admin, "status", """{"status":{"certificate":"eA=="}}""");
    }

    [Fact]
    public async Task Who_signs_decides_nothing()
    {
        const string approved = """{"type":"Approved","status":"True","reason":"Yes"}""";
        await using var server = await InProcessApi.Start(options: new() { Allows = (user, x) => user.Name == "admin" || (user.Name == "signer" && x.Verb == "sign") });
        var signer = server.Server.As(new User("signer"));
        await Create(server.Admin, "example.io/x", "CN=jack");
        var refused = await Assert.ThrowsAsync<ApiException>(() => Patch(signer, "status", $$$"""{"status":{"certificate":"eA==","conditions":[{{{approved}}}]}}"""));
        Assert.Equal("Forbidden: updates may not add a condition of type \"Approved\"", Assert.Single(refused.Status.Causes).Message);

        const string failed = """{"type":"Failed","status":"True"}""";
        await Patch(server.Admin, "approval", $$$"""{"status":{"conditions":[{{{approved}}}]}}""");
        Assert.Equal(403, (await Assert.ThrowsAsync<ApiException>(() => Patch(server.Server.As(Jane), "status", $$$"""{"status":{"conditions":[{{{approved}}},{{{failed}}}]}}"""))).Code);
        var changed = Json(await Patch(signer, "status", $$$"""{"status":{"conditions":[{{{approved.Replace("Yes", "No", StringComparison.Ordinal)}}},{{{failed}}}]}}"""));
        Assert.Equal(("Yes", "Failed"), ((string?)changed["status"]!["conditions"]![0]!["reason"], (string?)changed["status"]!["conditions"]![1]!["type"]));
    }

    [Fact]
    public async Task A_webhook_does_not_say_who_asks()
    {
        await using var server = await InProcessApi.Start(options: new() { Hook = Rename });
        await server.Admin.Create(ResourceKey.Of(Kind.MutatingWebhookConfiguration, "", "a"), """
            {"metadata":{"name":"a"},"webhooks":[{"name":"a.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","clientConfig":{"url":"https://127.0.0.1:9/"},
            "rules":[{"apiGroups":["certificates.k8s.io"],"apiVersions":["v1"],"resources":["*"],"operations":["CREATE"]}]}]}
            """u8.ToArray(), stop: Stop);
        var made = await Create(server.Server.As(Jane), "example.io/x", "CN=jack");
        Assert.Equal(("jane", """["devs","system:authenticated"]""", "b"), ((string?)made["spec"]!["username"], made["spec"]!["groups"]!.ToJsonString(), (string?)made["metadata"]!["labels"]!["a"]));

        static Task<ReadOnlyMemory<byte>> Rename(Declarative.ApiServer.Admission.Webhooks.HookTarget target, ReadOnlyMemory<byte> body, TimeSpan timeout, CancellationToken stop)
        {
            var patch = """[{"op":"add","path":"/spec/username","value":"root"},{"op":"add","path":"/spec/groups","value":["system:masters"]},{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]"""u8;
            var uid = (string)JsonNode.Parse(body.Span)!["request"]!["uid"]!;
            var response = new JsonObject { ["uid"] = uid, ["allowed"] = true, ["patchType"] = "JSONPatch", ["patch"] = Convert.ToBase64String(patch) };
            return Task.FromResult<ReadOnlyMemory<byte>>(Encoding.UTF8.GetBytes(new JsonObject { ["apiVersion"] = "admission.k8s.io/v1", ["kind"] = "AdmissionReview", ["response"] = response }.ToJsonString()));
        }
    }

    [Theory]
    [InlineData("{0}\n", true)]
    [InlineData("text\n{0}", false)]
    [InlineData("{0}\n{0}", false)]
    [InlineData("-----BEGIN CERTIFICATE REQUEST-----\nA: b\n\neA==\n-----END CERTIFICATE REQUEST-----", false)]
    [InlineData("-----BEGIN CERTIFICATE REQUEST-----\neA==\n-----END CERTIFICATE REQUEST-----", false)]
    [InlineData("-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----", false)]
    public async Task One_request_and_nothing_else_is_asked(string form, bool may)
    {
        await using var server = await InProcessApi.Start();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var made = CreatePem(server.Admin, "example.io/x", form.Replace("{0}", new CertificateRequest("CN=jack", key, HashAlgorithmName.SHA256).CreateSigningRequestPem(), StringComparison.Ordinal));
        if (may) await made;
        else Assert.Equal(("spec.request", 422), ((await Assert.ThrowsAsync<ApiException>(() => made)).Status.Causes.Single().Field, (await Assert.ThrowsAsync<ApiException>(() => made)).Code));
    }

    [Theory]
    [InlineData("""{"status":{"conditions":[{"type":"Approved","status":"False"}]}}""", "status.conditions[0].status")]
    [InlineData("""{"status":{"conditions":[{"type":"Approved","status":"True"},{"type":"Denied","status":"True"}]}}""", "status.conditions[1].type")]
    [InlineData("""{"status":{"conditions":[{"type":"Failed","status":"True"}]}}""", "status.conditions")]
    public async Task A_decision_is_true_one_and_stays(string patch, string field)
    {
        await using var server = await InProcessApi.Start();
        await Create(server.Admin, "example.io/x", "CN=jack");
        if (field == "status.conditions") await Patch(server.Admin, "approval", """{"status":{"conditions":[{"type":"Approved","status":"True"}]}}""");
        var refused = await Assert.ThrowsAsync<ApiException>(() => Patch(server.Admin, "approval", patch));
        Assert.Contains(refused.Status.Causes, x => x.Field == field);
    }

    [Theory]
    [InlineData("kubernetes.io/kube-apiserver-client", "O=system:masters, CN=jack", "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed")]
    [InlineData("kubernetes.io/kube-apiserver-client", "O=devs, CN=jack", "")]
    [InlineData("example.io/x", "O=system:masters, CN=jack", "")]
    [InlineData("signer", "CN=jack", "must be a fully qualified domain and path")]
    public async Task Nobody_asks_to_be_a_master(string signer, string subject, string says)
    {
        await using var server = await InProcessApi.Start();
        var made = Create(server.Admin, signer, subject);
        if (says.Length == 0) await made;
        else Assert.Contains(says, (await Assert.ThrowsAsync<ApiException>(() => made)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("kubernetes.io/kube-apiserver-client", false)]
    [InlineData("example.io/x", true)]
    public async Task A_client_has_no_name_of_several_values(string signer, bool may)
    {
        await using var server = await InProcessApi.Start();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var name = new AsnWriter(AsnEncodingRules.DER);
        using (name.PushSequence())
        using (name.PushSetOf())
        {
            foreach (var (type, value) in (ReadOnlySpan<(string, string)>)[("2.5.4.10", User.Masters), ("2.5.4.3", "jack")])
            {
                using var part = name.PushSequence();
                name.WriteObjectIdentifier(type);
                name.WriteCharacterString(UniversalTagNumber.UTF8String, value);
            }
        }
        var made = CreatePem(server.Admin, signer, new CertificateRequest(new X500DistinguishedName(name.Encode()), key, HashAlgorithmName.SHA256).CreateSigningRequestPem());
        if (may) await made;
        else Assert.Contains("a relative distinguished name of several values is not allowed", (await Assert.ThrowsAsync<ApiException>(() => made)).Message, StringComparison.Ordinal);
    }

    private static async Task<JsonNode> Create(IApi api, string signer, string subject, string more = "")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return await CreatePem(api, signer, new CertificateRequest(subject, key, HashAlgorithmName.SHA256).CreateSigningRequestPem(), more);
    }

    private static async Task<JsonNode> CreatePem(IApi api, string signer, string pem, string more = "")
    {
        var json = $$$"""{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"jack"},"spec":{ {{{more}}} "request":"{{{Convert.ToBase64String(Encoding.ASCII.GetBytes(pem))}}}","signerName":"{{{signer}}}","usages":["client auth"]}}""";
        return Json(await api.Create(Key, Encoding.UTF8.GetBytes(json), stop: Stop));
    }

    private static Task<Stored> Patch(IApi api, string subresource, string patch) => api.Patch(Key, PatchKind.Merge, Encoding.UTF8.GetBytes(patch), new() { Subresource = subresource }, Stop);

    private static JsonNode Json(Stored stored) => JsonNode.Parse(stored.Json.Span)!;
}
