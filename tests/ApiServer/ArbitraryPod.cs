using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;

namespace Declarative.Tests.ApiServer;

/// <summary>Random pods out of few names and values, so that two of them have much in common.</summary>
internal static class ArbitraryPod
{
    private static readonly string[] Names = ["a", "b", "c", "d"];

    public static Gen<JsonObject> Pod =>
        from containers in Named("containers", Container)
        from inits in Named("initContainers", Container)
        from volumes in Named("volumes", Volume)
        from labels in Labels
        from finalizers in Gen.Shuffle("f1", "f2", "f3").Select(all => all.Take(all[0].Length + all[1][1] % 3 - 1)).OrNull()
        from selector in Labels
        from host in Gen.Elements("h1", "h2", null)
        select Object(
            ("metadata", Object(("labels", labels), ("finalizers", finalizers is null ? null : new JsonArray([.. finalizers.Select(f => (JsonNode)f)])))),
            ("spec", Object(("containers", containers), ("initContainers", inits), ("volumes", volumes), ("nodeSelector", selector), ("hostname", host))));

    private static Gen<JsonObject> Container(string name) =>
        from image in Gen.Elements("i1", "i2", null)
        from args in Gen.Elements("1", "2").ListOf().OrNull()
        from env in Named("env", key => Gen.Elements("v1", "v2", null).Select(value => Object(("name", key), ("value", value))))
        from limits in Labels
        select Object(("name", name), ("image", image), ("args", args is null ? null : new JsonArray([.. args.Select(a => (JsonNode)a)])), ("env", env), ("resources", Object(("limits", limits))));

    private static Gen<JsonObject> Volume(string name) =>
        Gen.Elements("emptyDir", "hostPath", "configMap").Select(kind => Object(("name", name), (kind, kind == "hostPath" ? Object(("path", "/x")) : Object())));

    private static Gen<JsonObject?> Labels =>
        Gen.SubListOf(Names).SelectMany(keys => Gen.Elements("1", "2").ArrayOf(keys.Count).Select(values => (JsonObject?)Object([.. keys.Zip(values, (k, v) => (k, (JsonNode?)v))]))).OrNull();

    // A list of elements with different names, in any order; or none.
    private static Gen<JsonArray?> Named(string _, Func<string, Gen<JsonObject>> element) =>
        from all in Gen.Shuffle(Names)
        from count in Gen.Choose(-1, 3)
        from items in Gen.CollectToArray(all.Take(Math.Max(count, 0)), element)
        select count < 0 ? null : new JsonArray([.. items]);

    private static JsonObject Object(params (string Name, JsonNode? Value)[] members) => Object(members, keepNulls: false);

    public static JsonObject Object((string Name, JsonNode? Value)[] members, bool keepNulls)
    {
        var made = new JsonObject();
        foreach (var (name, value) in members)
        {
            if (value is not null || keepNulls)
            {
                made[name] = value?.DeepClone();
            }
        }

        return made;
    }
}
