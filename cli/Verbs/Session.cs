using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Http;

namespace Declarative.Cli.Verbs;

/// <summary>What a verb works with: the server as a user, the namespace that is meant, and where to write.</summary>
/// <param name="NamespaceGiven">-n stood on the command line: manifests of another namespace are then refused.</param>
internal sealed record Session(HttpApi Api, string Namespace, bool NamespaceGiven, Machine Machine, TextWriter Out, TextWriter Errors)
{
    public ResourceKey Key(Kind kind, string name) => ResourceKey.Of(kind, Namespace, name);

    public async Task Warn(IEnumerable<string> warnings)
    {
        foreach (var warning in warnings) await Errors.WriteLineAsync("Warning: " + warning);
    }
}
