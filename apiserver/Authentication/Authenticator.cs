using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Declarative.Api;
using Declarative.ApiServer.Authentication.Oidc;

namespace Declarative.ApiServer.Authentication;

/// <summary>Who is behind a client certificate or a bearer token; null where nobody this server knows.</summary>
internal sealed class Authenticator(Pki pki, ServiceAccountTokens accounts, IReadOnlyList<StaticToken> more, OidcTokens? oidc = null)
{
    private const string CommonName = "2.5.4.3";
    private const string Organization = "2.5.4.10";

    public User? OfCertificate(X509Certificate2 certificate) =>
        pki.Authority.VerifiesClient(certificate) && ReadSubject(certificate.SubjectName.RawData) is { } user
            ? user with { Extra = [(UserJson.CredentialKey, ["X509SHA256=" + Convert.ToHexStringLower(SHA256.HashData(certificate.RawData))])] } : null;

    /// <param name="audiences">For whom the token must be meant; empty = this API server. Static tokens are meant for everybody.</param>
    public async ValueTask<(User User, IReadOnlyList<string> Audiences)?> OfToken(string token, IReadOnlyList<string> audiences, CancellationToken stop) =>
        OfStaticToken(token) is { } user ? (user, audiences.Count > 0 ? audiences : [accounts.Issuer])
        : await accounts.Authenticate(token, audiences, stop) ?? await OfIssuer(token, audiences, stop);

    // Whatever client it names, it was made for this API server.
    private async ValueTask<(User User, IReadOnlyList<string> Audiences)?> OfIssuer(string token, IReadOnlyList<string> audiences, CancellationToken stop) =>
        oidc is not null && (audiences.Count == 0 || audiences.Contains(accounts.Issuer)) && await oidc.Authenticate(token, stop) is { } user ? (user, [accounts.Issuer]) : null;

    /// <summary>Of a token that stands in a file: the same <see cref="User"/> each time.</summary>
    public User? OfStaticToken(ReadOnlySpan<char> token)
    {
        Span<byte> text = stackalloc byte[512];
        if (token.IsEmpty || !Encoding.UTF8.TryGetBytes(token, text, out var length)) return null;
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(text[..length], hash);
        User? found = null;
        foreach (var list in (ReadOnlySpan<IReadOnlyList<StaticToken>>)[pki.Tokens, more])
        {
            foreach (var known in list)
            {
                if (known.Matches(hash)) found = known.User;
            }
        }
        return found;
    }

    /// <summary>RFC 5280 Name: a sequence of sets of (type, value). Go writes several organizations into one set, others one set each.</summary>
    private static User? ReadSubject(byte[] name)
    {
        var user = "";
        var groups = new List<string>();
        var sets = new AsnReader(name, AsnEncodingRules.DER).ReadSequence();
        while (sets.HasData)
        {
            var set = sets.ReadSetOf(skipSortOrderValidation: true);
            while (set.HasData)
            {
                var pair = set.ReadSequence();
                var type = pair.ReadObjectIdentifier();
                if (type is not (CommonName or Organization)) continue;
                var value = pair.ReadCharacterString((UniversalTagNumber)pair.PeekTag().TagValue);
                if (type == CommonName) user = value;
                else groups.Add(value);
            }
        }
        return user.Length == 0 ? null : new User(user, [.. groups, User.Authenticated]);
    }
}
