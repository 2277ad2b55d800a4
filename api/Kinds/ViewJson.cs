using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

/// <summary>
/// Reads stored JSON into the lean views of this folder. A view is parsed once, never changed, keeps no field that the platform does not
/// use, and is never written back: writers build patches with Utf8JsonWriter.
/// </summary>
public static class ViewJson
{
    // By reflection, not by source generation: generated readers reset absent init properties to null instead of keeping their defaults.
    private static readonly JsonSerializerOptions Plain = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        MaxDepth = Limits.JsonDepthMax,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        Converters = { new QuantityJson(), new IntOrStringJson() },
    };

    private static readonly JsonSerializerOptions Options = new(Plain)
    {
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        Converters =
        {
            new Repeated<IReadOnlyList<Container>>(Plain),
            new Repeated<IReadOnlyList<Toleration>>(Plain),
            new Repeated<IReadOnlyList<Volume>>(Plain),
            new Repeated<IReadOnlyList<OwnerReference>>(Plain),
            new Repeated<IReadOnlyDictionary<string, string>>(Plain),
        },
    };

    /// <summary>The bytes that this thread reads.</summary>
    [ThreadStatic]
    private static ReadOnlyMemory<byte> CurrentBytes;

    internal static ReadOnlyMemory<byte> Current => CurrentBytes;

    /// <exception cref="JsonException">The bytes do not fit the view; stored objects always do, as the schema has checked them.</exception>
    internal static T Read<T>(ReadOnlyMemory<byte> json) where T : class
    {
        CurrentBytes = json;
        try
        {
            return JsonSerializer.Deserialize<T>(json.Span, Options) ?? throw new JsonException("expected an object, found null");
        }
        finally
        {
            CurrentBytes = default;
        }
    }
}

internal sealed class QuantityJson : JsonConverter<Quantity>
{
    public override Quantity Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var text = reader.TokenType == JsonTokenType.Number ? System.Text.Encoding.ASCII.GetString(reader.ValueSpan) : reader.GetString();
        return Quantity.TryParse(text, out var quantity) ? quantity : throw new JsonException($"\"{text}\": {Quantity.Syntax}");
    }

    public override void Write(Utf8JsonWriter writer, Quantity value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}

internal sealed class IntOrStringJson : JsonConverter<IntOrString>
{
    public override IntOrString Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.Number ? reader.GetInt32() : reader.GetString()!;

    public override void Write(Utf8JsonWriter writer, IntOrString value, JsonSerializerOptions options)
    {
        if (value.IsText) writer.WriteStringValue(value.Text);
        else writer.WriteNumberValue(value.Int);
    }
}
