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
        Fields = [.. descriptor.Fields.InDeclarationOrder().Select(field => new FieldPlan(field, IsListing(descriptor) && !field.IsMap && !IsOld(field)))];

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

    // Masters and agents write these lists also when they are empty; everywhere else an empty list is left out.
    private static bool IsListing(MessageDescriptor descriptor) =>
        descriptor.FullName
            is "mesos.v1.master.Response.GetTasks"
                or "mesos.v1.master.Response.GetAgents"
                or "mesos.v1.master.Response.GetFrameworks"
                or "mesos.v1.master.Response.GetExecutors"
                or "mesos.v1.agent.Response.GetTasks"
                or "mesos.v1.agent.Response.GetFrameworks"
                or "mesos.v1.agent.Response.GetExecutors";

    private static bool IsOld(FieldDescriptor field) => field.GetOptions()?.Deprecated == true;

    internal sealed class FieldPlan(FieldDescriptor field, bool evenEmpty)
    {
        /// <summary>Written also where there is nothing.</summary>
        public bool EvenEmpty { get; } = evenEmpty;


        public FieldDescriptor Field { get; } = field;
        public byte[] Utf8Name { get; } = Encoding.UTF8.GetBytes(field.Name);
        public JsonEncodedText Name { get; } = JsonEncodedText.Encode(field.Name);

        public EnumPlan? Enum { get; } = field.FieldType == FieldType.Enum ? EnumPlan.Of(field.EnumType) : null;
    }
}
