using System.Text.Json;
using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Declarative.ApiServer.CustomResources;

namespace Declarative.ApiServer.OpenApi;

/// <summary>Writes the types of the table as OpenAPI schemas, with what a client needs for patches and <c>explain</c>.</summary>
/// <param name="json">Where to write.</param>
/// <param name="v3">Version 3.0 of the specification, else 2.0.</param>
/// <param name="kinds">Where the schemas of custom kinds come from.</param>
internal sealed class SchemaWriter(Utf8JsonWriter json, bool v3, IReadOnlyList<Kind> kinds)
{
    private readonly Dictionary<string, CustomKind> _custom = kinds.OfType<CustomKind>().ToDictionary(x => TypeNames.Of(x.Group, x.Version, x.Name));

    private readonly string _prefix = v3 ? "#/components/schemas/" : "#/definitions/";

    /// <summary>The type names that <paramref name="roots"/> refer to, directly or not, and themselves, sorted by schema name.</summary>
    public static List<string> Closure(IEnumerable<string> roots)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<string>(roots);
        while (open.TryPop(out var name))
        {
            if (!found.Add(name))
            {
                continue;
            }

            foreach (var reference in References(name))
            {
                open.Push(reference);
            }
        }

        return [.. found.OrderBy(SchemaNames.Of, StringComparer.Ordinal)];
    }

    /// <summary>Writes the schema of a type as the member of that name.</summary>
    public void Write(string typeName)
    {
        json.WriteStartObject(SchemaNames.Of(typeName));
        if (_custom.TryGetValue(typeName, out var custom))
        {
            CustomSchemas.Write(json, custom, v3, Reference);
        }
        else if (!Leaf(typeName))
        {
            json.WriteString("description", Descriptions.Of(typeName, ""));
            if (ListedKind(typeName) is { } kind)
            {
                List(typeName, kind);
            }
            else if (TypeTable.Type(typeName) is not { } type)
            {
                json.WriteString("type", "object");
                json.WriteBoolean("x-kubernetes-preserve-unknown-fields", true);
                if (typeName.Count(c => c == '.') > 1)
                {
                    GroupVersionKind(typeName);
                }
            }
            else if (type.Fields[0].Name.Length > 0)
            {
                Object(type);
            }
        }

        json.WriteEndObject();
    }

    /// <summary>Writes a member <c>schema</c> that refers to a type.</summary>
    public void SchemaReference(string typeName)
    {
        json.WriteStartObject("schema");
        json.WriteString("$ref", _prefix + SchemaNames.Of(typeName));
        json.WriteEndObject();
    }

    private static IEnumerable<string> References(string name)
    {
        if (ListedKind(name) is { } kind)
        {
            return [kind, "meta.v1.ListMeta"];
        }

        return TypeTable.Type(name) is { } type ? type.Fields.Select(field => Innermost(field.Type)).OfType<string>()
            : name.Count(c => c == '.') > 2 ? ["meta.v1.ObjectMeta"] : []; // a custom kind
    }

    private static string? Innermost(TypeRef type) => type.Item is null ? ReferenceOf(type) : Innermost(type.Item);

    // The schema that a type is written as a reference to, or null where it is written out.
    private static string? ReferenceOf(TypeRef type) => type.Shape switch
    {
        Shape.Object or Shape.OneOf or Shape.Time or Shape.MicroTime or Shape.Duration or Shape.Quantity or Shape.IntOrString => type.ToString(),
        Shape.Any when !type.ToString().StartsWith('*') => type.ToString(),
        _ => null,
    };

    // apps.v1.DeploymentList → apps.v1.Deployment; lists of kinds are in no table.
    private static string? ListedKind(string name) =>
        name.EndsWith("List", StringComparison.Ordinal) && TypeTable.Type(name) is null ? name[..^4] : null;

    private void List(string name, string kind)
    {
        json.WriteString("type", "object");
        json.WriteStartObject("properties");
        foreach (var field in (string[])["apiVersion", "kind"])
        {
            json.WriteStartObject(field);
            json.WriteString("description", Descriptions.Of("*", field));
            json.WriteString("type", "string");
            json.WriteEndObject();
        }

        json.WriteStartObject("metadata");
        Reference("meta.v1.ListMeta");
        json.WriteEndObject();
        json.WriteStartObject("items");
        json.WriteString("description", Descriptions.Of("*", "items"));
        json.WriteString("type", "array");
        json.WriteStartObject("items");
        Reference(kind);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
        Required(["items"]);
        GroupVersionKind(name);
    }

    private void Object(SchemaType type)
    {
        json.WriteString("type", "object");
        json.WriteStartObject("properties");
        foreach (var field in type.Fields)
        {
            json.WriteStartObject(field.Name);
            json.WriteString("description", Descriptions.Of(type.Name, field.Name));
            Type(field.Type);
            if (field.Default is { } value)
            {
                json.WritePropertyName("default");
                json.WriteRawValue(value);
            }

            Extensions(field);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        Required([.. type.Fields.Where(field => field.Required).Select(field => field.Name)]);
        if (type.IsAtomic)
        {
            json.WriteString("x-kubernetes-map-type", "atomic");
        }

        if (type.IsKind)
        {
            GroupVersionKind(type.Name);
        }
    }

    private void Extensions(SchemaField field)
    {
        if (field.Type.Shape is Shape.Map or Shape.Object && field.ListType is ListType.Atomic or ListType.Granular)
        {
            json.WriteString("x-kubernetes-map-type", field.ListType == ListType.Atomic ? "atomic" : "granular");
        }
        else if (field.ListType is ListType.Atomic or ListType.Set or ListType.Map)
        {
            json.WriteString("x-kubernetes-list-type", field.ListType switch { ListType.Atomic => "atomic", ListType.Set => "set", _ => "map" });
        }

        if (field.MapKeys.Count > 0)
        {
            json.WriteStartArray("x-kubernetes-list-map-keys");
            foreach (var key in field.MapKeys)
            {
                json.WriteStringValue(key);
            }

            json.WriteEndArray();
        }

        if (field.MergeKey is { } mergeKey)
        {
            json.WriteString("x-kubernetes-patch-merge-key", mergeKey);
        }

        if (field.PatchStrategy.Length > 0)
        {
            json.WriteString("x-kubernetes-patch-strategy", field.PatchStrategy);
        }
    }

    private void Type(TypeRef type)
    {
        if (ReferenceOf(type) is { } reference)
        {
            Reference(reference);
            return;
        }

        var (name, format) = type.Shape switch
        {
            Shape.Bool => ("boolean", null),
            Shape.Int32 => ("integer", "int32"),
            Shape.Int64 => ("integer", "int64"),
            Shape.Float64 => ("number", "double"),
            Shape.Bytes => ("string", "byte"),
            Shape.List => ("array", null),
            Shape.Map or Shape.Any => ("object", null),
            _ => ("string", (string?)null),
        };
        json.WriteString("type", name);
        if (format is not null)
        {
            json.WriteString("format", format);
        }

        if (type.Item is { } item)
        {
            json.WriteStartObject(type.Shape == Shape.List ? "items" : "additionalProperties");
            Type(item);
            json.WriteEndObject();
        }
    }

    // In 3.0 members beside $ref are ignored, hence allOf.
    private void Reference(string typeName)
    {
        if (v3)
        {
            json.WriteStartArray("allOf");
            json.WriteStartObject();
        }

        json.WriteString("$ref", _prefix + SchemaNames.Of(typeName));
        if (v3)
        {
            json.WriteEndObject();
            json.WriteEndArray();
        }
    }

    private bool Leaf(string typeName)
    {
        switch (typeName)
        {
            case "Time" or "MicroTime":
                json.WriteString("description", typeName == "Time" ? "A time in RFC 3339, for example 2026-01-31T09:30:00Z." : "A time in RFC 3339 with six decimals.");
                json.WriteString("type", "string");
                json.WriteString("format", "date-time");
                return true;
            case "Duration":
                json.WriteString("description", "A duration such as 1m30s.");
                json.WriteString("type", "string");
                return true;
            case "resource.Quantity":
                json.WriteString("description", "An amount, as a decimal with an optional suffix: n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent. For example 500m, 1.5, 64Mi.");
                OneOf("string", "number", null);
                return true;
            case "intstr.IntOrString":
                json.WriteString("description", "A number, or a string: a name or a percentage, as the field says.");
                OneOf("integer", "string", "int-or-string");
                return true;
            case "runtime.RawExtension" or "FieldsV1" or "meta.v1.Patch":
                json.WriteString("description", typeName switch
                {
                    "FieldsV1" => "A set of fields as a tree of their names.",
                    "meta.v1.Patch" => "A change, in the form that the content type names.",
                    _ => "Any object.",
                });
                json.WriteString("type", "object");
                return true;
            case "apiextensions.v1.JSON":
                json.WriteString("description", "Any JSON value.");
                return true;
            default:
                return false;
        }
    }

    private void OneOf(string first, string second, string? format)
    {
        if (!v3)
        {
            json.WriteString("type", "string");
        }
        else
        {
            json.WriteStartArray("oneOf");
            foreach (var type in (string[])[first, second])
            {
                json.WriteStartObject();
                json.WriteString("type", type);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        if (format is not null)
        {
            json.WriteString("format", format);
        }
    }

    private void Required(IReadOnlyList<string> names)
    {
        if (names.Count == 0)
        {
            return;
        }

        json.WriteStartArray("required");
        foreach (var name in names)
        {
            json.WriteStringValue(name);
        }

        json.WriteEndArray();
    }

    private void GroupVersionKind(string typeName)
    {
        var (group, version, kind) = TypeNames.KindOf(typeName);
        json.WriteStartArray("x-kubernetes-group-version-kind");
        json.WriteStartObject();
        // Status, DeleteOptions and their like are written as v1 of the group without a name.
        json.WriteString("group", group == "meta.k8s.io" ? "" : group);
        json.WriteString("kind", kind);
        json.WriteString("version", version);
        json.WriteEndObject();
        json.WriteEndArray();
    }
}
