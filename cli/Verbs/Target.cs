using Declarative.Api.Kinds;

namespace Declarative.Cli.Verbs;

/// <summary>What a command line names: all objects of a kind, or one.</summary>
internal readonly record struct Target(Kind Kind, string? Name)
{
    /// <summary><c>KIND</c>, <c>KIND,KIND</c>, <c>KIND NAME…</c> or <c>KIND/NAME…</c>.</summary>
    public static IReadOnlyList<Target> Parse(IReadOnlyList<string> words)
    {
        if (words.Count == 0) throw new UsageException("say what: KIND, KIND NAME or KIND/NAME (for example pods, or deployment/hello)");
        if (words.Any(x => x.Contains('/', StringComparison.Ordinal))) return [.. words.Select(Pair)];
        var kinds = KindNames.FindAll(words[0]);
        return words.Count == 1 ? [.. kinds.Select(x => new Target(x, null))] : [.. kinds.SelectMany(x => words.Skip(1).Select(y => new Target(x, y)))];
    }

    /// <summary>The same where each has to be one object; <paramref name="kind"/> for a word that is only a name.</summary>
    public static IReadOnlyList<(Kind Kind, string Name)> ParseNamed(IReadOnlyList<string> words, Kind? kind = null)
    {
        if (kind is not null && words is [var only] && !only.Contains('/', StringComparison.Ordinal)) return [(kind, only)];
        var targets = Parse(words);
        return targets.Any(x => x.Name is null) ? throw new UsageException($"{words[0]}: a name is missing: {words[0]} NAME or {words[0]}/NAME") : [.. targets.Select(x => (x.Kind, x.Name!))];
    }

    private static Target Pair(string word) =>
        word.Split('/') is [{ Length: > 0 } kind, { Length: > 0 } name] ? new(KindNames.Find(kind), name) : throw new UsageException($"{word}: expected KIND/NAME, as all others have it");
}
