namespace Declarative.ApiServer.Authentication.Oidc;

/// <summary>Whose ID tokens are bearer tokens here, named as the flags of kube-apiserver (doc "Authenticating", OpenID Connect Tokens).</summary>
/// <param name="IssuerUrl">https, without query; it is the tokens' <c>iss</c> to the letter.</param>
/// <param name="ClientId">Must be in the tokens' <c>aud</c>.</param>
public sealed record OidcOptions(string IssuerUrl, string ClientId)
{
    public string UsernameClaim { get; init; } = "sub";

    /// <summary>Put before the user name; "" = <c>ISSUER#</c>, but nothing where the claim is email; "-" = nothing.</summary>
    public string UsernamePrefix { get; init; } = "";

    /// <summary>A text or a list of texts; "" = tokens name no groups.</summary>
    public string GroupsClaim { get; init; } = "";

    public string GroupsPrefix { get; init; } = "";

    /// <summary>Claims that a token must have, with these texts.</summary>
    public IReadOnlyDictionary<string, string> RequiredClaims { get; init; } = new Dictionary<string, string>();

    /// <summary>The authorities that the issuer's certificate is held against, PEM; "" = those of the machine.</summary>
    public string CaFile { get; init; } = "";

    public IReadOnlyList<string> SigningAlgorithms { get; init; } = ["RS256"];

    /// <summary>Throws <see cref="FormatException"/> that names the flag.</summary>
    public void Check()
    {
        if (!Uri.TryCreate(IssuerUrl, UriKind.Absolute, out var issuer) || issuer.Scheme != "https" || issuer.Query.Length > 0 || issuer.Fragment.Length > 0)
            throw new FormatException($"--oidc-issuer-url {IssuerUrl}: expected https://HOST[/PATH] without query and fragment");
        if (ClientId.Length == 0) throw new FormatException("--oidc-client-id: needed with --oidc-issuer-url");
        if (UsernameClaim.Length == 0) throw new FormatException("--oidc-username-claim: expected the name of a claim");
        if (SigningAlgorithms.Count == 0) throw new FormatException("--oidc-signing-algs: expected at least one");
        foreach (var algorithm in SigningAlgorithms)
        {
            if (!JsonWebKey.Algorithms.Contains(algorithm)) throw new FormatException($"--oidc-signing-algs {algorithm}: expected some of {string.Join(", ", JsonWebKey.Algorithms)}");
        }
    }
}
