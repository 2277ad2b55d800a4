using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Authentication.Oidc;

/// <summary>
/// The issuer's keys, found by its discovery document (OpenID Connect Discovery 1.0, section 4). Asked for when a token names a key that is
/// not known, not more often than every <see cref="AskEvery"/>, so that made-up tokens are no way to flood the issuer.
/// </summary>
internal sealed class OidcKeys : IDisposable
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan AnswersWithin = TimeSpan.FromSeconds(10);
    private const int DocumentBytesMax = 1024 * 1024;
    private readonly OidcOptions _options;
    private readonly TimeProvider _time;
    private readonly Action<string> _tell;
    private readonly HttpClient _http;
    private readonly Lock _gate = new();
    private Task? _asking;
    private DateTimeOffset? _asked;
    private IReadOnlyList<JsonWebKey> _keys = [];

    /// <param name="tell">Why the keys could not be had, for the log.</param>
    public OidcKeys(OidcOptions options, TimeProvider time, Action<string> tell)
    {
        (_options, _time, _tell) = (options, time, tell);
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = AnswersWithin, PooledConnectionLifetime = TimeSpan.FromMinutes(5) };
        if (options.CaFile.Length > 0)
        {
            handler.SslOptions.CertificateChainPolicy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            handler.SslOptions.CertificateChainPolicy.CustomTrustStore.ImportFromPemFile(options.CaFile);
        }
        _http = new(handler) { MaxResponseContentBufferSize = DocumentBytesMax, Timeout = AnswersWithin };
    }

    /// <summary>Whether a key of the issuer, of this id where one is named, has made the signature.</summary>
    public async ValueTask<bool> Verifies(string id, string algorithm, byte[] signed, byte[] signature, CancellationToken stop)
    {
        if (Fits(id).Any(x => x.Verifies(algorithm, signed, signature))) return true;
        // A key that is known and does not fit stays so; without an id it may be a new one.
        if (id.Length > 0 && Fits(id).Any()) return false;
        await Ask().WaitAsync(stop);
        return Fits(id).Any(x => x.Verifies(algorithm, signed, signature));
    }

    public void Dispose()
    {
        _http.Dispose();
        foreach (var key in _keys) key.Dispose();
    }

    private IEnumerable<JsonWebKey> Fits(string id) => Volatile.Read(ref _keys).Where(x => id.Length == 0 || x.Id == id);

    // The one question that is on its way, or a new one; nothing where the last was asked just now.
    private Task Ask()
    {
        lock (_gate)
        {
            if (_asking is { IsCompleted: false }) return _asking;
            var now = _time.GetUtcNow();
            if (_asked is { } last && now - last < AskEvery) return Task.CompletedTask;
            _asked = now;
            return _asking = Read();
        }
    }

    private async Task Read()
    {
        try
        {
            var discovery = await Document(_options.IssuerUrl.TrimEnd('/') + "/.well-known/openid-configuration");
            if (discovery.Text("issuer") != _options.IssuerUrl) throw new InvalidDataException($"the discovery document is that of issuer \"{discovery.Text("issuer")}\", not of {_options.IssuerUrl}");
            var keys = await Document(discovery.Text("jwks_uri"));
            // Old ones are not disposed: a request may be using them.
            Volatile.Write(ref _keys, [.. (keys.List("keys") ?? []).OfType<JsonObject>().Select(JsonWebKey.Read).OfType<JsonWebKey>()]);
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or InvalidDataException or OperationCanceledException or UriFormatException)
        {
            _tell($"{_options.IssuerUrl}: {e.InnerException?.Message ?? e.Message}");
        }
    }

    private async Task<JsonObject> Document(string url)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme != "https") throw new InvalidDataException($"the discovery document names jwks_uri \"{url}\": expected https://…");
        using var answer = await _http.GetAsync(uri);
        if (!answer.IsSuccessStatusCode) throw new HttpRequestException($"{url}: HTTP {(int)answer.StatusCode}");
        return JsonNode.Parse(await answer.Content.ReadAsByteArrayAsync(), documentOptions: new() { AllowDuplicateProperties = false }) as JsonObject ?? throw new InvalidDataException($"{url}: expected a JSON object");
    }
}
