using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using Declarative.Api;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Protobuf;

/// <summary>Protobuf messages to JSON by the table. Fields with numbers that the table does not have are left out.</summary>
internal static class ProtobufDecoder
{
    public static void Object(ReadOnlySpan<byte> message, SchemaType type, string apiVersion, string kind, JsonBuffer output)
    {
        output.Raw("{\"apiVersion\":"u8);
        output.String(apiVersion);
        output.Raw(",\"kind\":"u8);
        output.String(kind);
        Members(message, type, output, 1);
        output.Raw((byte)'}');
    }

    private static void Members(ReadOnlySpan<byte> message, SchemaType type, JsonBuffer output, int depth)
    {
        if (depth > Limits.JsonDepthMax)
        {
            throw new FormatException($"messages are nested more than {Limits.JsonDepthMax} levels deep");
        }

        var found = new List<Found>();
        Collect(message, 0, WireLayout.Of(type), found);
        found.Sort(static (a, b) => a.Field.Index != b.Field.Index ? a.Field.Index.CompareTo(b.Field.Index) : a.Sequence.CompareTo(b.Sequence));
        for (var i = 0; i < found.Count;)
        {
            var end = i + 1;
            while (end < found.Count && found[end].Field == found[i].Field)
            {
                end++;
            }

            Member(message, found, i, end, output, depth);
            i = end;
        }
    }

    // Positions are relative to the outermost message, so that inlined messages need no copies.
    private static void Collect(ReadOnlySpan<byte> outer, int start, WireLayout layout, List<Found> found, int length = -1)
    {
        var message = length < 0 ? outer[start..] : outer.Slice(start, length);
        var reader = new ProtobufReader(message);
        while (reader.Read())
        {
            if (layout.Find(reader.Field) is not { } slot)
            {
                continue;
            }

            var at = reader.WireType == 2 && outer.Overlaps(reader.Bytes, out var offset) ? offset : 0;
            if (slot.Inlined is { } inlined)
            {
                if (reader.WireType == 2 && reader.Bytes.Length > 0)
                {
                    Collect(outer, at, inlined, found, reader.Bytes.Length);
                }
            }
            else
            {
                found.Add(new Found(slot.Field!, slot.KeepsZero, found.Count, reader.WireType, reader.Number, at, reader.Bytes.Length));
            }
        }
    }

    private static void Member(ReadOnlySpan<byte> message, List<Found> found, int start, int end, JsonBuffer output, int depth)
    {
        var last = found[end - 1];
        var (field, type) = (last.Field, last.Field.Type);
        var before = output.Length;
        output.Separate();
        output.String(field.Name);
        output.Raw((byte)':');
        switch (type.Shape)
        {
            case Shape.List:
                output.Raw((byte)'[');
                for (var i = start; i < end; i++)
                {
                    Element(message, found[i], type.Item!, output, depth);
                }

                output.Raw((byte)']');
                break;
            case Shape.Map:
                output.Raw((byte)'{');
                for (var i = start; i < end; i++)
                {
                    Entry(found[i].Bytes(message), type.Item!, output, depth);
                }

                output.Raw((byte)'}');
                break;
            default:
                if (!Value(last.Bytes(message), last.WireType, last.Number, type, last.KeepsZero, output, depth))
                {
                    output.Length = before;
                }

                break;
        }
    }

    private static void Element(ReadOnlySpan<byte> message, Found found, TypeRef type, JsonBuffer output, int depth)
    {
        var bytes = found.Bytes(message);
        if (found.WireType == 2 && type.Shape is Shape.Int32 or Shape.Int64 or Shape.Bool)
        {
            while (ProtobufReader.Packed(ref bytes, out var number))
            {
                output.Separate();
                Value(default, 0, number, type, true, output, depth);
            }

            return;
        }

        output.Separate();
        ValueOrNull(bytes, found.WireType, found.Number, type, output, depth);
    }

    private static void ValueOrNull(ReadOnlySpan<byte> bytes, int wireType, ulong number, TypeRef type, JsonBuffer output, int depth)
    {
        var before = output.Length;
        if (!Value(bytes, wireType, number, type, true, output, depth))
        {
            output.Length = before;
            output.Raw("null"u8);
        }
    }

    // A map entry is a message { key = 1, value = 2 }.
    private static void Entry(ReadOnlySpan<byte> entry, TypeRef type, JsonBuffer output, int depth)
    {
        ReadOnlySpan<byte> key = default;
        ReadOnlySpan<byte> value = default;
        var (wireType, number) = (type.Shape is Shape.Bool or Shape.Int32 or Shape.Int64 ? 0 : 2, 0UL);
        var reader = new ProtobufReader(entry);
        while (reader.Read())
        {
            if (reader is { Field: 1, WireType: 2 })
            {
                key = reader.Bytes;
            }
            else if (reader.Field == 2)
            {
                value = reader.Bytes;
                wireType = reader.WireType;
                number = reader.Number;
            }
        }

        output.Separate();
        output.String(Checked(key));
        output.Raw((byte)':');
        if (type.Shape == Shape.List)
        {
            // A message { items = 1 }.
            output.Raw((byte)'[');
            var items = new ProtobufReader(value);
            while (items.Read())
            {
                output.Separate();
                ValueOrNull(items.Bytes, items.WireType, items.Number, type.Item!, output, depth);
            }

            output.Raw((byte)']');
        }
        else
        {
            ValueOrNull(value, wireType, number, type, output, depth);
        }
    }

    // False when there is nothing to write: the zero of a field that was never set.
    private static bool Value(ReadOnlySpan<byte> bytes, int wireType, ulong number, TypeRef type, bool keepsZero, JsonBuffer output, int depth)
    {
        var wanted = type.Shape switch { Shape.Bool or Shape.Int32 or Shape.Int64 => 0, Shape.Float64 => 1, _ => 2 };
        if (wireType != wanted)
        {
            throw new FormatException($"wire type {wireType} for a value of type {type}");
        }

        switch (type.Shape)
        {
            case Shape.Bool:
                output.Raw(number != 0 ? "true"u8 : "false"u8);
                return number != 0 || keepsZero;
            case Shape.Int32 or Shape.Int64:
                output.Number((long)number);
                return number != 0 || keepsZero;
            case Shape.Float64:
                var real = BitConverter.UInt64BitsToDouble(number);
                if (!double.IsFinite(real))
                {
                    throw new FormatException("a number is not finite");
                }

                output.Raw(System.Text.Encoding.ASCII.GetBytes(real.ToString("R", CultureInfo.InvariantCulture)));
                return real != 0 || keepsZero;
            case Shape.String or Shape.Duration:
                output.String(Checked(bytes));
                return bytes.Length > 0 || keepsZero;
            case Shape.Bytes:
                output.String(Convert.ToBase64String(bytes));
                return bytes.Length > 0 || keepsZero;
            case Shape.Object:
                output.Raw((byte)'{');
                Members(bytes, type.Type, output, depth + 1);
                output.Raw((byte)'}');
                return true;
            case Shape.OneOf:
                return Alternative(bytes, type.Type, output, depth + 1);
            case Shape.Any:
                return Raw(bytes, output);
            default:
                return WellKnown(bytes, type.Shape, keepsZero, output);
        }
    }

    private static bool WellKnown(ReadOnlySpan<byte> message, Shape shape, bool keepsZero, JsonBuffer output)
    {
        long first = 0;
        long second = 0;
        ReadOnlySpan<byte> text = default;
        var reader = new ProtobufReader(message);
        while (reader.Read())
        {
            switch (reader.Field)
            {
                case 1 when reader.WireType == 0: first = (long)reader.Number; break;
                case 2 when reader.WireType == 0: second = (long)reader.Number; break;
                case var _ when reader.WireType == 2: text = reader.Bytes; break;
            }
        }

        switch (shape)
        {
            case Shape.Quantity: // { string = 1 }
                output.String(Checked(text));
                return text.Length > 0;
            case Shape.IntOrString: // { type = 1 (0 number, 1 string), intVal = 2, strVal = 3 }
                if (first == 0)
                {
                    output.Number(second);
                }
                else
                {
                    output.String(Checked(text));
                }

                return first != 0 || second != 0 || keepsZero;
            default: // Time { seconds = 1, nanos = 2 }; the zero time is empty.
                if (message.IsEmpty)
                {
                    return false;
                }

                if (first is < -62_135_596_800 or > 253_402_300_799)
                {
                    throw new FormatException($"the time {first} s is outside of the years 1 to 9999");
                }

                var time = DateTimeOffset.FromUnixTimeSeconds(first).AddTicks(Math.Clamp(second, 0, 999_999_999) / 100).UtcDateTime;
                output.String(time.ToString(shape == Shape.Time ? "yyyy-MM-dd'T'HH:mm:ss'Z'" : "yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture));
                return true;
        }
    }

    // JSONSchemaPropsOrBool and its like: each alternative has its number, and the last that is there counts.
    private static bool Alternative(ReadOnlySpan<byte> message, SchemaType type, JsonBuffer output, int depth)
    {
        if (depth > Limits.JsonDepthMax)
        {
            throw new FormatException($"messages are nested more than {Limits.JsonDepthMax} levels deep");
        }

        var before = output.Length;
        var any = false;
        var list = type.Fields.FirstOrDefault(field => field.Type.Shape == Shape.List);
        var reader = new ProtobufReader(message);
        while (reader.Read())
        {
            var number = reader.Field;
            if (type.Fields.FirstOrDefault(x => x.Protobuf[0] == number) is not { } field)
            {
                continue;
            }

            if (field == list)
            {
                // Elements follow one another; reopen the list for the next.
                output.Length = any && output.Written[^1] == (byte)']' && output.Written[before] == (byte)'[' ? output.Length - 1 : before;
                if (output.Length == before)
                {
                    output.Raw((byte)'[');
                }

                output.Separate();
                ValueOrNull(reader.Bytes, reader.WireType, reader.Number, field.Type.Item!, output, depth);
                output.Raw((byte)']');
            }
            else
            {
                output.Length = before;
                Value(reader.Bytes, reader.WireType, reader.Number, field.Type, true, output, depth);
            }

            any = true;
        }

        return any;
    }

    // RawExtension { raw = 1 } and FieldsV1 { Raw = 1 }: JSON, or an object with an envelope of its own.
    private static bool Raw(ReadOnlySpan<byte> message, JsonBuffer output)
    {
        ReadOnlySpan<byte> raw = default;
        var reader = new ProtobufReader(message);
        while (reader.Read())
        {
            if (reader is { Field: 1, WireType: 2 })
            {
                raw = reader.Bytes;
            }
        }

        if (raw.IsEmpty)
        {
            return false;
        }

        if (raw.StartsWith("k8s\0"u8))
        {
            ProtobufCodec.Envelope(raw[4..], output);
            return true;
        }

        try
        {
            JsonTree.Parse(raw.ToArray()).Write(output);
            return true;
        }
        catch (JsonException e)
        {
            throw new FormatException("an embedded object is neither JSON nor protobuf", e);
        }
    }

    private static ReadOnlySpan<byte> Checked(ReadOnlySpan<byte> text) =>
        Utf8.IsValid(text) ? text : throw new FormatException("a string is not UTF-8");

    private readonly record struct Found(SchemaField Field, bool KeepsZero, int Sequence, int WireType, ulong Number, int Start, int Length)
    {
        public ReadOnlySpan<byte> Bytes(ReadOnlySpan<byte> message) => WireType == 2 ? message.Slice(Start, Length) : default;
    }
}
