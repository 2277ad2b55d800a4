using System.Text.Json;
using Declarative.Api.Objects;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>
/// Strategic merge: a merge patch that joins lists by the merge keys of the schema. Members of the patch that begin with '$' are directives:
/// <c>$patch: merge|replace|delete</c> in an object or an element, <c>$retainKeys: [names]</c>, and beside a list
/// <c>$setElementOrder/LIST</c> and <c>$deleteFromPrimitiveList/LIST</c>
/// (Kubernetes documentation, "Update API Objects in Place Using kubectl patch"; community design "strategic-merge-patch").
/// </summary>
internal static class StrategicMergePatch
{
    private const string Directive = "$patch";
    private const string RetainKeys = "$retainKeys";
    private const string Order = "$setElementOrder/";
    private const string Deletions = "$deleteFromPrimitiveList/";

    public static JsonTree Apply(JsonTree target, JsonTree patch, SchemaType type) => patch.Kind == JsonValueKind.Object
        ? Merge(target, patch, type, null, "")
        : throw Status.BadRequest("a strategic merge patch must be a JSON object");

    // `type` is the type of an object, or null; `values` the type of a map's values, or null. With neither, plain JSON is merged.
    private static JsonTree Merge(JsonTree target, JsonTree patch, SchemaType? type, TypeRef? values, string path)
    {
        switch (patch[Directive]?.Kind == JsonValueKind.String ? patch[Directive]!.Text() : patch[Directive] is null ? "merge" : "")
        {
            case "merge":
                break;
            case "replace":
                target = JsonTree.Object();
                break;
            case "delete":
                return JsonTree.Object();
            default:
                throw Malformed(path, "$patch must be merge, replace or delete");
        }

        if (patch[RetainKeys] is { } retain)
        {
            Retain(target, patch, retain, path);
        }

        foreach (var (name, value) in patch.Members!)
        {
            if (name is Directive or RetainKeys)
            {
                continue;
            }

            if (ListOf(name) is { } list)
            {
                // Beside a list of the patch it has been, or will be, merged with it.
                if (patch[list] is null && target[list]?.Items is { } items)
                {
                    MergeList(items, [], type?.Find(list), patch, list, Join(path, list));
                }

                continue;
            }

            if (value.Kind == JsonValueKind.Null)
            {
                target.Members!.Remove(name);
                continue;
            }

            var field = type?.Find(name);
            target.Members![name] = MergeValue(target[name], value, patch, name, field, field?.Type ?? values, Join(path, name));
        }

        return target;
    }

    private static JsonTree MergeValue(JsonTree? current, JsonTree value, JsonTree patch, string name, SchemaField? field, TypeRef? type, string path)
    {
        if (value.Members is not null)
        {
            var onto = current?.Members is null || field?.PatchReplace == true ? JsonTree.Object() : current;
            return Merge(onto, value, type?.Shape == Shape.Object ? type.Type : null, type?.Shape == Shape.Map ? type.Item : null, path);
        }

        if (value.Items is null || field is not { PatchMerge: true })
        {
            return value;
        }

        var list = current?.Items is null ? JsonTree.List() : current;
        MergeList(list.Items!, value.Items, field, patch, name, path);
        return list;
    }

    private static void MergeList(List<JsonTree> target, List<JsonTree> changes, SchemaField? field, JsonTree patch, string name, string path)
    {
        if (field is not { PatchMerge: true })
        {
            throw Malformed(path, "the list has no merge strategy: a patch gives it whole");
        }

        var order = patch[Order + name];
        if (order is not null && order.Items is null)
        {
            throw Malformed(path, $"{Order}{name} must be a list");
        }

        var original = target.ToList();
        if (field.MergeKey is { } key)
        {
            MergeElements(target, changes, field.Type.Item!, key, path);
        }
        else
        {
            MergeScalars(target, changes, patch[Deletions + name], path);
        }

        if (order is not null)
        {
            ElementOrder.Sort(target, original, order.Items!, field.MergeKey, path);
        }
    }

    private static void MergeElements(List<JsonTree> target, List<JsonTree> changes, TypeRef element, string key, string path)
    {
        var type = element.Shape == Shape.Object ? element.Type : null;
        if (changes.Exists(change => Says(change, "replace")))
        {
            target.Clear();
        }

        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = target.Count - 1; i >= 0; i--)
        {
            // Backwards, so that of elements with equal keys the first is the one that is changed.
            if (ElementOrder.KeyOf(target[i], key) is { } name)
            {
                places[name] = i;
            }
        }

        HashSet<string>? gone = null;
        for (var i = 0; i < changes.Count; i++)
        {
            var change = changes[i];
            if (change.Members is null)
            {
                throw Malformed($"{path}[{i}]", "an element must be a JSON object");
            }

            if (Says(change, "replace"))
            {
                continue;
            }

            var name = ElementOrder.KeyOf(change, key) ?? throw Malformed($"{path}[{i}]", $"an element needs its merge key \"{key}\"");
            if (Says(change, "delete"))
            {
                (gone ??= new HashSet<string>(StringComparer.Ordinal)).Add(name);
            }
            else if (places.TryGetValue(name, out var place))
            {
                target[place] = Merge(target[place], change, type, null, $"{path}[{i}]");
            }
            else
            {
                places.Add(name, target.Count);
                target.Add(Merge(JsonTree.Object(), change, type, null, $"{path}[{i}]"));
            }
        }

        if (gone is not null)
        {
            target.RemoveAll(item => ElementOrder.KeyOf(item, key) is { } name && gone.Contains(name));
        }
    }

    private static void MergeScalars(List<JsonTree> target, List<JsonTree> changes, JsonTree? deletions, string path)
    {
        if (deletions is not null)
        {
            var gone = Keys(deletions.Items ?? throw Malformed(path, $"{Deletions}… must be a list"));
            target.RemoveAll(item => ElementOrder.KeyOf(item, null) is { } value && gone.Contains(value));
        }

        var present = Keys(target);
        foreach (var change in changes)
        {
            var value = ElementOrder.KeyOf(change, null) ?? throw Malformed(path, "an element must be a scalar");
            if (present.Add(value))
            {
                target.Add(change);
            }
        }
    }

    private static HashSet<string> Keys(List<JsonTree> items)
    {
        var keys = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if (ElementOrder.KeyOf(item, null) is { } key)
            {
                keys.Add(key);
            }
        }

        return keys;
    }

    private static void Retain(JsonTree target, JsonTree patch, JsonTree retain, string path)
    {
        if (retain.Items is null || retain.Items.Exists(item => item.Kind != JsonValueKind.String))
        {
            throw Malformed(path, "$retainKeys must be a list of names");
        }

        var names = retain.Items.Select(item => item.Text()).ToHashSet(StringComparer.Ordinal);
        foreach (var (name, value) in patch.Members!)
        {
            if (value.Kind != JsonValueKind.Null && !name.StartsWith('$') && !names.Contains(name))
            {
                throw Malformed(path, $"the patch sets \"{name}\", which its $retainKeys does not name");
            }
        }

        foreach (var name in target.Members!.Keys.Where(name => !names.Contains(name)).ToList())
        {
            target.Members.Remove(name);
        }
    }

    private static bool Says(JsonTree change, string directive) =>
        change[Directive] is { Kind: JsonValueKind.String } said && said.Text() == directive;

    // The list that a directive is about, or null for a name that is no such directive.
    private static string? ListOf(string name) =>
        name.StartsWith(Order, StringComparison.Ordinal) ? name[Order.Length..]
        : name.StartsWith(Deletions, StringComparison.Ordinal) ? name[Deletions.Length..]
        : null;

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    internal static Declarative.Api.ApiException Malformed(string path, string why) =>
        Status.BadRequest(path.Length == 0 ? $"strategic merge patch: {why}" : $"strategic merge patch, {path}: {why}");
}
