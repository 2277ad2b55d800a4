using Declarative.Api.Schema;

namespace Declarative.ApiServer.CustomResources;

/// <summary>Structural schemas as types, for server-side apply: lists by their keys, maps and objects by their members.</summary>
internal static class StructuralTypes
{
    public static SchemaType Root(CustomKind kind)
    {
        var fields = new List<SchemaField>();
        foreach (var name in (ReadOnlySpan<string>)["apiVersion", "kind"]) fields.Add(SchemaField.Custom(name, TypeRef.Named("string"), ListType.Unset, [], null));
        fields.Add(SchemaField.Custom("metadata", TypeRef.Named("meta.v1.ObjectMeta"), ListType.Unset, [], null));
        foreach (var (name, schema) in kind.Schema.Properties)
        {
            if (name is not ("apiVersion" or "kind" or "metadata")) fields.Add(Field(name, schema));
        }
        return SchemaType.Custom($"{kind.Group}.{kind.Version}.{kind.Name}", fields, isKind: true, isAtomic: false);
    }

    private static SchemaField Field(string name, Structural schema)
    {
        var listType = schema.Type == "array"
            ? schema.ListType switch { "set" => ListType.Set, "map" => ListType.Map, _ => ListType.Atomic }
            : schema.MapType switch { "atomic" => ListType.Atomic, "granular" => ListType.Granular, _ => ListType.Unset };
        return SchemaField.Custom(name, Type(schema), listType, schema.ListMapKeys, schema.Default?.ToJsonString());
    }

    private static TypeRef Type(Structural schema)
    {
        if (schema.IntOrString) return TypeRef.Named("intstr.IntOrString");
        switch (schema.Type)
        {
            case "array":
                return TypeRef.ListOf(schema.Items is { } items ? Type(items) : TypeRef.Anything);
            case "object" when schema.Additional is { } additional:
                return TypeRef.MapOf(Type(additional));
            case "object" when schema.Properties.Count > 0:
                return TypeRef.Of(SchemaType.Custom("", schema.Properties.Select(x => Field(x.Key, x.Value)), isKind: false, schema.MapType == "atomic"));
            case "object":
                return TypeRef.MapOf(TypeRef.Anything);
            case "string":
                return TypeRef.Named("string");
            case "boolean":
                return TypeRef.Named("bool");
            case "integer":
                return TypeRef.Named("int64");
            case "number":
                return TypeRef.Named("float64");
            default:
                return TypeRef.Anything;
        }
    }
}
