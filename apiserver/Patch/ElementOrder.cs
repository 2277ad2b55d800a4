using System.Text;
using System.Text.Json;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>The order of a merged list where the patch gives one (<c>$setElementOrder</c>).</summary>
internal static class ElementOrder
{
    /// <summary>
    /// The elements that the order names stand in that order. Each of the others stands before the first of these that it stood
    /// before in the original list; both groups keep their order in themselves.
    /// </summary>
    public static void Sort(List<JsonTree> list, List<JsonTree> original, List<JsonTree> order, string? mergeKey, string path)
    {
        var rank = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var item in order)
        {
            var key = KeyOf(item, mergeKey)
                ?? throw StrategicMergePatch.Malformed(path, mergeKey is null ? "$setElementOrder must name scalars" : $"$setElementOrder must name the \"{mergeKey}\" of each element");
            rank.TryAdd(key, rank.Count);
        }

        var place = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < original.Count; i++)
        {
            if (KeyOf(original[i], mergeKey) is { } key)
            {
                place.TryAdd(key, i);
            }
        }

        var named = new List<(JsonTree Item, string Key)>();
        var others = new List<(JsonTree Item, int Place)>();
        foreach (var item in list)
        {
            var key = KeyOf(item, mergeKey);
            if (key is not null && rank.ContainsKey(key))
            {
                named.Add((item, key));
            }
            else if (key is null || place.ContainsKey(key))
            {
                others.Add((item, key is null ? int.MaxValue : place[key]));
            }
            else
            {
                throw StrategicMergePatch.Malformed(path, $"the patch adds {key}, which its $setElementOrder does not name");
            }
        }

        list.Clear();
        Interleave([.. named.OrderBy(x => rank[x.Key])], others, place, list);
    }

    /// <summary>The named elements in their order; each other before the first named one that it stood before.</summary>
    /// <param name="named">With the key of each.</param>
    /// <param name="others">With the original place of each, ascending.</param>
    /// <param name="places">The original places of all elements by key.</param>
    private static void Interleave(List<(JsonTree Item, string Key)> named, List<(JsonTree Item, int Place)> others, Dictionary<string, int> places, List<JsonTree> result)
    {
        var next = 0;
        foreach (var (item, key) in named)
        {
            if (places.TryGetValue(key, out var before))
            {
                for (; next < others.Count && others[next].Place < before; next++)
                {
                    result.Add(others[next].Item);
                }
            }

            result.Add(item);
        }

        result.AddRange(others.Skip(next).Select(x => x.Item));
    }

    /// <summary>What identifies an element: the JSON text of its merge key, or of itself in a list of scalars; null when it has none.</summary>
    public static string? KeyOf(JsonTree item, string? mergeKey)
    {
        var value = mergeKey is null ? item : item[mergeKey];
        return value is null || value.Kind is JsonValueKind.Object or JsonValueKind.Array or JsonValueKind.Null
            ? null
            : Encoding.UTF8.GetString(value.Scalar);
    }
}
