using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Google.Protobuf.Reflection;

namespace Declarative.Mesos.Protocol;

/// <summary>The fields of one message, prepared once per type for reading and writing JSON.</summary>
internal sealed class MessagePlan
{
    private static readonly ConcurrentDictionary<MessageDescriptor, MessagePlan> Plans = new();

    public FieldPlan[] Fields { get; }

    private MessagePlan(MessageDescriptor descriptor) =>
        Fields = [.. descriptor.Fields.InDeclarationOrder().Select(field => new FieldPlan(field))];

    public static MessagePlan Of(MessageDescriptor descriptor) => Plans.GetOrAdd(descriptor, static key => new MessagePlan(key));

    /// <summary>The field of this name. <paramref name="next"/> is where the last one was found: fields mostly come in order.</summary>
    public FieldPlan? Find(ref Utf8JsonReader reader, ref int next)
    {
        for (var i = 0; i < Fields.Length; i++)
        {
            var at = (next + i) % Fields.Length;
            if (!reader.ValueTextEquals(Fields[at].Utf8Name))
                continue;
            next = at + 1;
            return Fields[at];
        }

        return null;
    }

    internal sealed class FieldPlan(FieldDescriptor field)
    {
        public FieldDescriptor Field { get; } = field;
        public byte[] Utf8Name { get; } = Encoding.UTF8.GetBytes(field.Name);
        public JsonEncodedText Name { get; } = JsonEncodedText.Encode(field.Name);

        public EnumPlan? Enum { get; } = field.FieldType == FieldType.Enum ? EnumPlan.Of(field.EnumType) : null;
    }
}
