using System.Collections;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Declarative.Mesos.Protocol;

/// <summary>Finds the required fields (proto2) that a message lacks, named by path: <c>accept.operations[0].launch.task_infos[0].name</c>.</summary>
internal static class RequiredFields
{
    public static List<string>? Missing(IMessage message)
    {
        List<string>? found = null;
        Collect(message, "", ref found);
        return found;
    }

    private static void Collect(IMessage message, string prefix, ref List<string>? found)
    {
        var fields = MessagePlan.Of(message.Descriptor).Fields;
        foreach (var plan in fields)
        {
            if (plan.Field.IsRequired && !plan.Field.Accessor.HasValue(message))
                (found ??= []).Add(prefix + plan.Field.Name);
        }

        foreach (var plan in fields)
        {
            var field = plan.Field;
            if (field.IsMap)
            {
                if (field.MessageType.Fields[2].FieldType != FieldType.Message)
                    continue;
                foreach (DictionaryEntry entry in (IDictionary)field.Accessor.GetValue(message))
                    Collect((IMessage)entry.Value!, $"{prefix}{field.Name}[{entry.Key}].", ref found);
            }
            else if (field.FieldType != FieldType.Message)
            {
                continue;
            }
            else if (field.IsRepeated)
            {
                var list = (IList)field.Accessor.GetValue(message);
                for (var i = 0; i < list.Count; i++)
                    CollectElement((IMessage)list[i]!, prefix, field.Name, i, ref found);
            }
            else if (field.Accessor.GetValue(message) is IMessage child)
            {
                CollectElement(child, prefix, field.Name, null, ref found);
            }
        }
    }

    // The path is only spelled out when something is missing below: almost always nothing is.
    private static void CollectElement(IMessage child, string prefix, string name, int? index, ref List<string>? found)
    {
        List<string>? below = null;
        Collect(child, "", ref below);
        if (below is null)
            return;
        var path = index is { } at ? $"{prefix}{name}[{at}]." : $"{prefix}{name}.";
        (found ??= []).AddRange(below.Select(field => path + field));
    }
}
