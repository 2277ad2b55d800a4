using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Acme;

/// <summary>One account at one authority: registers, and orders certificates by HTTP-01 (RFC 8555 sections 7.3, 7.4 and 8.3).</summary>
/// <param name="time">Between looks at what the authority has to do.</param>
internal sealed class AcmeOrder(AcmeConnection connection, TimeProvider time)
{
    /// <summary>Finds the account of the key, or makes it. To use this is to agree to the authority's terms.</summary>
    /// <param name="contact">A mail address, "" = none.</param>
    /// <param name="binding">The account that the customer has there already; null = none is asked for.</param>
    /// <returns>The account's URL.</returns>
    public async Task<string> Register(string contact, AcmeBinding? binding, CancellationToken stop)
    {
        connection.Account = "";
        var url = await connection.Resource("newAccount", stop);
        string[] members =
        [
            "\"termsOfServiceAgreed\":true",
            .. contact.Length == 0 ? (string[])[] : [$"\"contact\":[{AcmeKey.Quoted("mailto:" + contact)}]"],
            .. binding is null ? (string[])[] : [$"\"externalAccountBinding\":{connection.Key.Bind(url, binding)}"],
        ];
        var answer = await connection.Post(url, $"{{{string.Join(',', members)}}}", stop);
        if (answer.Url.Length == 0) throw new AcmeException("", "newAccount gave no account URL");
        return connection.Account = answer.Url;
    }

    /// <summary>A certificate with its chain for these names, in PEM, and its key. Whoever serves the names must answer the challenges meanwhile.</summary>
    /// <exception cref="AcmeException">The authority refuses, or is not done in <see cref="Limits.AcmeOrderMax"/>.</exception>
    public async Task<(string Certificates, string Key)> Certificate(IReadOnlyList<string> names, CancellationToken stop)
    {
        var late = time.GetUtcNow() + Limits.AcmeOrderMax;
        var identifiers = string.Join(',', names.Select(x => $$"""{"type":"dns","value":{{AcmeKey.Quoted(x)}}}"""));
        var ordered = await connection.Post(await connection.Resource("newOrder", stop), $$"""{"identifiers":[{{identifiers}}]}""", stop);
        var url = AcmeConnection.Address(ordered.Url, "the order's URL");
        var order = ordered.Json();
        foreach (var authorization in order.Items("authorizations")) await Authorize(AcmeConnection.Address(authorization.GetString() ?? "", "an authorization's URL"), late, stop);
        order = await Until(url, static x => x is "ready" or "valid", late, stop);

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        if (order.Text("status") == "ready")
        {
            await connection.Post(AcmeConnection.Address(order.Text("finalize"), "the order's finalize"), $$"""{"csr":"{{Base64Url.EncodeToString(Request(names, key))}}"}""", stop);
            order = await Until(url, static x => x == "valid", late, stop);
        }
        var pem = (await connection.Post(AcmeConnection.Address(order.Text("certificate"), "the order's certificate"), "", stop)).Text;
        Check(pem, names, key);
        return (pem, key.ExportPkcs8PrivateKeyPem());
    }

    private async Task Authorize(Uri url, DateTimeOffset late, CancellationToken stop)
    {
        var authorization = (await connection.Post(url, "", stop)).Json();
        if (authorization.Text("status") == "valid") return; // of an order before, and good for some time
        var name = authorization.TryGetProperty("identifier", out var identifier) ? identifier.Text("value") : "";
        var challenge = authorization.Items("challenges").FirstOrDefault(x => x.Text("type") == "http-01");
        if (challenge.ValueKind == JsonValueKind.Undefined) throw new AcmeException("", $"the authority offers no http-01 challenge for {name}");
        await connection.Post(AcmeConnection.Address(challenge.Text("url"), "the challenge's URL"), "{}", stop);
        await Until(url, static x => x == "valid", late, stop);
    }

    /// <summary>Looks again and again, as slowly as the authority asks for.</summary>
    private async Task<JsonElement> Until(Uri url, Func<string, bool> isDone, DateTimeOffset late, CancellationToken stop)
    {
        for (var wait = Limits.AcmeLookFirst; ; wait = wait * 2 < Limits.AcmeLookMax ? wait * 2 : Limits.AcmeLookMax)
        {
            var answer = await connection.Post(url, "", stop);
            var json = answer.Json();
            var status = json.Text("status");
            if (isDone(status)) return json;
            if (status is not ("pending" or "processing" or "ready")) throw Failed(json, status);
            var pause = answer.After is { } asked && asked > wait ? asked : wait;
            if (time.GetUtcNow() + pause > late) throw new AcmeException("", $"still {status} after {Limits.AcmeOrderMax.TotalMinutes:0} min");
            await Task.Delay(pause, time, stop);
        }
    }

    private static AcmeException Failed(JsonElement json, string status)
    {
        foreach (var part in json.Items("challenges").Append(json))
        {
            if (part.TryGetProperty("error", out var error)) return AcmeConnection.Problem(error);
        }
        return new("", $"the authority says {status} and not why");
    }

    private static byte[] Request(IReadOnlyList<string> names, ECDsa key)
    {
        // Without a subject: the names stand in the extension alone (RFC 8555 section 7.4), and a common name has 64 characters at most.
        var request = new CertificateRequest(new X500DistinguishedName(""), key, HashAlgorithmName.SHA256);
        var all = new SubjectAlternativeNameBuilder();
        foreach (var name in names) all.AddDnsName(name);
        request.CertificateExtensions.Add(all.Build());
        return request.CreateSigningRequest();
    }

    private static void Check(string pem, IReadOnlyList<string> names, ECDsa key)
    {
        X509Certificate2 leaf;
        try
        {
            leaf = X509Certificate2.CreateFromPem(pem);
        }
        catch (CryptographicException)
        {
            throw new AcmeException("", "what the authority issued is no certificate in PEM");
        }
        using (leaf)
        {
            if (!leaf.PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.ExportSubjectPublicKeyInfo())) throw new AcmeException("", "the certificate issued is not of the key asked for");
            if (names.FirstOrDefault(x => !leaf.MatchesHostname(x)) is { } missing) throw new AcmeException("", $"the certificate issued does not name {missing}");
        }
    }
}
