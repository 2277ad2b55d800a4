using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Schema;
using Declarative.ApiServer.Patch;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>The patch functions against naive models of their own, on random objects.</summary>
public sealed class PatchPropertyTests
{
    private static readonly string[] Names = ["a", "b", "c", "d"];

    private static readonly Gen<JsonNode?> Scalar = Gen.Elements<Func<JsonNode?>>(() => 1, () => 2.5, () => "x", () => "y/~\"", () => true, () => null).Select(make => make());

    [Fact]
    public void Merge_patch_is_the_pseudo_code_of_the_RFC() =>
        Holds(Gen.Zip(Value(3, Members), Value(3, Members)), pair =>
            pair.Item1 is not JsonObject || pair.Item2 is not JsonObject
            || JsonNode.DeepEquals(MergeModel(pair.Item1, pair.Item2), Apply(PatchKind.Merge, pair.Item1, pair.Item2)));

    [Fact]
    public void Json_patch_does_what_a_rebuilding_model_does()
    {
        var operation =
            from op in Gen.Elements("add", "remove", "replace", "move", "copy", "test")
            from path in Pointer
            from source in Pointer
            from value in Value(1, Members)
            select new JsonObject { ["op"] = op, ["path"] = path, ["from"] = source, ["value"] = value };
        var applied = 0;
        Holds(Gen.Zip(Members(3), operation.ListOf()), pair =>
        {
            var patch = new JsonArray([.. pair.Item2.Take(1 + pair.Item2.Count % 3).Select(x => x.DeepClone())]);
            JsonNode? expected = pair.Item1.DeepClone();
            try
            {
                foreach (var step in patch)
                {
                    expected = JsonModel.Step(expected, step!.AsObject());
                }
            }
            catch (ArgumentException)
            {
                expected = null;
            }

            if (expected is not JsonObject)
            {
                try
                {
                    Apply(PatchKind.Json, pair.Item1, patch);
                    return false;
                }
                catch (ApiException e)
                {
                    return e.Code == 422;
                }
            }

            applied++;
            return JsonNode.DeepEquals(expected, Apply(PatchKind.Json, pair.Item1, patch));
        }, 5000);
        Assert.True(applied > 500, $"only {applied} patches fit their object");
    }

    [Fact]
    public void A_strategic_patch_computed_between_two_pods_turns_one_into_the_other()
    {
        var type = TypeTable.Kind("", "v1", "Pod");
        Holds(Gen.Zip(ArbitraryPod.Pod, ArbitraryPod.Pod), pair =>
        {
            var patch = StrategicDiff.Between(pair.Item1, pair.Item2, type);
            return JsonNode.DeepEquals(pair.Item2, Apply(PatchKind.Strategic, pair.Item1, patch, type));
        });
    }

    [Fact]
    public void A_strategic_patch_is_idempotent()
    {
        var type = TypeTable.Kind("", "v1", "Pod");
        Holds(Gen.Zip(ArbitraryPod.Pod, Gen.Zip(ArbitraryPod.Pod, ArbitraryPod.Pod)), x =>
        {
            var patch = StrategicDiff.Between(x.Item1, x.Item2.Item1, type);
            var once = Apply(PatchKind.Strategic, x.Item2.Item2, patch, type);
            return JsonNode.DeepEquals(once, Apply(PatchKind.Strategic, once!, patch, type));
        });
    }

    private static Gen<string> Pointer =>
        from first in Gen.Elements("a", "b", "c", "d")
        from count in Gen.Elements(-1, 0, 0, 0, 1, 1, 2)
        from more in Gen.Elements("a", "b", "0", "1", "-").ArrayOf(Math.Max(count, 0))
        select count < 0 ? "" : string.Concat(more.Prepend(first).Select(token => "/" + token));

    private static Gen<JsonNode?> Value(int depth, Func<int, Gen<JsonObject>> members) => depth == 0
        ? Scalar
        : Gen.OneOf(Scalar, members(depth - 1).Select(x => (JsonNode?)x), Value(depth - 1, members).ListOf().Select(x => (JsonNode?)new JsonArray([.. x.Take(3).Select(y => y?.DeepClone())])));

    private static Gen<JsonObject> Members(int depth) =>
        from keys in Gen.SubListOf(Names)
        from values in Value(depth, Members).ArrayOf(keys.Count)
        select ArbitraryPod.Object([.. keys.Zip(values, (k, v) => (k, v))], keepNulls: true);

    private static JsonNode? MergeModel(JsonNode? target, JsonNode? patch)
    {
        if (patch is not JsonObject changes)
        {
            return patch?.DeepClone();
        }

        var result = target is JsonObject members ? members.DeepClone().AsObject() : [];
        foreach (var (name, value) in changes)
        {
            if (value is null)
            {
                result.Remove(name);
            }
            else
            {
                result[name] = MergeModel(result[name], value);
            }
        }

        return result;
    }

    private static JsonNode? Apply(PatchKind kind, JsonNode current, JsonNode patch, SchemaType? type = null) =>
        JsonNode.Parse(Patches.Apply(kind, type ?? TypeTable.Unknown, Bytes(current), Bytes(patch)));

    private static byte[] Bytes(JsonNode node) => Encoding.UTF8.GetBytes(node.ToJsonString());

    private static void Holds<T>(Gen<T> gen, Func<T, bool> property, int tests = 2000) =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(tests), Prop.ForAll(gen.ToArbitrary(), property));

    /// <summary>RFC 6902 by rebuilding the document from the root for each operation; ArgumentException where it does not fit.</summary>
    private static class JsonModel
    {
        public static JsonNode? Step(JsonNode? doc, JsonObject step)
        {
            var path = Tokens(step["path"]!);
            switch ((string)step["op"]!)
            {
                case "add": return Put(doc, path, step["value"], insert: true);
                case "remove": return path.Length == 0 ? throw new ArgumentException("root") : Cut(doc, path);
                case "replace": Get(doc, path); return Put(doc, path, step["value"], insert: false);
                case "copy": return Put(doc, path, Get(doc, Tokens(step["from"]!)), insert: true);
                case "move":
                    var from = Tokens(step["from"]!);
                    if (path.Length > from.Length && path.Take(from.Length).SequenceEqual(from))
                    {
                        throw new ArgumentException("into itself");
                    }

                    var value = Get(doc, from);
                    return from.Length == 0 ? doc : Put(Cut(doc, from), path, value, insert: true);
                default: return JsonNode.DeepEquals(Get(doc, path), step["value"]) ? doc : throw new ArgumentException("test");
            }
        }

        private static string[] Tokens(JsonNode path) => ((string)path!).Split('/')[1..];

        private static JsonNode? Get(JsonNode? at, string[] path) => path.Length == 0 ? at : at switch
        {
            JsonObject o when o.ContainsKey(path[0]) => Get(o[path[0]], path[1..]),
            JsonArray a when int.TryParse(path[0], out var i) && i < a.Count => Get(a[i], path[1..]),
            _ => throw new ArgumentException("no such place"),
        };

        private static JsonNode? Put(JsonNode? at, string[] path, JsonNode? value, bool insert)
        {
            if (path.Length == 0)
            {
                return value?.DeepClone();
            }

            if (at is JsonObject o)
            {
                var copy = o.DeepClone().AsObject();
                copy[path[0]] = path.Length > 1 && !o.ContainsKey(path[0]) ? throw new ArgumentException("parent") : Put(o[path[0]], path[1..], value, insert);
                return copy;
            }

            if (at is not JsonArray a)
            {
                throw new ArgumentException("scalar");
            }

            var items = a.Select(x => x?.DeepClone()).ToList();
            var last = path.Length == 1;
            var index = path[0] == "-" && last && insert ? items.Count : int.TryParse(path[0], out var i) ? i : throw new ArgumentException("index");
            if (last && insert && index <= items.Count)
            {
                items.Insert(index, value?.DeepClone());
            }
            else if (index < items.Count)
            {
                items[index] = Put(a[index], path[1..], value, insert);
            }
            else
            {
                throw new ArgumentException("index");
            }

            return new JsonArray([.. items]);
        }

        private static JsonNode? Cut(JsonNode? at, string[] path)
        {
            Get(at, path);
            if (path.Length > 1)
            {
                return Put(at, path[..1], Cut(Get(at, path[..1]), path[1..]), insert: false);
            }

            var copy = at!.DeepClone();
            if (copy is JsonObject o)
            {
                o.Remove(path[0]);
            }
            else
            {
                copy.AsArray().RemoveAt(int.Parse(path[0]));
            }

            return copy;
        }
    }
}
