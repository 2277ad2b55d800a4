using System.Buffers.Text;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Declarative.Mesos.Scheduler.Http;

/// <summary>
/// An account of DC/OS' identity service, as Mesos-DNS' <c>IAMConfigFile</c> holds it: <c>{"uid": …, "secret": PEM of an RSA key,
/// "login_endpoint": URL}</c> (the key also as <c>private_key</c>, as DC/OS writes it). A login shows a token of one hour signed with the
/// key (RS256) and is answered with another, which stands in each request as <c>Authorization: token=…</c>.
/// </summary>
public sealed class ServiceAccount
{
    private readonly string _key;

    private ServiceAccount(string uid, string key, Uri endpoint) => (Uid, _key, Endpoint) = (uid, key, endpoint);

    /// <summary>The account's name.</summary>
    public string Uid { get; }

    /// <summary>Where it logs in.</summary>
    public Uri Endpoint { get; }

    /// <exception cref="FormatException">The file holds no such account; says what is missing, never the key.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static ServiceAccount Load(string file)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(file));
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new FormatException($"{file}: expected {{\"uid\": …, \"secret\": …, \"login_endpoint\": …}}");
            var key = Text("secret") is { Length: > 0 } secret ? secret : Text("private_key");
            var uid = Text("uid");
            if (uid.Length == 0) throw new FormatException($"{file}: uid: found nothing, expected the account's name");
            if (!Uri.TryCreate(Text("login_endpoint"), UriKind.Absolute, out var endpoint) || endpoint.Scheme is not ("http" or "https"))
                throw new FormatException($"{file}: login_endpoint: expected an http or https URL");
            using var rsa = RSA.Create();
            rsa.ImportFromPem(key);
            return new(uid, key, endpoint);

            string Text(string name) => document.RootElement.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        }
        catch (JsonException wrong)
        {
            throw new FormatException($"{file}: {wrong.Message}", wrong);
        }
        catch (UnauthorizedAccessException wrong)
        {
            throw new IOException($"{file}: {wrong.Message}", wrong);
        }
        catch (Exception wrong) when (wrong is CryptographicException or ArgumentException)
        {
            throw new FormatException($"{file}: secret: expected the PEM of an RSA private key", wrong);
        }
    }

    /// <summary>Without the key.</summary>
    public override string ToString() => Uid;

    /// <summary>Authenticates each request with a token of this account, logging in where there is none yet or it is refused.</summary>
    internal HttpMessageHandler Handler(HttpMessageHandler inner) => new Authenticated(this, inner);

    /// <summary>What is shown at the login. A secret.</summary>
    internal string Claim(DateTimeOffset now)
    {
        using var rsa = RSA.Create();
        rsa.ImportFromPem(_key);
        var expires = (now + TimeSpan.FromHours(1)).ToUnixTimeSeconds();
        var signed = Base64Url.EncodeToString("""{"alg":"RS256","typ":"JWT"}"""u8) + "." + Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(new { uid = Uid, exp = expires }));
        return signed + "." + Base64Url.EncodeToString(rsa.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
    }

    private sealed class Authenticated(ServiceAccount account, HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        private const int AnswerBytesMax = 64 * 1024;
        private readonly SemaphoreSlim _login = new(1);
        private string? _token;

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var token = await Token(refused: null, cancellationToken);
            Authorize(request, token);
            var response = await base.SendAsync(request, cancellationToken);
            // A body may have been sent already and is not sent twice: the caller's next try has the new token.
            if (response.StatusCode != HttpStatusCode.Unauthorized || request.Content is not null)
            {
                if (response.StatusCode == HttpStatusCode.Unauthorized) Forget(token);
                return response;
            }
            response.Dispose();
            Authorize(request, await Token(refused: token, cancellationToken));
            return await base.SendAsync(request, cancellationToken);
        }

        private static void Authorize(HttpRequestMessage request, string token)
        {
            request.Headers.Remove("Authorization");
            request.Headers.TryAddWithoutValidation("Authorization", "token=" + token);
        }

        private void Forget(string token) => Interlocked.CompareExchange(ref _token, null, token);

        private async Task<string> Token(string? refused, CancellationToken stop)
        {
            if (Volatile.Read(ref _token) is { } known && known != refused) return known;
            await _login.WaitAsync(stop);
            try
            {
                if (_token is { } made && made != refused) return made;
                return _token = await Login(stop);
            }
            finally
            {
                _login.Release();
            }
        }

        private async Task<string> Login(CancellationToken stop)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, account.Endpoint)
            {
                Content = JsonContent.Create(new { uid = account.Uid, token = account.Claim(TimeProvider.System.GetUtcNow()) }, new MediaTypeHeaderValue("application/json")),
            };
            using var response = await base.SendAsync(request, stop);
            if (response.StatusCode != HttpStatusCode.OK) throw new HttpRequestException($"{account.Endpoint} refused the login of {account.Uid}: {(int)response.StatusCode}", null, response.StatusCode);
            await response.Content.LoadIntoBufferAsync(AnswerBytesMax, stop);
            try
            {
                using var answer = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(stop));
                if (answer.RootElement.ValueKind == JsonValueKind.Object && answer.RootElement.TryGetProperty("token", out var token) && token.GetString() is { Length: > 0 } text) return text;
            }
            catch (Exception wrong) when (wrong is JsonException or InvalidOperationException)
            {
                throw new HttpRequestException($"{account.Endpoint} answered the login of {account.Uid} with something else than JSON", wrong);
            }
            throw new HttpRequestException($"{account.Endpoint} answered the login of {account.Uid} without a token");
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing) _login.Dispose();
            base.Dispose(disposing);
        }
    }
}
