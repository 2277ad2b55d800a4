using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>What every namespace has, Service default/kubernetes, and the tokens of ServiceAccounts.</summary>
public sealed class ServiceAccountTests : IAsyncLifetime
{
    private const string Tokens = "/api/v1/namespaces/default/serviceaccounts/default/token";
    private RunningFace _server = null!;
    private HttpClient _admin = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await RunningFace.Start(options =>
        {
            var file = Path.Combine(options.Directory, "more-tokens.csv");
            File.WriteAllText(file, "# a comment\nsesame,ali,1,\"readers,others\"\n");
            return options with { ServesTasks = true, TokenFile = file };
        });
        _admin = _server.Client();
    }

    public async ValueTask DisposeAsync()
    {
        _admin.Dispose();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Every_namespace_has_an_account_and_the_root_certificate_and_gets_them_back()
    {
        await _server.Admin.Create(new(Kind.Namespace, "", "shop"), """{"metadata":{"name":"shop"}}"""u8.ToArray(), stop: Stop);
        var (account, map) = (ResourceKey.Of(Kind.ServiceAccount, "shop", "default"), ResourceKey.Of(Kind.ConfigMap, "shop", "kube-root-ca.crt"));
        await Eventually.Async(() => Exists(account), "the account");
        await Eventually.Async(async () => await Exists(map) && ConfigMap.Read((await _server.Admin.Get(map, stop: Stop)).Json).Data["ca.crt"] == _server.Face.Pki.CaCertificate, "the certificate");
        await _server.Admin.Delete(account, stop: Stop);
        await _server.Admin.Patch(map, PatchKind.Merge, """{"data":{"ca.crt":"forged"}}"""u8.ToArray(), stop: Stop);
        await Eventually.Async(() => Exists(account), "the account again");
        await Eventually.Async(async () => ConfigMap.Read((await _server.Admin.Get(map, stop: Stop)).Json).Data["ca.crt"] == _server.Face.Pki.CaCertificate, "the certificate again");
    }

    [Fact]
    public async Task Service_default_kubernetes_leads_here()
    {
        var slice = await _admin.GetAsync("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes", Stop).Json();
        Assert.Equal(("127.0.0.1", _server.Face.Port), (slice.GetProperty("endpoints")[0].GetProperty("addresses")[0].GetString(), slice.GetProperty("ports")[0].GetProperty("port").GetInt32()));
        var service = await _admin.GetAsync("/api/v1/namespaces/default/services/kubernetes", Stop).Json();
        Assert.Equal(443, service.GetProperty("spec").GetProperty("ports")[0].GetProperty("port").GetInt32());
    }

    [Fact]
    public async Task A_token_is_its_account_until_what_it_is_bound_to_is_gone()
    {
        await Eventually.Async(() => Exists(ResourceKey.Of(Kind.ServiceAccount, "default", "default")), "the account");
        var pod = await _server.Admin.Create(ResourceKey.Of(Kind.Pod, "default", "p"), """{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"x"}]}}"""u8.ToArray(), stop: Stop);
        var asked = await _admin.PostAsync(Tokens, $$$"""{"spec":{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"{{{pod.Uid}}}"},"expirationSeconds":600}}""".Body(), Stop).Json(201);
        var token = asked.Text("status", "token");
        using var account = As(token);
        var self = await account.PostAsync("/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}".Body(), Stop).Json(201);
        Assert.Equal("system:serviceaccount:default:default", self.Text("status", "userInfo", "username"));
        Assert.Contains("system:serviceaccounts:default", self.Text("status", "userInfo", "groups"), StringComparison.Ordinal);
        Assert.Equal((await _server.Admin.Get(ResourceKey.Of(Kind.ServiceAccount, "default", "default"), stop: Stop)).Uid, self.Text("status", "userInfo", "uid"));
        var extra = self.GetProperty("status").GetProperty("userInfo").GetProperty("extra");
        Assert.Equal($"p {pod.Uid}", $"{extra.GetProperty("authentication.kubernetes.io/pod-name")[0]} {extra.GetProperty("authentication.kubernetes.io/pod-uid")[0]}");
        Assert.Matches("^JTI=[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", extra.GetProperty("authentication.kubernetes.io/credential-id")[0].GetString());
        await account.GetAsync("/api/v1/namespaces/default/secrets", Stop).Json(403);

        var review = await Review(token, "");
        Assert.Equal(("True", "system:serviceaccount:default:default"), (review.Text("status", "authenticated"), review.Text("status", "user", "username")));
        Assert.Equal("False", (await Review(token, """,{"audiences":["elsewhere"]}""")).Text("status", "authenticated"));
        Assert.Equal("False", (await Review(token[..^4] + "AAAA", "")).Text("status", "authenticated"));

        await _server.Admin.Delete(pod.Key, stop: Stop);
        await account.GetAsync("/api", Stop).Json(401);
    }

    /// <summary>The Secret may be there before the account that it names.</summary>
    [Fact]
    public async Task A_secret_for_a_token_is_filled_and_the_token_ends_with_it()
    {
        var (account, secret) = (ResourceKey.Of(Kind.ServiceAccount, "default", "robot"), ResourceKey.Of(Kind.Secret, "default", "robot-token"));
        await _server.Admin.Create(secret, """{"metadata":{"name":"robot-token","annotations":{"kubernetes.io/service-account.name":"robot"}},"type":"kubernetes.io/service-account-token"}"""u8.ToArray(), stop: Stop);
        await _server.Admin.Create(account, """{"metadata":{"name":"robot"}}"""u8.ToArray(), stop: Stop);
        await Eventually.Async(async () => (await Data()).ContainsKey("token"), "the token");
        var data = await Data();
        Assert.Equal((_server.Face.Pki.CaCertificate, "default"), (data["ca.crt"], data["namespace"]));
        using var robot = As(data["token"]);
        var self = await robot.PostAsync("/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}".Body(), Stop).Json(201);
        Assert.Equal("system:serviceaccount:default:robot", self.Text("status", "userInfo", "username"));
        await _server.Admin.Delete(secret, stop: Stop);
        await robot.GetAsync("/api", Stop).Json(401);

        async Task<Dictionary<string, string>> Data()
        {
            using var json = JsonDocument.Parse((await _server.Admin.Get(secret, stop: Stop)).Json);
            return json.RootElement.TryGetProperty("data", out var data) ? data.EnumerateObject().ToDictionary(x => x.Name, x => Encoding.UTF8.GetString(x.Value.GetBytesFromBase64())) : [];
        }
    }

    [Fact]
    public async Task Tokens_for_others_do_not_open_this_server()
    {
        await Eventually.Async(() => Exists(ResourceKey.Of(Kind.ServiceAccount, "default", "default")), "the account");
        var asked = await _admin.PostAsync(Tokens, """{"spec":{"audiences":["vault"]}}""".Body(), Stop).Json(201);
        using var account = As(asked.Text("status", "token"));
        await account.GetAsync("/api", Stop).Json(401);
        Assert.Equal("""["vault"]""", (await Review(asked.Text("status", "token"), """,{"audiences":["vault","x"]}""")).Text("status", "audiences"));
        var refused = await _admin.PostAsync(Tokens, """{"spec":{"expirationSeconds":60}}""".Body(), Stop).Json(422);
        Assert.Equal("spec.expirationSeconds", refused.GetProperty("details").GetProperty("causes")[0].Text("field"));
        await _admin.PostAsync(Tokens.Replace("/default/token", "/nobody/token", StringComparison.Ordinal), "{}".Body(), Stop).Json(404);
    }

    [Fact]
    public async Task Others_can_verify_tokens_by_the_discovery_documents()
    {
        var configuration = await _admin.GetAsync("/.well-known/openid-configuration", Stop).Json();
        var keys = await _admin.GetAsync(new Uri(configuration.Text("jwks_uri")).PathAndQuery, Stop).Json();
        var key = keys.GetProperty("keys")[0];
        Assert.Equal(("ES256", "P-256"), (key.Text("alg"), key.Text("crv")));
        await Eventually.Async(() => Exists(ResourceKey.Of(Kind.ServiceAccount, "default", "default")), "the account");
        var token = (await _admin.PostAsync(Tokens, "{}".Body(), Stop).Json(201)).Text("status", "token").Split('.');
        using var verifier = System.Security.Cryptography.ECDsa.Create(new System.Security.Cryptography.ECParameters
        {
            Curve = System.Security.Cryptography.ECCurve.NamedCurves.nistP256,
            Q = new() { X = Bytes(key.Text("x")), Y = Bytes(key.Text("y")) },
        });
        Assert.True(verifier.VerifyData(Encoding.ASCII.GetBytes(token[0] + "." + token[1]), Bytes(token[2]), System.Security.Cryptography.HashAlgorithmName.SHA256));
        Assert.Equal(configuration.Text("issuer"), JsonDocument.Parse(Bytes(token[1])).RootElement.Text("iss"));

        static byte[] Bytes(string text) => System.Buffers.Text.Base64Url.DecodeFromChars(text);
    }

    [Fact]
    public async Task A_token_file_adds_users()
    {
        using var ali = As("sesame");
        var self = await ali.PostAsync("/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}".Body(), Stop).Json(201);
        Assert.Equal(("ali", """["readers","others","system:authenticated"]"""), (self.Text("status", "userInfo", "username"), self.Text("status", "userInfo", "groups")));
        using var stranger = As("sesamo");
        await stranger.GetAsync("/api", Stop).Json(401);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private HttpClient As(string token)
    {
        var client = _server.Client(role: "nobody");
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    private Task<JsonElement> Review(string token, string more)
    {
        var body = more.Length == 0 ? $$$"""{"spec":{"token":"{{{token}}}"}}""" : $$$"""{"spec":{"token":"{{{token}}}",{{{more.Trim(',', '{', '}')}}}}}""";
        return _admin.PostAsync("/apis/authentication.k8s.io/v1/tokenreviews", body.Body(), Stop).Json(201);
    }

    private async Task<bool> Exists(ResourceKey key)
    {
        try
        {
            await _server.Admin.Get(key, stop: Stop);
            return true;
        }
        catch (ApiException absent) when (absent.IsNotFound)
        {
            return false;
        }
    }
}
