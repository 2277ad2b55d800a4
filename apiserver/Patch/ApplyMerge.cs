using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>Lays an applied configuration over an object, and takes away what is applied no more.</summary>
internal static class ApplyMerge
{
    /// <summary>The live object with the configuration laid over it. The live tree is used up.</summary>
    public static JsonTree Merge(JsonTree? live, JsonTree config, FieldPlace place, string path = "")
    {
        var form = place.Of(config);
        if (form is FieldForm.KeyedList or FieldForm.SetList)
        {
            return MergeList(live, config, place, path);
        }

        if (live is not null && (form == FieldForm.Whole || place.Of(live) != form))
        {
            return config;
        }

        if (form == FieldForm.Whole)
        {
            return config;
        }

        var result = live ?? JsonTree.Object();
        foreach (var (name, value) in config.Members!)
        {
            result.Members![name] = Merge(result[name], value, place.Member(name), path.Length == 0 ? name : $"{path}.{name}");
        }

        return result;
    }

    /// <summary>Removes the fields of <paramref name="gone"/>, but not what <paramref name="kept"/> owns below them.</summary>
    public static void Remove(JsonTree value, FieldPlace place, FieldSet gone, FieldSet? kept)
    {
        var form = place.Of(value);
        if (form == FieldForm.Members)
        {
            foreach (var (element, below) in gone.Children)
            {
                var name = element[2..];
                if (value[name] is { } member && Removes(member, place.Member(name), below, kept?.Find(element)))
                {
                    value.Members!.Remove(name);
                }
            }
        }
        else if (form != FieldForm.Whole)
        {
            value.Items!.RemoveAll(item =>
                place.ElementOf(item) is { } element && gone.Find(element) is { } below
                && Removes(item, place.Element(), below, kept?.Find(element)));
        }
    }

    private static bool Removes(JsonTree value, FieldPlace place, FieldSet gone, FieldSet? kept)
    {
        if (kept is { IsEmpty: true })
        {
            kept = null;
        }

        if (gone.Owned && kept is null)
        {
            return true;
        }

        var wasEmpty = IsEmpty(value);
        Remove(value, place, gone, kept);
        return kept is null && !wasEmpty && IsEmpty(value);
    }

    private static bool IsEmpty(JsonTree value) => value.Members is { Count: 0 } || value.Items is { Count: 0 };

    private static JsonTree MergeList(JsonTree? live, JsonTree config, FieldPlace place, string path)
    {
        var old = live?.Items is { } items ? FieldWalk.Elements(items, place) : [];
        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var element in old.Keys)
        {
            places.Add(element, places.Count);
        }

        var named = new List<(JsonTree Item, string Key)>();
        var applied = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < config.Items!.Count; i++)
        {
            var item = config.Items[i];
            var element = place.ElementOf(item)
                ?? throw Patches.Unfit($"{path}[{i}]: an element must have the keys of its list: {string.Join(", ", place.Field!.MapKeys.DefaultIfEmpty(place.Field.MergeKey))}");
            if (!applied.Add(element))
            {
                throw Patches.Unfit($"{path}[{i}]: a second element with the keys {element[2..]}");
            }

            var merged = item.Members is null ? item : Merge(old.GetValueOrDefault(element), item, place.Element(), $"{path}[{i}]");
            named.Add((merged, element));
        }

        var others = old.Where(x => !applied.Contains(x.Key)).Select(x => (x.Value, places[x.Key])).ToList();
        var result = JsonTree.List();
        Interleave(named, others, places, result.Items!);
        return result;
    }

    /// <summary>
    /// The applied elements in their order; the others where they stood before the next applied element that was there already, ahead of the
    /// new ones: who applies [b] to [a] gets [a, b].
    /// </summary>
    private static void Interleave(List<(JsonTree Item, string Key)> named, List<(JsonTree Item, int Place)> others, Dictionary<string, int> places, List<JsonTree> result)
    {
        var bounds = new int[named.Count];
        var bound = int.MaxValue;
        for (var i = named.Count - 1; i >= 0; i--) bounds[i] = bound = places.GetValueOrDefault(named[i].Key, bound);
        var (next, passed) = (0, 0);
        for (var i = 0; i < named.Count; i++)
        {
            passed = bounds[i] < passed ? int.MaxValue : bounds[i];
            for (; next < others.Count && others[next].Place < passed; next++) result.Add(others[next].Item);
            result.Add(named[i].Item);
        }
        result.AddRange(others.Skip(next).Select(x => x.Item));
    }
}
