using System.Text.Json.Nodes;
using Declarative.Api.Schema;
using FsCheck;
using FsCheck.Fluent;

namespace Declarative.Tests.ApiServer;

/// <summary>Random objects of a type of the table, with values that are no zeros.</summary>
internal static class ArbitraryObject
{
    public static Gen<JsonObject> Of(SchemaType type, int depth = 6) =>
        from choices in Gen.Choose(0, 3).ArrayOf(type.Fields.Count)
        from values in Gen.CollectToArray(type.Fields.Where((field, i) => choices[i] == 0 && field.Name is not ("" or "apiVersion" or "kind") && (depth > 0 || IsScalar(field.Type))), field => Value(field.Type, depth).Select(value => (field.Name, value)))
        select Make(values);

    private static bool IsScalar(TypeRef type) => type.Shape < Shape.Object && type.Shape != Shape.Any;

    private static Gen<JsonNode> Value(TypeRef type, int depth) => type.Shape switch
    {
        Shape.Bool => Gen.Constant(true).Select(x => (JsonNode)x),
        Shape.Int32 => Gen.Choose(1, int.MaxValue).Or(Gen.Choose(int.MinValue, -1)).Select(x => (JsonNode)x),
        Shape.Int64 => Gen.Choose(1, int.MaxValue).Select(x => (JsonNode)(x * 4_000_000_000L)),
        Shape.Float64 => Gen.Choose(1, 1000).Select(x => (JsonNode)(x / 8.0)),
        Shape.Bytes => Gen.Elements("aGk=", "AAECAw==").Select(x => (JsonNode)x),
        Shape.Quantity => Gen.Elements("100m", "1.5", "64Mi").Select(x => (JsonNode)x),
        Shape.IntOrString => Gen.Elements(() => (JsonNode)7, () => (JsonNode)"25%").Select(make => make()),
        Shape.Time => Gen.Choose(0, int.MaxValue).Select(x => (JsonNode)DateTimeOffset.FromUnixTimeSeconds(x).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'")),
        Shape.MicroTime => Gen.Choose(0, int.MaxValue).Select(x => (JsonNode)DateTimeOffset.FromUnixTimeSeconds(x).AddMicroseconds(x % 1_000_000).ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'")),
        Shape.Duration => Gen.Constant((JsonNode)"1m30s"),
        Shape.Any => Gen.Elements("""{"a":[1,null,"x"]}""", """{"f:x":{".":{}}}""").Select(x => JsonNode.Parse(x)!),
        Shape.Object => Of(type.Type, depth - 1).Select(x => (JsonNode)x),
        Shape.OneOf => Gen.Elements(type.Type.Fields.Where(field => depth > 0 || field.Type.Shape == Shape.Bool || field.Type.Shape == Shape.List).ToArray()).SelectMany(field => Value(field.Type, depth - 1)),
        Shape.List => from count in Gen.Choose(1, 2) from items in Item(type, depth).ArrayOf(count) select (JsonNode)new JsonArray([.. items.Select(x => x.DeepClone())]),
        Shape.Map => from count in Gen.Choose(1, 2) from items in Item(type, depth).ArrayOf(count) select (JsonNode)Make([.. items.Select((x, i) => ($"key{i}", x))]),
        _ => Gen.Elements("a", "web", "ü€ \"quoted\"\n").Select(x => (JsonNode)x),
    };

    private static Gen<JsonNode> Item(TypeRef type, int depth) => depth > 0 || IsScalar(type.Item!) ? Value(type.Item!, depth - 1) : type.Item!.Shape == Shape.Object ? Gen.Fresh(() => (JsonNode)new JsonObject()) : Value(type.Item, 0);

    private static JsonObject Make((string Name, JsonNode Value)[] members)
    {
        var made = new JsonObject();
        foreach (var (name, value) in members)
        {
            made[name] = value.DeepClone();
        }

        return made;
    }
}
