using System.CommandLine;
using Declarative.ApiServer.Authentication.Oidc;

namespace Declarative.Cli.Commands;

/// <summary>The options by which the API server is told of an issuer of ID tokens, named as kube-apiserver's.</summary>
internal sealed class OidcArguments
{
    private readonly Option<string> _issuer = Text("--oidc-issuer-url", "An issuer whose ID tokens are bearer tokens here: https://HOST[/PATH]", "URL");
    private readonly Option<string> _client = Text("--oidc-client-id", "Must be in the tokens' aud", "ID");
    private readonly Option<string> _username = Text("--oidc-username-claim", "The claim that is the user's name", "CLAIM", "sub");
    private readonly Option<string> _usernamePrefix = Text("--oidc-username-prefix", "Put before the name; default: URL# (nothing where the claim is email), - = nothing", "PREFIX");
    private readonly Option<string> _groups = Text("--oidc-groups-claim", "The claim that names the user's groups", "CLAIM");
    private readonly Option<string> _groupsPrefix = Text("--oidc-groups-prefix", "Put before each group", "PREFIX");
    private readonly Option<string[]> _required = new("--oidc-required-claim") { Description = "A claim that tokens must have with this text; may be given again", HelpName = "CLAIM=TEXT", DefaultValueFactory = _ => [] };
    private readonly Option<string> _ca = Text("--oidc-ca-file", "PEM file of the authorities that sign the issuer's certificate", "FILE");
    private readonly Option<string> _algorithms = Text("--oidc-signing-algs", "Algorithms of signatures that are taken, with commas", "ALGS", "RS256");

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_issuer, _client, _username, _usernamePrefix, _groups, _groupsPrefix, _required, _ca, _algorithms]) command.Options.Add(option);
    }

    /// <summary>null without --oidc-issuer-url.</summary>
    /// <exception cref="UsageException">An option is wrong.</exception>
    public OidcOptions? Read(ParseResult parsed)
    {
        var (issuer, client, ca) = (parsed.GetValue(_issuer)!, parsed.GetValue(_client)!, parsed.GetValue(_ca)!);
        if (issuer.Length == 0) return client.Length == 0 ? null : throw new UsageException("--oidc-client-id: --oidc-issuer-url is needed too");
        if (ca.Length > 0 && !File.Exists(ca)) throw new UsageException($"--oidc-ca-file {ca}: there is no such file");
        var required = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in parsed.GetValue(_required)!.SelectMany(x => x.Split(',')))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            required[equals > 0 ? pair[..equals] : throw new UsageException($"--oidc-required-claim {pair}: expected CLAIM=TEXT")] = pair[(equals + 1)..];
        }
        var options = new OidcOptions(issuer, client)
        {
            UsernameClaim = parsed.GetValue(_username)!,
            UsernamePrefix = parsed.GetValue(_usernamePrefix)!,
            GroupsClaim = parsed.GetValue(_groups)!,
            GroupsPrefix = parsed.GetValue(_groupsPrefix)!,
            RequiredClaims = required,
            CaFile = ca,
            SigningAlgorithms = parsed.GetValue(_algorithms)!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
        };
        try
        {
            options.Check();
            return options;
        }
        catch (FormatException wrong)
        {
            throw new UsageException(wrong.Message);
        }
    }

    private static Option<string> Text(string name, string description, string help, string otherwise = "") => new(name) { Description = description, HelpName = help, DefaultValueFactory = _ => otherwise };
}
