using System.Buffers.Text;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.ApiServer.Authentication.Oidc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>ID tokens of a small issuer behind HTTPS.</summary>
public sealed class OidcIssuerTests : IAsyncDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("declarative-oidc-");
    private readonly RSA _rsa = RSA.Create(2048);
    private readonly ECDsa _ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly List<JsonObject> _keys = [];
    private WebApplication _app = null!;
    private string _issuer = "";
    private string _named = ""; // what the discovery document says of itself
    private int _asked;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string Ca => Path.Combine(_directory.FullName, "ca.pem");

    [Fact]
    public async Task Claims_make_the_user_as_the_flags_say()
    {
        await StartIssuer();
        await using var server = await Start(x => x with { UsernameClaim = "email", GroupsClaim = "teams", GroupsPrefix = "oidc:", RequiredClaims = new Dictionary<string, string> { ["hd"] = "example.org" } });
        var claims = Claims();
        (claims["email"], claims["teams"], claims["hd"]) = ("jane@example.org", new JsonArray("a", "b"), "example.org");
        var me = await Me(server, Rs256(claims));
        Assert.Equal("jane@example.org", me.Name);
        Assert.Equal(["oidc:a", "oidc:b", "system:authenticated"], me.Groups);

        claims["teams"] = "one";
        Assert.Equal(["oidc:one", "system:authenticated"], (await Me(server, Rs256(claims))).Groups);
        await Refused("an unverified address", x => x["email_verified"] = false);
        await Refused("another required claim", x => x["hd"] = "example.com");
        await Refused("no required claim", x => x.Remove("hd"));
        await Refused("no name", x => x.Remove("email"));
        await Refused("groups that are none", x => x["teams"] = 7);

        async Task Refused(string why, Action<JsonObject> change)
        {
            var changed = (JsonObject)claims.DeepClone();
            change(changed);
            Assert.Equal((why, 401), (why, await Code(server, Rs256(changed))));
        }
    }

    [Fact]
    public async Task A_token_is_held_against_issuer_audience_times_and_signature()
    {
        await StartIssuer();
        await using var server = await Start(x => x);
        var me = await Me(server, Rs256(Claims()));
        Assert.Equal(_issuer + "#jane", me.Name);
        Assert.Equal(["system:authenticated"], me.Groups);
        var several = Claims();
        several["aud"] = new JsonArray("other", "us");
        Assert.Equal(201, await Code(server, Rs256(several)));
        Assert.Equal(1, _asked);

        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        foreach (var (why, change) in new (string, Action<JsonObject>)[]
        {
            ("issuer", x => x["iss"] = _issuer + "/"),
            ("audience", x => x["aud"] = "them"),
            ("no audience", x => x.Remove("aud")),
            ("ended", x => x["exp"] = now - 1),
            ("no end", x => x.Remove("exp")),
            ("not yet", x => x["nbf"] = now + 3600),
        })
        {
            var claims = Claims();
            change(claims);
            Assert.Equal((why, 401), (why, await Code(server, Rs256(claims))));
        }
        var token = Rs256(Claims());
        Assert.Equal(401, await Code(server, token[..^8] + "AAAAAAAA"));
        Assert.Equal(401, await Code(server, token[..token.LastIndexOf('.')] + "."));
        Assert.Equal(401, await Code(server, Token("none", "rsa", Claims(), _ => [])));
        Assert.Equal(401, await Code(server, "a.b.c"));
        Assert.Equal(401, await Code(server, Part("{\"alg\":\"RS256\",\"alg\":\"none\"}") + token[token.IndexOf('.', StringComparison.Ordinal)..]));
        // Signed rightly, but not by an algorithm that was asked for.
        _keys.Add(EcKey("ec"));
        Assert.Equal(401, await Code(server, Es256(Claims(), "ec")));
        using var stranger = RSA.Create(2048);
        Assert.Equal(401, await Code(server, Token("RS256", "rsa", Claims(), x => stranger.SignData(x, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1))));
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task A_new_key_is_asked_for_and_made_up_ones_do_not_flood_the_issuer()
    {
        await StartIssuer();
        var time = new Client.ManualTime();
        using var tokens = new OidcTokens(Options() with { SigningAlgorithms = ["RS256", "ES256"] }, time, _ => { });
        var claims = Claims(time.GetUtcNow());
        Assert.NotNull(await tokens.Authenticate(Rs256(claims), Stop));
        Assert.Null(await tokens.Authenticate(Es256(claims, "new"), Stop));
        Assert.Equal(1, _asked);
        _keys.Clear();
        _keys.Add(EcKey("new"));
        time.Advance(TimeSpan.FromSeconds(11));
        Assert.NotNull(await tokens.Authenticate(Es256(claims, "new"), Stop));
        for (var i = 0; i < 20; i++) Assert.Null(await tokens.Authenticate(Es256(claims, $"made-up-{i}"), Stop));
        Assert.Equal(2, _asked);
        // The old one is no longer the issuer's.
        time.Advance(TimeSpan.FromSeconds(11));
        Assert.Null(await tokens.Authenticate(Rs256(claims), Stop));
        Assert.Equal(3, _asked);
    }

    [Fact]
    public async Task An_issuer_that_is_another_or_has_another_certificate_gives_no_keys()
    {
        await StartIssuer();
        _named = "https://other.example.org";
        var told = "";
        using (var tokens = new OidcTokens(Options(), TimeProvider.System, x => told = x)) Assert.Null(await tokens.Authenticate(Rs256(Claims()), Stop));
        Assert.Contains("that of issuer \"https://other.example.org\"", told, StringComparison.Ordinal);
        using (var tokens = new OidcTokens(Options() with { CaFile = "" }, TimeProvider.System, x => told = x)) Assert.Null(await tokens.Authenticate(Rs256(Claims()), Stop));
        Assert.Contains("certificate", told, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://a", "us", "RS256", "--oidc-issuer-url http://a: expected https://HOST[/PATH]")]
    [InlineData("https://a", "", "RS256", "--oidc-client-id: needed")]
    [InlineData("https://a", "us", "HS256", "--oidc-signing-algs HS256: expected some of RS256, ")]
    public void A_wrong_flag_is_named(string issuer, string client, string algorithm, string message) =>
        Assert.StartsWith(message, Assert.Throws<FormatException>(() => new OidcOptions(issuer, client) { SigningAlgorithms = [algorithm] }.Check()).Message, StringComparison.Ordinal);

    public async ValueTask DisposeAsync()
    {
        if (_app is not null) await _app.DisposeAsync();
        _rsa.Dispose();
        _ec.Dispose();
        _directory.Delete(recursive: true);
    }

    private OidcOptions Options() => new(_issuer, "us") { CaFile = Ca };

    private async Task<RunningFace> Start(Func<OidcOptions, OidcOptions> change) => await RunningFace.Start(x => x with { Oidc = change(Options()) });

    private async Task StartIssuer()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=issuer", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        await File.WriteAllTextAsync(Ca, made.ExportCertificatePem(), Stop);
        var certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(x => x.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        _app = builder.Build();
        _app.Run(async context =>
        {
            if (context.Request.Path == "/realm/keys") Interlocked.Increment(ref _asked);
            await context.Response.WriteAsync((context.Request.Path.Value switch
            {
                "/realm/.well-known/openid-configuration" => new JsonObject { ["issuer"] = _named, ["jwks_uri"] = _issuer + "/keys" },
                "/realm/keys" => new JsonObject { ["keys"] = new JsonArray([.. _keys.Select(x => x.DeepClone())]) },
                _ => [],
            }).ToJsonString());
        });
        await _app.StartAsync(Stop);
        _issuer = _named = $"https://127.0.0.1:{new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port}/realm";
        var rsa = _rsa.ExportParameters(false);
        _keys.Add(new() { ["kty"] = "RSA", ["kid"] = "rsa", ["use"] = "sig", ["alg"] = "RS256", ["n"] = Base64Url.EncodeToString(rsa.Modulus), ["e"] = Base64Url.EncodeToString(rsa.Exponent) });
    }

    private JsonObject EcKey(string id)
    {
        var point = _ec.ExportParameters(false).Q;
        return new() { ["kty"] = "EC", ["kid"] = id, ["crv"] = "P-256", ["x"] = Base64Url.EncodeToString(point.X), ["y"] = Base64Url.EncodeToString(point.Y) };
    }

    private JsonObject Claims(DateTimeOffset? now = null) => new() { ["iss"] = _issuer, ["aud"] = "us", ["sub"] = "jane", ["exp"] = (now ?? DateTimeOffset.UtcNow).AddMinutes(5).ToUnixTimeSeconds() };

    private string Rs256(JsonObject claims) => Token("RS256", "rsa", claims, x => _rsa.SignData(x, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));

    private string Es256(JsonObject claims, string id) => Token("ES256", id, claims, x => _ec.SignData(x, HashAlgorithmName.SHA256));

    private static string Token(string algorithm, string id, JsonObject claims, Func<byte[], byte[]> sign)
    {
        var signed = Part(new JsonObject { ["alg"] = algorithm, ["kid"] = id }.ToJsonString()) + "." + Part(claims.ToJsonString());
        return signed + "." + Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes(signed)));
    }

    private static string Part(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));

    private static async Task<(string Name, List<string> Groups)> Me(RunningFace server, string token)
    {
        using var client = server.Client("nobody");
        var user = (await Ask(client, token).Json(201)).GetProperty("status").GetProperty("userInfo");
        return (user.Text("username"), [.. user.GetProperty("groups").EnumerateArray().Select(x => x.GetString()!)]);
    }

    private static async Task<int> Code(RunningFace server, string token)
    {
        using var client = server.Client("nobody");
        using var answer = await Ask(client, token);
        return (int)answer.StatusCode;
    }

    private static Task<HttpResponseMessage> Ask(HttpClient client, string token)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/apis/authentication.k8s.io/v1/selfsubjectreviews")
        {
            Version = HttpVersion.Version20,
            Content = """{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}""".Body(),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client.SendAsync(request, Stop);
    }
}
