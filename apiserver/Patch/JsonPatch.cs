using System.Text;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>RFC 6902: add, remove, replace, move, copy and test, all or nothing. An error names the operation and its path.</summary>
internal static class JsonPatch
{
    /// <summary>As Kubernetes has it.</summary>
    internal const int OperationsMax = 10_000;

    public static JsonTree Apply(JsonTree target, JsonTree patch)
    {
        if (patch.Items is null)
        {
            throw Status.BadRequest("a JSON patch must be a list of operations (RFC 6902)");
        }

        if (patch.Items.Count > OperationsMax)
        {
            throw Status.TooLarge($"the patch has {patch.Items.Count} operations, more than {OperationsMax}");
        }

        var budget = new Budget();
        for (var i = 0; i < patch.Items.Count; i++)
        {
            target = new Operation(patch.Items[i], i).Apply(target, budget);
        }

        return target;
    }

    // Copies of copies and moves into moved values grow without bound otherwise.
    private sealed class Budget
    {
        private const int NodesMax = 1_000_000;
        private int _bytes;
        private int _nodes;

        public void Copy(JsonTree value)
        {
            _bytes += value.ToBytes().Length;
            if (_bytes > Limits.RequestBodyBytesMax)
            {
                throw Status.TooLarge($"the copy operations of the patch make more than {Limits.RequestBodyBytesMax} bytes");
            }
        }

        public void Place(JsonTree value, int depth)
        {
            if (depth > Limits.JsonDepthMax)
            {
                throw Status.TooLarge($"the patch nests objects and lists more than {Limits.JsonDepthMax} levels deep");
            }

            if (++_nodes > NodesMax)
            {
                throw Status.TooLarge($"the patch moves more than {NodesMax} values");
            }

            if (value.Items is not null)
            {
                foreach (var item in value.Items)
                {
                    Place(item, depth + 1);
                }
            }
            else if (value.Members is not null)
            {
                foreach (var (_, member) in value.Members)
                {
                    Place(member, depth + 1);
                }
            }
        }
    }

    private readonly struct Operation
    {
        private readonly JsonTree _json;
        private readonly int _number;
        private readonly string _name;
        private readonly string _path;

        public Operation(JsonTree json, int number)
        {
            _json = json;
            _number = number;
            _name = "";
            _path = "";
            if (json.Members is null)
            {
                throw Malformed("must be a JSON object");
            }

            _name = Text("op");
            _path = Text("path");
        }

        public JsonTree Apply(JsonTree target, Budget budget)
        {
            var path = Pointer(_path);
            switch (_name)
            {
                case "add":
                    return Add(target, path, Value(), budget);
                case "remove":
                    Remove(target, path);
                    return target;
                case "replace":
                    if (path.Length == 0)
                    {
                        return Value();
                    }

                    Set(target, path, Value());
                    return target;
                case "move":
                    var from = Pointer(Text("from"));
                    if (path.Length > from.Length && path.AsSpan(0, from.Length).SequenceEqual(from))
                    {
                        throw Unfit("a value cannot be moved into itself");
                    }

                    var moved = Find(target, from);
                    if (from.Length == 0)
                    {
                        return target;
                    }

                    Remove(target, from);
                    return Add(target, path, moved, budget);
                case "copy":
                    var source = Find(target, Pointer(Text("from")));
                    budget.Copy(source);
                    return Add(target, path, source.Clone(), budget);
                case "test":
                    var found = Find(target, path);
                    return JsonTree.Same(found, _json["value"] ?? throw Malformed("needs a value"))
                        ? target
                        : throw Unfit($"the value is {Excerpt(found)}, not {Excerpt(Value())}");
                default:
                    throw Malformed("op must be add, remove, replace, move, copy or test");
            }
        }

        private JsonTree Add(JsonTree target, string[] path, JsonTree value, Budget budget)
        {
            budget.Place(value, path.Length);
            if (path.Length == 0)
            {
                return value;
            }

            var parent = Find(target, path.AsSpan(0, path.Length - 1));
            var last = path[^1];
            if (parent.Members is not null)
            {
                parent.Members[last] = value;
            }
            else if (parent.Items is null)
            {
                throw Unfit($"{Render(path, path.Length - 1)} is neither an object nor a list");
            }
            else if (last == "-")
            {
                parent.Items.Add(value);
            }
            else
            {
                parent.Items.Insert(Index(last, parent.Items.Count + 1, path, path.Length - 1), value);
            }

            return target;
        }

        private void Remove(JsonTree target, string[] path)
        {
            if (path.Length == 0)
            {
                throw Unfit("the whole object cannot be removed");
            }

            Find(target, path);
            var parent = Find(target, path.AsSpan(0, path.Length - 1));
            if (parent.Members is not null)
            {
                parent.Members.Remove(path[^1]);
            }
            else
            {
                parent.Items!.RemoveAt(Index(path[^1], parent.Items.Count, path, path.Length - 1));
            }
        }

        private void Set(JsonTree target, string[] path, JsonTree value)
        {
            Find(target, path);
            var parent = Find(target, path.AsSpan(0, path.Length - 1));
            if (parent.Members is not null)
            {
                parent.Members[path[^1]] = value;
            }
            else
            {
                parent.Items![Index(path[^1], parent.Items.Count, path, path.Length - 1)] = value;
            }
        }

        private JsonTree Find(JsonTree target, ReadOnlySpan<string> path)
        {
            var at = target;
            for (var i = 0; i < path.Length; i++)
            {
                if (at.Members is not null)
                {
                    at = at[path[i]] ?? throw Unfit($"{Render(path, i)} has no member \"{path[i]}\"");
                }
                else if (at.Items is not null)
                {
                    at = at.Items[Index(path[i], at.Items.Count, path, i)];
                }
                else
                {
                    throw Unfit($"{Render(path, i)} is neither an object nor a list");
                }
            }

            return at;
        }

        private int Index(string token, int count, ReadOnlySpan<string> path, int length) =>
            JsonPointer.TryIndex(token, count, out var index)
                ? index
                : throw Unfit(count == 0 ? $"{Render(path, length)} is an empty list" : $"{Render(path, length)} takes an index from 0 to {count - 1}, not \"{token}\"");

        private string[] Pointer(string text) =>
            JsonPointer.Parse(text) ?? throw Malformed($"\"{text}\" is no JSON pointer (RFC 6901)");

        private string Text(string member) =>
            _json[member] is { Kind: JsonValueKind.String } text ? text.Text() : throw Malformed($"needs a member \"{member}\" that is a string");

        private JsonTree Value() => (_json["value"] ?? throw Malformed("needs a value")).Clone();

        private ApiException Malformed(string why) => Status.BadRequest(Sentence(why));

        private ApiException Unfit(string why) => Patches.Unfit(Sentence(why));

        private string Sentence(string why) =>
            _name.Length == 0 ? $"patch operation {_number}: {why}" : $"patch operation {_number} ({_name} {_path}): {why}";

        private static string Render(ReadOnlySpan<string> path, int length)
        {
            if (length == 0)
            {
                return "the object";
            }

            var text = new StringBuilder();
            foreach (var token in path[..length])
            {
                text.Append('/').Append(token);
            }

            return text.ToString();
        }

        private static string Excerpt(JsonTree value)
        {
            var text = Encoding.UTF8.GetString(value.ToBytes());
            return text.Length <= 60 ? text : text[..60] + "…";
        }
    }
}
