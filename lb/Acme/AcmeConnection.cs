using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Acme;

/// <summary>An answer of the authority.</summary>
/// <param name="Url">Where what was made stands, "" = nothing was.</param>
/// <param name="After">How long to wait before the next look; null = it does not say.</param>
internal sealed record AcmeAnswer(string Text, string Url, TimeSpan? After)
{
    /// <exception cref="AcmeException">No JSON.</exception>
    public JsonElement Json()
    {
        try
        {
            using var document = JsonDocument.Parse(Text);
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            throw new AcmeException("", "the answer is no JSON");
        }
    }
}

/// <summary>Signed requests to one authority: its directory, nonces and errors (RFC 8555 sections 6 and 7.1.1). Used by one caller at a time.</summary>
internal sealed class AcmeConnection(HttpClient http, Uri directory, AcmeKey key, TimeProvider time)
{
    private JsonElement? _directory;
    private string _nonce = "";

    /// <summary>The account's.</summary>
    public AcmeKey Key => key;

    /// <summary>The account's URL, "" before it is known.</summary>
    public string Account { get; set; } = "";

    /// <summary>Where a resource of the directory stands.</summary>
    public async Task<Uri> Resource(string name, CancellationToken stop)
    {
        if (_directory is null)
        {
            using var answer = await Send(() => new(HttpMethod.Get, directory), stop);
            _directory = (await Read(answer, stop)).Json();
        }
        return Address(_directory.Value.Text(name), $"the directory's {name}");
    }

    /// <param name="payload">JSON; "" = POST-as-GET.</param>
    /// <exception cref="AcmeException">Refused, or no connection.</exception>
    public async Task<AcmeAnswer> Post(Uri url, string payload, CancellationToken stop)
    {
        for (var attempt = 1; ; attempt++)
        {
            var nonce = await Nonce(stop);
            using var answer = await Send(
                () =>
                {
                    // Without a charset: the type must be exactly this one (RFC 8555 section 6.2).
                    var content = new ByteArrayContent(key.Sign(url, nonce, Account, payload)) { Headers = { ContentType = new("application/jose+json") } };
                    return new(HttpMethod.Post, url) { Content = content };
                }, stop);
            try
            {
                return await Read(answer, stop);
            }
            catch (AcmeException e) when (e.Type == "badNonce" && attempt < Limits.AcmeNoncesMax)
            {
                continue; // section 6.5: with the nonce that came with the refusal
            }
        }
    }

    /// <exception cref="AcmeException">It is not one of https.</exception>
    public static Uri Address(string text, string what) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme == Uri.UriSchemeHttps ? url : throw new AcmeException("", $"{what} is \"{text}\", expected a URL of https");

    private async Task<string> Nonce(CancellationToken stop)
    {
        if (_nonce.Length == 0)
        {
            var url = await Resource("newNonce", stop);
            if (_nonce.Length == 0)
            {
                using var answer = await Send(() => new(HttpMethod.Head, url), stop);
                if (_nonce.Length == 0) throw new AcmeException("", "newNonce gave no nonce");
            }
        }
        var nonce = _nonce;
        _nonce = "";
        return nonce;
    }

    private async Task<HttpResponseMessage> Send(Func<HttpRequestMessage> request, CancellationToken stop)
    {
        try
        {
            using var asked = request();
            asked.Headers.UserAgent.Add(new ProductInfoHeaderValue("declarative-lb", null));
            var answer = await http.SendAsync(asked, stop);
            if (answer.Headers.TryGetValues("Replay-Nonce", out var nonces)) _nonce = nonces.First();
            return answer;
        }
        catch (HttpRequestException e)
        {
            throw new AcmeException("", $"{directory.Authority}: {e.GetBaseException().Message}");
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new AcmeException("", $"{directory.Authority} did not answer within {http.Timeout.TotalSeconds:0} s");
        }
    }

    private async Task<AcmeAnswer> Read(HttpResponseMessage answer, CancellationToken stop)
    {
        var text = Encoding.UTF8.GetString(await answer.Content.ReadAsByteArrayAsync(stop));
        var after = After(answer.Headers.RetryAfter);
        if (answer.IsSuccessStatusCode) return new(text, answer.Headers.Location?.ToString() ?? "", after);
        if (answer.Content.Headers.ContentType?.MediaType != "application/problem+json") throw new AcmeException("", $"{directory.Authority} answered {(int)answer.StatusCode}", after);
        throw Problem(new AcmeAnswer(text, "", after).Json(), after);
    }

    /// <summary>Of an answer, or of a challenge or order that has failed.</summary>
    public static AcmeException Problem(JsonElement problem, TimeSpan? after = null)
    {
        var type = problem.Text("type");
        var detail = problem.Text("detail");
        return new(type[(type.LastIndexOf(':') + 1)..], detail.Length > Limits.AcmeDetailChars ? detail[..Limits.AcmeDetailChars] : detail, after);
    }

    private TimeSpan? After(RetryConditionHeaderValue? header)
    {
        var after = header?.Delta ?? header?.Date - time.GetUtcNow();
        return after is null ? null : after < TimeSpan.Zero ? TimeSpan.Zero : after > Limits.AcmeAgainMax ? Limits.AcmeAgainMax : after;
    }
}

internal static class AcmeJson
{
    /// <summary>"" where there is no such text.</summary>
    public static string Text(this JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    /// <summary>Nothing where there is no such array.</summary>
    public static IEnumerable<JsonElement> Items(this JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : [];
}
