using System.Collections;
using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Declarative.Mesos.Protocol;

internal static class MesosJsonReader
{
    public static readonly JsonReaderOptions Options = new() { MaxDepth = Limits.JsonDepthMax };

    /// <summary>Reads the object that the reader stands on into the message; a text when a value does not fit its field.</summary>
    public static string? Merge(ref Utf8JsonReader reader, IMessage message)
    {
        var plan = MessagePlan.Of(message.Descriptor);
        var next = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var field = plan.Find(ref reader, ref next);
            reader.Read();
            if (field is null || reader.TokenType == JsonTokenType.Null)
                reader.Skip();
            else if (Assign(ref reader, message, field) is { } wrong)
                return wrong;
        }

        return null;
    }

    private static string? Assign(ref Utf8JsonReader reader, IMessage message, MessagePlan.FieldPlan plan)
    {
        var field = plan.Field;
        if (field.IsMap)
            return reader.TokenType == JsonTokenType.StartObject
                ? AssignMap(ref reader, field, (IDictionary)field.Accessor.GetValue(message))
                : Unexpected(ref reader, field);
        if (field.IsRepeated)
            return AssignList(ref reader, plan, (IList)field.Accessor.GetValue(message));
        if (Value(ref reader, field, plan.Enum, out var value) is { } wrong)
            return wrong;
        if (value is not null)
            field.Accessor.SetValue(message, value);
        return null;
    }

    private static string? AssignList(ref Utf8JsonReader reader, MessagePlan.FieldPlan plan, IList list)
    {
        // A single value for a repeated field counts as a list of one.
        var single = reader.TokenType != JsonTokenType.StartArray;
        while (single || (reader.Read() && reader.TokenType != JsonTokenType.EndArray))
        {
            if (reader.TokenType == JsonTokenType.Null)
                continue;
            if (Value(ref reader, plan.Field, plan.Enum, out var element) is { } wrong)
                return wrong;
            if (element is not null)
                list.Add(element);
            if (single)
                break;
        }

        return null;
    }

    private static string? AssignMap(ref Utf8JsonReader reader, FieldDescriptor field, IDictionary map)
    {
        var valueField = field.MessageType.Fields[2];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null)
                continue;
            if (Value(ref reader, valueField, null, out var value) is { } wrong)
                return wrong;
            if (value is not null)
                map[key] = value;
        }

        return null;
    }

    private static string? Value(ref Utf8JsonReader reader, FieldDescriptor field, EnumPlan? names, out object? value)
    {
        value = null;
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject when field.FieldType == FieldType.Message:
                var child = (IMessage)Activator.CreateInstance(field.MessageType.ClrType)!;
                value = child;
                return Merge(ref reader, child);
            case JsonTokenType.True or JsonTokenType.False when field.FieldType == FieldType.Bool:
                value = reader.GetBoolean();
                return null;
            case JsonTokenType.Number:
                value = Number(ref reader, field.FieldType);
                break;
            case JsonTokenType.String:
                return Text(ref reader, field, names, out value);
            default:
                break;
        }

        return value is null ? Unexpected(ref reader, field) : null;
    }

    private static object? Number(ref Utf8JsonReader reader, FieldType type)
    {
        if (type == FieldType.Double)
            return reader.GetDouble();
        switch (type)
        {
            case FieldType.Int32 when reader.TryGetInt32(out var exact):
                return exact;
            case FieldType.UInt32 when reader.TryGetUInt32(out var exact):
                return exact;
            case FieldType.Int64 when reader.TryGetInt64(out var exact):
                return exact;
            case FieldType.UInt64 when reader.TryGetUInt64(out var exact):
                return exact;
            default:
                return Whole(reader.GetDouble(), type);
        }
    }

    // 5.0 is taken for 5; what lies outside the type is not.
    private static object? Whole(double number, FieldType type) =>
        type switch
        {
            FieldType.Int32 when number is >= int.MinValue and <= int.MaxValue => (int)number,
            FieldType.UInt32 when number is >= 0 and <= uint.MaxValue => (uint)number,
            FieldType.Int64 when number is >= -9.2e18 and <= 9.2e18 => (long)number,
            FieldType.UInt64 when number is >= 0 and <= 1.8e19 => (ulong)number,
            _ => null,
        };

    private static string? Text(ref Utf8JsonReader reader, FieldDescriptor field, EnumPlan? names, out object? value)
    {
        value = null;
        string text;
        try
        {
            text = reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return $"Not expecting an incomplete surrogate pair for field '{field.Name}'";
        }

        switch (field.FieldType)
        {
            case FieldType.String:
                value = text;
                return null;
            case FieldType.Bytes:
                var buffer = new byte[text.Length];
                if (!Convert.TryFromBase64String(text, buffer, out var written))
                    return $"Failed to base64 decode bytes field '{field.Name}'";
                value = ByteString.CopyFrom(buffer, 0, written);
                return null;
            case FieldType.Enum:
                // A name that this version does not know counts as absent.
                value = (names ?? EnumPlan.Of(field.EnumType)).Number(text);
                return null;
            case FieldType.Double when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number):
                value = number;
                return null;
            case FieldType.Int32 or FieldType.UInt32 or FieldType.Int64 or FieldType.UInt64:
                value = Integer(text, field.FieldType);
                break;
            default:
                break;
        }

        return value is null ? Unexpected(ref reader, field) : null;
    }

    private static object? Integer(string text, FieldType type) =>
        type switch
        {
            FieldType.Int32 when int.TryParse(text, CultureInfo.InvariantCulture, out var number) => number,
            FieldType.UInt32 when uint.TryParse(text, CultureInfo.InvariantCulture, out var number) => number,
            FieldType.Int64 when long.TryParse(text, CultureInfo.InvariantCulture, out var number) => number,
            FieldType.UInt64 when ulong.TryParse(text, CultureInfo.InvariantCulture, out var number) => number,
            _ => null,
        };

    private static string Unexpected(ref Utf8JsonReader reader, FieldDescriptor field)
    {
        var kind = reader.TokenType switch
        {
            JsonTokenType.StartObject => "object",
            JsonTokenType.StartArray => "array",
            JsonTokenType.String => "string",
            JsonTokenType.Number => "number",
            _ => "boolean",
        };
        return $"Not expecting a JSON {kind} for field '{field.Name}'";
    }
}
