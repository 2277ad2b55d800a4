using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Declarative.Tests.Lb;

/// <summary>A small certificate authority that speaks ACME (RFC 8555) over HTTPS, checks every signature and nonce, and asks for challenges at the given ports in turn.</summary>
internal sealed class AcmeAuthority : IAsyncDisposable
{
    private static readonly TimeSpan Life = TimeSpan.FromDays(90);

    private readonly ConcurrentDictionary<string, bool> _nonces = new();
    private readonly ConcurrentDictionary<string, JsonNode> _accounts = new(); // by thumbprint: the JWK
    private readonly ConcurrentDictionary<string, Order> _orders = new();
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
    private readonly TimeProvider _time;
    private readonly int[] _ports;
    private readonly WebApplication _app;
    private readonly ECDsa _rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private int _asked;

    private AcmeAuthority(TimeProvider time, int[] ports)
    {
        (_time, _ports) = (time, ports);
        var request = new CertificateRequest("CN=acme root", _rootKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        Root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddYears(-1), DateTimeOffset.UtcNow.AddYears(9));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var own = OwnCertificate();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(x => x.Listen(IPAddress.Loopback, 0, y => y.UseHttps(own)));
        _app = builder.Build();
        _app.Run(Answer);
    }

    /// <summary>Issues everything, the server's own certificate too.</summary>
    public X509Certificate2 Root { get; }

    public string Directory => Base + "/directory";

    public int Orders => _orders.Count;

    public int Accounts => _accounts.Count;

    /// <summary>What a client must not do (each one is refused, too).</summary>
    public ConcurrentQueue<string> Violations { get; } = new();

    /// <summary>Customers by the ids of their keys; new accounts must be bound to one. Empty = nobody is asked.</summary>
    public Dictionary<string, byte[]> Customers { get; } = [];

    /// <summary>So many nonces that were given are forgotten.</summary>
    public int NoncesToForget;

    /// <summary>Orders are refused for the rate, for so many seconds; 0 = they are not.</summary>
    public volatile int RateLimitedSeconds;

    public static async Task<AcmeAuthority> Start(TimeProvider time, params int[] ports)
    {
        var authority = new AcmeAuthority(time, ports);
        await authority._app.StartAsync();
        return authority;
    }

    public void ForgetAccounts() => _accounts.Clear();

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _http.Dispose();
        Root.Dispose();
        _rootKey.Dispose();
    }

    private string Base => _app.Urls.First();

    private async Task Answer(HttpContext context)
    {
        var nonce = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16));
        _nonces[nonce] = true;
        context.Response.Headers["Replay-Nonce"] = nonce;
        var path = context.Request.Path.Value!;
        if (path == "/directory") await Json(context, 200, new() { ["newNonce"] = Base + "/new-nonce", ["newAccount"] = Base + "/new-account", ["newOrder"] = Base + "/new-order" });
        else if (path == "/new-nonce") context.Response.StatusCode = 200;
        else if (await Verified(context) is { } signed) await Resource(context, path, signed);
    }

    /// <summary>Section 6: the account's thumbprint and the payload, or an answer that refuses.</summary>
    private async Task<(string Account, JsonObject? Payload)?> Verified(HttpContext context)
    {
        if (context.Request.Method != "POST" || context.Request.ContentType != "application/jose+json") return await Violation(context, "expected POST of application/jose+json");
        using var reader = new StreamReader(context.Request.Body);
        var jws = JsonNode.Parse(await reader.ReadToEndAsync())!;
        var (head64, payload64) = ((string)jws["protected"]!, (string)jws["payload"]!);
        var head = JsonNode.Parse(Base64Url.DecodeFromChars(head64))!;
        if ((string?)head["alg"] != "ES256") return await Violation(context, "alg");
        if ((string?)head["url"] != Base + context.Request.Path) return await Violation(context, "url is not the request's");
        if (!_nonces.TryRemove((string)head["nonce"]!, out _)) return await Violation(context, "a nonce was used twice");
        if (Interlocked.Decrement(ref NoncesToForget) >= 0)
        {
            await Problem(context, 400, "badNonce", "forgotten");
            return null;
        }
        if ((head["jwk"] is null) == (head["kid"] is null)) return await Violation(context, "expected one of jwk and kid");
        var isNew = context.Request.Path == "/new-account";
        if (isNew != head["jwk"] is not null) return await Violation(context, "jwk belongs to newAccount");
        var thumbprint = isNew ? Thumbprint(head["jwk"]!) : ((string)head["kid"]!)[(Base.Length + "/account/".Length)..];
        if (!isNew && !_accounts.ContainsKey(thumbprint))
        {
            await Problem(context, 400, "accountDoesNotExist", "who are you?");
            return null;
        }
        var jwk = isNew ? head["jwk"]! : _accounts[thumbprint];
        using var key = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new() { X = Base64Url.DecodeFromChars((string)jwk["x"]!), Y = Base64Url.DecodeFromChars((string)jwk["y"]!) } });
        if (!key.VerifyData(Encoding.ASCII.GetBytes($"{head64}.{payload64}"), Base64Url.DecodeFromChars((string)jws["signature"]!), HashAlgorithmName.SHA256)) return await Violation(context, "the signature is wrong");
        var payload = payload64.Length == 0 ? null : JsonNode.Parse(Base64Url.DecodeFromChars(payload64))!.AsObject();
        if (isNew && Customers.Count > 0 && !IsBound(payload!["externalAccountBinding"], jwk))
        {
            await Problem(context, 403, "externalAccountRequired", "who are you to us?");
            return null;
        }
        if (isNew) _accounts[thumbprint] = jwk.DeepClone();
        return (thumbprint, payload);
    }

    /// <summary>Section 7.3.4: a signature by the customer's key over the account's, for this URL, without a nonce.</summary>
    private bool IsBound(JsonNode? binding, JsonNode jwk)
    {
        if (binding is null) return false;
        var (head64, payload64) = ((string)binding["protected"]!, (string)binding["payload"]!);
        var head = JsonNode.Parse(Base64Url.DecodeFromChars(head64))!;
        return (string?)head["alg"] == "HS256" && head["nonce"] is null && (string?)head["url"] == Base + "/new-account" && Customers.TryGetValue((string)head["kid"]!, out var key)
            && JsonNode.DeepEquals(JsonNode.Parse(Base64Url.DecodeFromChars(payload64)), jwk)
            && CryptographicOperations.FixedTimeEquals(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes($"{head64}.{payload64}")), Base64Url.DecodeFromChars((string)binding["signature"]!));
    }

    private async Task Resource(HttpContext context, string path, (string Account, JsonObject? Payload) signed)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        switch (parts[0])
        {
            case "new-account":
                if ((bool?)signed.Payload!["termsOfServiceAgreed"] != true)
                {
                    await Problem(context, 403, "userActionRequired", "agree to the terms");
                    break;
                }
                context.Response.Headers.Location = $"{Base}/account/{signed.Account}";
                await Json(context, 201, new() { ["status"] = "valid" });
                break;
            case "new-order" when RateLimitedSeconds > 0:
                context.Response.Headers.RetryAfter = RateLimitedSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
                await Problem(context, 429, "rateLimited", "too many certificates already issued");
                break;
            case "new-order":
                var made = new Order($"o{_orders.Count}", [.. signed.Payload!["identifiers"]!.AsArray().Select(x => (string)x!["value"]!)]);
                _orders[made.Id] = made;
                context.Response.Headers.Location = $"{Base}/order/{made.Id}";
                await Json(context, 201, Shown(made));
                break;
            case "order":
                await Json(context, 200, Shown(_orders[parts[1]]));
                break;
            case "authz":
                await Json(context, 200, Authorization(_orders[parts[1]], int.Parse(parts[2], System.Globalization.CultureInfo.InvariantCulture)));
                break;
            case "challenge":
                var order = _orders[parts[1]];
                var index = int.Parse(parts[2], System.Globalization.CultureInfo.InvariantCulture);
                await Validate(order, index, signed.Account);
                await Json(context, 200, new() { ["status"] = "processing" });
                break;
            case "finalize":
                Issue(_orders[parts[1]], Base64Url.DecodeFromChars((string)signed.Payload!["csr"]!));
                await Json(context, 200, Shown(_orders[parts[1]]));
                break;
            case "certificate":
                context.Response.ContentType = "application/pem-certificate-chain";
                await context.Response.WriteAsync(_orders[parts[1]].Certificate);
                break;
            default:
                await Problem(context, 404, "malformed", path);
                break;
        }
    }

    private JsonObject Shown(Order order) => new()
    {
        ["status"] = order.Certificate.Length > 0 ? "valid" : order.Errors.Any(x => x is { Length: > 0 }) ? "invalid" : order.Errors.All(x => x is "") ? "ready" : "pending",
        ["authorizations"] = new JsonArray([.. order.Names.Select((_, i) => (JsonNode)$"{Base}/authz/{order.Id}/{i}")]),
        ["finalize"] = $"{Base}/finalize/{order.Id}",
        ["certificate"] = order.Certificate.Length > 0 ? $"{Base}/certificate/{order.Id}" : null,
    };

    private JsonObject Authorization(Order order, int i)
    {
        var status = order.Errors[i] switch { null => "pending", "" => "valid", _ => "invalid" };
        var challenge = new JsonObject { ["type"] = "http-01", ["url"] = $"{Base}/challenge/{order.Id}/{i}", ["token"] = order.Tokens[i], ["status"] = status };
        if (status == "invalid") challenge["error"] = new JsonObject { ["type"] = "urn:ietf:params:acme:error:unauthorized", ["detail"] = order.Errors[i] };
        return new() { ["status"] = status, ["identifier"] = new JsonObject { ["type"] = "dns", ["value"] = order.Names[i] }, ["challenges"] = new JsonArray(new JsonObject { ["type"] = "dns-01", ["url"] = Base }, challenge) };
    }

    private async Task Validate(Order order, int i, string thumbprint)
    {
        var port = _ports[Interlocked.Increment(ref _asked) % _ports.Length];
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}/.well-known/acme-challenge/{order.Tokens[i]}");
        request.Headers.Host = order.Names[i];
        using var answer = await _http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        order.Errors[i] = text == $"{order.Tokens[i]}.{thumbprint}" ? "" : $"{order.Names[i]} answered {(int)answer.StatusCode} \"{text}\"";
    }

    private void Issue(Order order, byte[] csr)
    {
        var request = CertificateRequest.LoadSigningRequest(csr, HashAlgorithmName.SHA256, CertificateRequestLoadOptions.UnsafeLoadCertificateExtensions);
        var names = request.CertificateExtensions.OfType<X509SubjectAlternativeNameExtension>().Single().EnumerateDnsNames();
        if (!names.Order().SequenceEqual(order.Names.Order())) Violations.Enqueue("the request names others than the order");
        var now = _time.GetUtcNow();
        using var issued = request.Create(Root.SubjectName, X509SignatureGenerator.CreateForECDsa(_rootKey), now.AddMinutes(-1), now + Life, RandomNumberGenerator.GetBytes(12));
        order.Certificate = issued.ExportCertificatePem() + "\n";
    }

    private X509Certificate2 OwnCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=acme", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var signed = request.Create(Root.SubjectName, X509SignatureGenerator.CreateForECDsa(_rootKey), DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(9), [1]);
        return signed.CopyWithPrivateKey(key);
    }

    private static string Thumbprint(JsonNode jwk) =>
        Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes($$"""{"crv":"{{jwk["crv"]}}","kty":"{{jwk["kty"]}}","x":"{{jwk["x"]}}","y":"{{jwk["y"]}}"}""")));

    private async Task<(string, JsonObject?)?> Violation(HttpContext context, string what)
    {
        Violations.Enqueue(what);
        await Problem(context, 400, "malformed", what);
        return null;
    }

    private static Task Problem(HttpContext context, int status, string type, string detail) =>
        Json(context, status, new() { ["type"] = "urn:ietf:params:acme:error:" + type, ["detail"] = detail }, "application/problem+json");

    private static Task Json(HttpContext context, int status, JsonObject json, string type = "application/json")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        return context.Response.WriteAsync(json.ToJsonString());
    }

    private sealed class Order(string id, string[] names)
    {
        public string Id { get; } = id;
        public string[] Names { get; } = names;
        public string[] Tokens { get; } = [.. names.Select(_ => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16)))];

        /// <summary>null = not asked yet, "" = proved.</summary>
        public string?[] Errors { get; } = new string?[names.Length];
        public string Certificate { get; set; } = "";
    }
}
