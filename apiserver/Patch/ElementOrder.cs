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
        var next = 0;
        foreach (var (item, key) in named.OrderBy(x => rank[x.Key]))
        {
            if (place.TryGetValue(key, out var before))
            {
                for (; next < others.Count && others[next].Place < before; next++)
                {
                    list.Add(others[next].Item);
                }
            }

            list.Add(item);
        }

        list.AddRange(others.Skip(next).Select(x => x.Item));
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
