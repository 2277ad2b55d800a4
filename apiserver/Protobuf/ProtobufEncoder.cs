using System.Globalization;
using System.Text.Json;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Protobuf;

/// <summary>Stored JSON to protobuf messages by the table. The JSON has passed <see cref="SchemaCheck"/>, so its types fit.</summary>
internal static class ProtobufEncoder
{
    public static void Message(ProtobufWriter to, JsonTree value, SchemaType type) => Message(to, value, WireLayout.Of(type));

    /// <summary>A list kind is { metadata = 1, items = 2 }.</summary>
    public static void List(ProtobufWriter to, JsonTree list, SchemaType item)
    {
        if (list["metadata"] is { } metadata)
        {
            Nested(to, 1, metadata, TypeTable.Type("meta.v1.ListMeta")!);
        }

        foreach (var element in list["items"]?.Items ?? [])
        {
            Nested(to, 2, element, item);
        }
    }

    private static void Message(ProtobufWriter to, JsonTree value, WireLayout layout)
    {
        foreach (var (number, slot) in layout.Slots)
        {
            if (slot.Inlined is { } inlined)
            {
                var start = to.Length;
                var message = to.Begin(number);
                Message(to, value, inlined);
                if (to.Length == message)
                {
                    to.Truncate(start);
                }
                else
                {
                    to.End(message);
                }
            }
            else if (value[slot.Field!.Name] is { Kind: not JsonValueKind.Null } member)
            {
                Member(to, number, member, slot.Field.Type);
            }
        }
    }

    private static void Member(ProtobufWriter to, int number, JsonTree value, TypeRef type)
    {
        if (type.Shape == Shape.List)
        {
            foreach (var item in value.Items ?? [])
            {
                Value(to, number, item, type.Item!);
            }
        }
        else if (type.Shape == Shape.Map)
        {
            foreach (var (key, item) in value.Members ?? [])
            {
                var entry = to.Begin(number);
                to.Text(1, key);
                if (type.Item!.Shape == Shape.List)
                {
                    var list = to.Begin(2);
                    Member(to, 1, item, type.Item);
                    to.End(list);
                }
                else
                {
                    Value(to, 2, item, type.Item);
                }

                to.End(entry);
            }
        }
        else
        {
            Value(to, number, value, type);
        }
    }

    private static void Value(ProtobufWriter to, int number, JsonTree value, TypeRef type)
    {
        switch (type.Shape)
        {
            case Shape.Bool:
                to.Varint(number, value.Kind == JsonValueKind.True ? 1 : 0);
                break;
            case Shape.Int32 or Shape.Int64:
                to.Varint(number, long.Parse(value.Scalar, CultureInfo.InvariantCulture));
                break;
            case Shape.Float64:
                to.Double(number, double.Parse(value.Scalar, CultureInfo.InvariantCulture));
                break;
            case Shape.String or Shape.Duration:
                to.Text(number, TextOf(value));
                break;
            case Shape.Bytes:
                to.Bytes(number, Convert.FromBase64String(TextOf(value)));
                break;
            case Shape.Object:
                Nested(to, number, value, type.Type);
                break;
            case Shape.OneOf:
                Alternative(to, number, value, type.Type);
                break;
            default:
                var message = to.Begin(number);
                WellKnown(to, value, type.Shape);
                to.End(message);
                break;
        }
    }

    private static void WellKnown(ProtobufWriter to, JsonTree value, Shape shape)
    {
        switch (shape)
        {
            case Shape.Quantity:
                to.Text(1, TextOf(value));
                break;
            case Shape.IntOrString:
                var isText = value.Kind == JsonValueKind.String;
                to.Varint(1, isText ? 1 : 0);
                to.Varint(2, isText ? 0 : long.Parse(value.Scalar, CultureInfo.InvariantCulture));
                to.Text(3, isText ? TextOf(value) : "");
                break;
            case Shape.Time or Shape.MicroTime:
                if (DateTimeOffset.TryParse(TextOf(value), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
                {
                    to.Varint(1, time.ToUnixTimeSeconds());
                    to.Varint(2, time.Ticks % TimeSpan.TicksPerSecond * 100);
                }

                break;
            default:
                to.Bytes(1, value.ToBytes());
                break;
        }
    }

    private static void Alternative(ProtobufWriter to, int number, JsonTree value, SchemaType type)
    {
        var message = to.Begin(number);
        foreach (var field in type.Fields)
        {
            var fits = field.Type.Shape switch
            {
                Shape.Object => value.Kind == JsonValueKind.Object,
                Shape.List => value.Kind == JsonValueKind.Array,
                _ => value.Kind is JsonValueKind.True or JsonValueKind.False,
            };
            if (fits)
            {
                Member(to, field.Protobuf[0], value, field.Type);
            }
        }

        to.End(message);
    }

    private static void Nested(ProtobufWriter to, int number, JsonTree value, SchemaType type)
    {
        var message = to.Begin(number);
        Message(to, value, type);
        to.End(message);
    }

    private static string TextOf(JsonTree value) => value.Kind == JsonValueKind.String ? value.Text() : "";
}
