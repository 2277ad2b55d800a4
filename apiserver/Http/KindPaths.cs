using System.Collections.Frozen;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Http;

/// <summary>The kinds of a table by the words of their URLs.</summary>
internal sealed class KindPaths
{
    private readonly FrozenDictionary<string, FrozenDictionary<string, Kind>>.AlternateLookup<ReadOnlySpan<char>> _byGroup;

    public KindPaths(IReadOnlyList<Kind> kinds) => _byGroup = kinds
        .GroupBy(x => x.ApiVersion)
        .ToFrozenDictionary(x => x.Key, x => x.ToFrozenDictionary(kind => kind.Plural))
        .GetAlternateLookup<ReadOnlySpan<char>>();

    public static KindPaths BuiltIn { get; } = new(Kind.All);

    /// <param name="groupVersion"><c>v1</c> or <c>apps/v1</c>.</param>
    public bool TryFind(ReadOnlySpan<char> groupVersion, out FrozenDictionary<string, Kind>.AlternateLookup<ReadOnlySpan<char>> byPlural)
    {
        byPlural = default;
        if (!_byGroup.TryGetValue(groupVersion, out var kinds)) return false;
        byPlural = kinds.GetAlternateLookup<ReadOnlySpan<char>>();
        return true;
    }
}
