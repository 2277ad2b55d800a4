using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.CustomResources;

/// <summary>Values against their structural schema: types, bounds, patterns, formats, junctors and the uniqueness that list types ask for.</summary>
internal static class StructuralValidation
{
    /// <summary>More causes than a reader wants; it bounds the answer to a hostile object.</summary>
    private const int CausesMax = 40;

    public static void Check(JsonNode? value, Structural schema, string path, List<StatusCause> causes) => Check(value, schema, path, causes, isRoot: path.Length == 0);

    private static void Check(JsonNode? value, Structural schema, string path, List<StatusCause> causes, bool isRoot)
    {
        if (causes.Count >= CausesMax) return;
        if (value is null)
        {
            if (!schema.Nullable && schema.Type.Length + (schema.IntOrString ? 1 : 0) > 0) causes.Add(WrongType(path, schema.IntOrString ? "integer or string" : schema.Type, "null"));
            return;
        }
        if (TypeError(value, schema) is { } expected)
        {
            causes.Add(WrongType(path, expected, TypeOf(value)));
            return;
        }
        if (schema.Enum.Count > 0 && !schema.Enum.Any(x => JsonNode.DeepEquals(x, value)))
        {
            causes.Add(new("FieldValueNotSupported", $"Unsupported value: {Shown(value)}: supported values: {string.Join(", ", schema.Enum.Select(Shown))}", path));
        }
        switch (value)
        {
            case JsonObject json:
                CheckObject(json, schema, path, causes, isRoot);
                break;
            case JsonArray list:
                CheckList(list, schema, path, causes);
                break;
            case JsonValue scalar when scalar.GetValueKind() == JsonValueKind.String:
                CheckText(scalar.GetValue<string>(), schema, path, causes);
                break;
            case JsonValue scalar when scalar.GetValueKind() == JsonValueKind.Number:
                CheckNumber(scalar, schema, path, causes);
                break;
        }
        CheckJunctors(value, schema, path, causes);
    }

    private static void CheckObject(JsonObject json, Structural schema, string path, List<StatusCause> causes, bool isRoot)
    {
        foreach (var name in schema.Required)
        {
            if (!json.ContainsKey(name)) causes.Add(new("FieldValueRequired", "Required value", Join(path, name)));
        }
        if (schema.Number("maxProperties") is { } max && json.Count > max) causes.Add(new("FieldValueTooMany", $"Too many: {json.Count}: must have at most {max} items", path));
        if (schema.Number("minProperties") is { } min && json.Count < min) causes.Add(Bound(path, Number(json.Count), $"should have at least {min} properties"));
        foreach (var (name, member) in json)
        {
            // The metadata of the object itself is judged as that of every kind; a schema may narrow name and generateName.
            if (isRoot && name is "apiVersion" or "kind") continue;
            if (schema.Member(name) is { } property) Check(member, property, schema.Properties.ContainsKey(name) ? Join(path, name) : $"{path}[{name}]", causes, isRoot: false);
        }
        if (!schema.EmbeddedResource) return;
        foreach (var name in (ReadOnlySpan<string>)["apiVersion", "kind"])
        {
            if (json[name] is not JsonValue text || !text.TryGetValue<string>(out var word) || word.Length == 0) causes.Add(new("FieldValueRequired", "Required value: must not be empty", Join(path, name)));
        }
    }

    private static void CheckList(JsonArray list, Structural schema, string path, List<StatusCause> causes)
    {
        if (schema.Number("maxItems") is { } max && list.Count > max) causes.Add(new("FieldValueTooMany", $"Too many: {list.Count}: must have at most {max} items", path));
        if (schema.Number("minItems") is { } min && list.Count < min) causes.Add(Bound(path, Number(list.Count), $"should have at least {min} items"));
        if (schema.Items is { } items)
        {
            for (var i = 0; i < list.Count; i++) Check(list[i], items, $"{path}[{i}]", causes, isRoot: false);
        }
        if (schema.ListType is not ("set" or "map")) return;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < list.Count; i++)
        {
            if (KeyOf(list[i], schema) is { } key && !seen.Add(key)) causes.Add(new("FieldValueDuplicate", $"Duplicate value: {key}", $"{path}[{i}]"));
        }
    }

    /// <summary>What makes an element of a list of type set or map the same as another; null where it is malformed.</summary>
    public static string? KeyOf(JsonNode? element, Structural schema)
    {
        if (schema.ListType == "set") return Shown(element);
        if (element is not JsonObject json) return null;
        var keys = new JsonObject();
        foreach (var name in schema.ListMapKeys) keys[name] = json[name]?.DeepClone();
        return keys.ToJsonString();
    }

    private static void CheckText(string text, Structural schema, string path, List<StatusCause> causes)
    {
        var length = text.Length - text.Count(char.IsLowSurrogate);
        if (schema.Number("maxLength") is { } max && length > max) causes.Add(new("FieldValueTooLong", $"Too long: may not be more than {max} characters", path));
        if (schema.Number("minLength") is { } min && length < min) causes.Add(Bound(path, Shown(text), $"should be at least {min} chars long"));
        if (schema.Pattern is { } pattern && !pattern.IsMatch(text)) causes.Add(Bound(path, Shown(text), $"should match '{schema.Source["pattern"]}'"));
        if (schema.Format.Length > 0 && !TextFormats.Fits(schema.Format, text)) causes.Add(Bound(path, Shown(text), $"must be of type {schema.Format}: {Shown(text)}"));
    }

    private static void CheckNumber(JsonValue number, Structural schema, string path, List<StatusCause> causes)
    {
        var value = Cel.CelValues.Real(number);
        if (schema.Number("maximum") is { } max && (value > max || (value == max && schema.Source["exclusiveMaximum"]?.GetValue<bool>() == true)))
        {
            causes.Add(Bound(path, number.ToJsonString(), value == max ? $"should be less than {Number(max)}" : $"should be less than or equal to {Number(max)}"));
        }
        if (schema.Number("minimum") is { } min && (value < min || (value == min && schema.Source["exclusiveMinimum"]?.GetValue<bool>() == true)))
        {
            causes.Add(Bound(path, number.ToJsonString(), value == min ? $"should be greater than {Number(min)}" : $"should be greater than or equal to {Number(min)}"));
        }
        if (schema.Number("multipleOf") is { } step && step > 0 && Math.Abs(value / step - Math.Round(value / step)) > 1e-9) causes.Add(Bound(path, number.ToJsonString(), $"should be a multiple of {Number(step)}"));
        if (schema.Format == "int32" && value is < int.MinValue or > int.MaxValue) causes.Add(Bound(path, number.ToJsonString(), "must be of type int32"));
    }

    private static void CheckJunctors(JsonNode value, Structural schema, string path, List<StatusCause> causes)
    {
        foreach (var part in schema.AllOf) Check(value, part, path, causes, isRoot: false);
        if (schema.AnyOf.Count > 0 && !schema.AnyOf.Any(Fits)) causes.Add(Bound(path, Shown(value), "must validate at least one schema (anyOf)"));
        if (schema.OneOf.Count > 0 && schema.OneOf.Count(Fits) is not 1 and var many)
        {
            causes.Add(Bound(path, Shown(value), many == 0 ? "must validate one and only one schema (oneOf). Found none valid" : $"must validate one and only one schema (oneOf). Found {many} valid alternatives"));
        }
        if (schema.Not is { } not && Fits(not)) causes.Add(Bound(path, Shown(value), "must not validate the schema (not)"));

        bool Fits(Structural part)
        {
            var found = new List<StatusCause>();
            Check(value, part, path, found, isRoot: false);
            return found.Count == 0;
        }
    }

    private static string? TypeError(JsonNode value, Structural schema)
    {
        var kind = value.GetValueKind();
        if (schema.IntOrString) return kind == JsonValueKind.String || IsInteger(value) ? null : "integer or string";
        var fits = schema.Type switch
        {
            "object" => kind == JsonValueKind.Object,
            "array" => kind == JsonValueKind.Array,
            "string" => kind == JsonValueKind.String,
            "integer" => IsInteger(value),
            "number" => kind == JsonValueKind.Number,
            "boolean" => kind is JsonValueKind.True or JsonValueKind.False,
            _ => true,
        };
        return fits ? null : schema.Type;
    }

    private static bool IsInteger(JsonNode value) =>
        value is JsonValue number && number.GetValueKind() == JsonValueKind.Number && (number.TryGetValue<long>(out _) || (Cel.CelValues.Real(number) is var real && real == Math.Floor(real)));

    private static string TypeOf(JsonNode value) => value.GetValueKind() switch
    {
        JsonValueKind.Object => "object",
        JsonValueKind.Array => "array",
        JsonValueKind.String => "string",
        JsonValueKind.Number => IsInteger(value) ? "integer" : "number",
        JsonValueKind.Null => "null",
        _ => "boolean",
    };

    private static StatusCause WrongType(string path, string expected, string found) =>
        new("FieldValueTypeInvalid", $"Invalid value: \"{found}\": {(path.Length == 0 ? "" : path + " in body ")}must be of type {expected}: \"{found}\"", path);

    private static StatusCause Bound(string path, string value, string what) => new("FieldValueInvalid", $"Invalid value: {value}: {path} in body {what}", path);

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    private static string Number(double value) => value.ToString(CultureInfo.InvariantCulture);

    internal static string Shown(JsonNode? value)
    {
        const int charsMax = 200;
        var text = value?.ToJsonString(JsonText) ?? "null";
        return text.Length <= charsMax ? text : text[..charsMax] + "…";
    }

    private static readonly JsonSerializerOptions JsonText = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = Limits.JsonDepthMax };
}
