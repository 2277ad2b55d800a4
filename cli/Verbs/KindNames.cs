using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Cli.Verbs;

/// <summary>Kinds by the words that users write: plural, singular, short name, PLURAL.GROUP, PLURAL.VERSION.GROUP, a category; in any case of letters.</summary>
internal static class KindNames
{
    /// <summary>Throws <see cref="UsageException"/> with the nearest known word.</summary>
    public static Kind Find(string word)
    {
        var lower = word.ToLowerInvariant();
        return Rows.FirstOrDefault(x => Words(x).Contains(lower)) ?? throw new UsageException($"the server doesn't have a resource type \"{word}\"{Hint(lower, Rows.SelectMany(Words))}");
    }

    /// <summary><c>deploy,svc</c> or a category such as <c>all</c>.</summary>
    public static IReadOnlyList<Kind> FindAll(string words) =>
        [.. words.Split(',', StringSplitOptions.RemoveEmptyEntries).SelectMany(x => Rows.Where(y => y.Categories.Contains(x)) is var many && many.Any() ? Latest(many) : [Find(x)])];

    /// <summary>What is wrong with the two words of an object that is of no known kind; null where they are known.</summary>
    public static string Unknown(string apiVersion, string kind)
    {
        var named = Rows.Where(x => x.Name == kind).Select(x => x.ApiVersion).ToList();
        if (named.Count > 0) return $"no kind \"{kind}\" in apiVersion \"{apiVersion}\"; it is in {string.Join(" and ", named.Select(x => $"\"{x}\""))}";
        var hint = Names.Nearest(kind, Rows.Select(x => x.Name)) is { } near ? Rows.First(x => x.Name == near) : null;
        return $"no kind \"{kind}\" in apiVersion \"{apiVersion}\"" + (hint is null ? "" : $"; did you mean \"{hint.Name}\" of \"{hint.ApiVersion}\"?");
    }

    /// <summary><c>deployment.apps/hello</c>, as kubectl names what it did something with.</summary>
    public static string Of(Kind kind, string name) => $"{Of(kind)}/{name}";

    public static string Of(Kind kind) => kind.Group.Length == 0 ? kind.Singular : $"{kind.Singular}.{kind.Group}";

    private static IEnumerable<Kind> Rows => Kind.All.Where(x => x.Support != KindSupport.Review);

    private static IEnumerable<Kind> Latest(IEnumerable<Kind> kinds) => kinds.DistinctBy(x => (x.Group, x.Plural));

    private static IEnumerable<string> Words(Kind kind) =>
        [kind.Plural, kind.Singular, .. kind.ShortNames, $"{kind.Plural}.{kind.Group}", $"{kind.Singular}.{kind.Group}", $"{kind.Plural}.{kind.Version}.{kind.Group}", $"{kind.Singular}.{kind.Version}.{kind.Group}"];

    private static string Hint(string word, IEnumerable<string> known) => Names.Nearest(word, known) is { } near ? $"; did you mean \"{near}\"?" : "";
}
