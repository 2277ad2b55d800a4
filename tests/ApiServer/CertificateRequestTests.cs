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

    private static async Task<JsonNode> Create(IApi api, string signer, string subject, string more = "")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var pem = new CertificateRequest(subject, key, HashAlgorithmName.SHA256).CreateSigningRequestPem();
        var json = $$$"""{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"jack"},"spec":{ {{{more}}} "request":"{{{Convert.ToBase64String(Encoding.ASCII.GetBytes(pem))}}}","signerName":"{{{signer}}}","usages":["client auth"]}}""";
        return Json(await api.Create(Key, Encoding.UTF8.GetBytes(json), stop: Stop));
    }

    private static Task<Stored> Patch(IApi api, string subresource, string patch) => api.Patch(Key, PatchKind.Merge, Encoding.UTF8.GetBytes(patch), new() { Subresource = subresource }, Stop);

    private static JsonNode Json(Stored stored) => JsonNode.Parse(stored.Json.Span)!;
}
