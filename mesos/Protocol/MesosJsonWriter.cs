using System.Collections;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Declarative.Mesos.Protocol;

internal static class MesosJsonWriter
{
    public static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    public static void Write(Utf8JsonWriter writer, IMessage message)
    {
        writer.WriteStartObject();
        foreach (var plan in MessagePlan.Of(message.Descriptor).Fields)
        {
            var field = plan.Field;
            if (field.IsMap)
            {
                var map = (IDictionary)field.Accessor.GetValue(message);
                if (map.Count > 0)
                    WriteMap(writer, plan, map);
            }
            else if (field.IsRepeated)
            {
                var list = (IList)field.Accessor.GetValue(message);
                if (list.Count == 0 && !plan.EvenEmpty)
                    continue;
                writer.WriteStartArray(plan.Name);
                foreach (var element in list)
                    WriteValue(writer, field, plan.Enum, element);
                writer.WriteEndArray();
            }
            else if (field.Accessor.HasValue(message))
            {
                var value = field.Accessor.GetValue(message);
                if (plan.Enum is { } names && !names.TryName((int)value, out _))
                    continue;
                writer.WritePropertyName(plan.Name);
                WriteValue(writer, field, plan.Enum, value);
            }
        }

        writer.WriteEndObject();
    }

    private static void WriteMap(Utf8JsonWriter writer, MessagePlan.FieldPlan plan, IDictionary map)
    {
        var value = plan.Field.MessageType.Fields[2];
        writer.WriteStartObject(plan.Name);
        foreach (DictionaryEntry entry in map)
        {
            writer.WritePropertyName(Convert.ToString(entry.Key, CultureInfo.InvariantCulture)!);
            WriteValue(writer, value, null, entry.Value!);
        }

        writer.WriteEndObject();
    }

    private static void WriteValue(Utf8JsonWriter writer, FieldDescriptor field, EnumPlan? names, object value)
    {
        switch (value)
        {
            case IMessage message:
                Write(writer, message);
                break;
            case string text:
                writer.WriteStringValue(text);
                break;
            case bool flag:
                writer.WriteBooleanValue(flag);
                break;
            case double number:
                WriteDouble(writer, number);
                break;
            case ByteString bytes:
                writer.WriteBase64StringValue(bytes.Span);
                break;
            case int number when field.FieldType != FieldType.Enum:
                writer.WriteNumberValue(number);
                break;
            case uint number:
                writer.WriteNumberValue(number);
                break;
            case long number:
                writer.WriteNumberValue(number);
                break;
            case ulong number:
                writer.WriteNumberValue(number);
                break;
            default:
                if (names is not null && names.TryName((int)value, out var name))
                    writer.WriteStringValue(name);
                else
                    writer.WriteNumberValue((int)value);
                break;
        }
    }

    // Mesos prints a double so that it stays one: 15.0, not 15.
    private static void WriteDouble(Utf8JsonWriter writer, double value)
    {
        if (!double.IsFinite(value))
        {
            writer.WriteNumberValue(0);
            return;
        }

        Span<byte> text = stackalloc byte[40];
        value.TryFormat(text, out var length, default, CultureInfo.InvariantCulture);
        if (text[..length].IndexOfAny((byte)'.', (byte)'E') < 0)
        {
            text[length++] = (byte)'.';
            text[length++] = (byte)'0';
        }

        writer.WriteRawValue(text[..length], skipInputValidation: true);
    }
}
