using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Declarative.Api.Schema;

/// <summary>Judges a scalar that is no plain string and writes its canonical form.</summary>
internal static class ScalarForms
{
    /// <summary>False when the value that the reader stands on is not of that shape; then nothing is written.</summary>
    public static bool Write(ref Utf8JsonReader reader, Shape shape, JsonBuffer output)
    {
        var token = reader.TokenType;
        switch (shape)
        {
            case Shape.Bool when token is JsonTokenType.True or JsonTokenType.False:
            case Shape.Int32 or Shape.IntOrString when token == JsonTokenType.Number && reader.TryGetInt32(out _):
            case Shape.Int64 when token == JsonTokenType.Number && reader.TryGetInt64(out _):
            case Shape.Float64 when token == JsonTokenType.Number:
                output.Raw(reader.ValueSpan);
                return true;
            case Shape.Quantity when token == JsonTokenType.Number && JsonFormats.IsQuantity(reader.ValueSpan):
                output.Raw((byte)'"');
                output.Raw(reader.ValueSpan);
                output.Raw((byte)'"');
                return true;
            case Shape.IntOrString when token == JsonTokenType.String:
                output.String(ref reader);
                return true;
            default:
                return token == JsonTokenType.String && Formatted(ref reader, shape, output);
        }
    }

    // Strings with a form of their own. Escapes in them are legal and never used: unescaped first.
    private static bool Formatted(ref Utf8JsonReader reader, Shape shape, JsonBuffer output)
    {
        var text = reader.ValueIsEscaped ? Encoding.UTF8.GetBytes(reader.GetString()!) : reader.ValueSpan;
        switch (shape)
        {
            case Shape.Quantity when JsonFormats.IsQuantity(text):
            case Shape.Duration when JsonFormats.IsDuration(text):
            case Shape.Bytes when JsonFormats.IsBase64(text):
                output.String(text);
                return true;
            case Shape.Time when JsonFormats.TryTime(text, out var time):
                Time(text, 20, time, "yyyy-MM-dd'T'HH:mm:ss'Z'", output);
                return true;
            case Shape.MicroTime when JsonFormats.TryTime(text, out var time):
                Time(text, 27, time, "yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", output);
                return true;
            default:
                return false;
        }
    }

    // Stored in UTC and in one form, so that equal times have equal bytes.
    private static void Time(ReadOnlySpan<byte> text, int canonicalLength, DateTime utc, string format, JsonBuffer output)
    {
        if (text.Length == canonicalLength && text[^1] == (byte)'Z')
        {
            output.String(text);
        }
        else
        {
            output.String(utc.ToString(format, CultureInfo.InvariantCulture));
        }
    }
}
