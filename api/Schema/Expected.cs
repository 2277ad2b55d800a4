using System.Text.Json;

namespace Declarative.Api.Schema;

/// <summary>The words for what a field wants and for what was there instead.</summary>
internal static class Expected
{
    private const int ExcerptCharsMax = 40;

    public static string Of(Shape shape) => shape switch
    {
        Shape.String => "a string",
        Shape.Bool => "true or false",
        Shape.Int32 => "an integer (int32)",
        Shape.Int64 => "an integer (int64)",
        Shape.Float64 => "a number",
        Shape.Bytes => "a string in base64",
        Shape.Quantity => "a quantity such as 100m, 1.5 or 64Mi",
        Shape.IntOrString => "an integer (int32) or a string",
        Shape.Time or Shape.MicroTime => "a time such as 2026-01-31T09:30:00Z (RFC 3339)",
        Shape.Duration => "a duration such as 1m30s",
        Shape.List => "a list",
        Shape.Object or Shape.Map => "an object",
        _ => "a value",
    };

    public static string Found(ref Utf8JsonReader reader)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return "an object";
            case JsonTokenType.StartArray:
                return "a list";
            case JsonTokenType.String:
                var text = reader.GetString()!;
                return text.Length <= ExcerptCharsMax ? $"the string \"{text}\"" : $"the string \"{text[..ExcerptCharsMax]}…\"";
            case JsonTokenType.Number:
                return $"the number {System.Text.Encoding.UTF8.GetString(reader.ValueSpan)}";
            case JsonTokenType.True:
                return "true";
            case JsonTokenType.False:
                return "false";
            default:
                return "null";
        }
    }
}
