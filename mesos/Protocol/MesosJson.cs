using System.Buffers;
using System.Text.Json;
using Google.Protobuf;

namespace Declarative.Mesos.Protocol;

/// <summary>
/// The JSON form of the v1 messages as Mesos reads and writes it: snake_case names only, everything unknown ignored, null is absent,
/// 64-bit integers as bare numbers, doubles with a decimal point, bytes as base64, enum values by name.
/// </summary>
public static class MesosJson
{
    /// <summary>Reads one message. False when the bytes are no JSON, a value has a wrong type or a required field is missing.</summary>
    public static bool TryRead<T>(ReadOnlySpan<byte> json, out T message, out MesosJsonFault fault)
        where T : IMessage<T>, new()
    {
        message = new T();
        return TryMerge(json, message, out fault);
    }

    /// <summary>Reads one message of which the caller knows that it is well formed (a test, a file of our own).</summary>
    /// <exception cref="FormatException">It is not.</exception>
    public static T Read<T>(ReadOnlySpan<byte> json)
        where T : IMessage<T>, new() => TryRead<T>(json, out var message, out var fault) ? message : throw new FormatException(fault.Text);

    /// <summary>The UTF-8 JSON of a message, without white space. Fields that are not set are left out, defaults too.</summary>
    public static byte[] Write(IMessage message)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        Write(buffer, message);
        return buffer.WrittenSpan.ToArray();
    }

    public static void Write(IBufferWriter<byte> buffer, IMessage message)
    {
        using var writer = new Utf8JsonWriter(buffer, MesosJsonWriter.Options);
        MesosJsonWriter.Write(writer, message);
    }

    internal static bool TryMerge(ReadOnlySpan<byte> json, IMessage message, out MesosJsonFault fault)
    {
        fault = default;
        try
        {
            var reader = new Utf8JsonReader(json, MesosJsonReader.Options);
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                reader.Read();
                fault = new(MesosJsonFaultKind.Conversion, "Expecting a JSON object");
                return false;
            }

            if (MesosJsonReader.Merge(ref reader, message) is { } wrong)
            {
                fault = new(MesosJsonFaultKind.Conversion, wrong);
                return false;
            }

            reader.Read();
        }
        catch (JsonException broken)
        {
            fault = new(MesosJsonFaultKind.Syntax, $"syntax error at line {broken.LineNumber + 1} near: {Near(json, broken)}");
            return false;
        }

        if (RequiredFields.Missing(message) is { Count: > 0 } missing)
        {
            fault = new(MesosJsonFaultKind.Conversion, "Missing required fields: " + string.Join(", ", missing));
            return false;
        }

        return true;
    }

    private static string Near(ReadOnlySpan<byte> json, JsonException broken)
    {
        for (var line = broken.LineNumber ?? 0; line > 0; line--)
            json = json[(json.IndexOf((byte)'\n') + 1)..];
        var start = (int)Math.Min(broken.BytePositionInLine ?? 0, json.Length);
        // What is missing is missing behind the comma.
        if (start < json.Length && json[start] == (byte)',')
            start++;
        return System.Text.Encoding.UTF8.GetString(json[start..Math.Min(json.Length, start + 30)]);
    }
}
