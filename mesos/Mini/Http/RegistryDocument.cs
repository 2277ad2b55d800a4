using System.Text.Json;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Http;

/// <summary>GET /registrar(1)/registry: what the master keeps over a restart, in the nesting of a real one's registry.</summary>
internal static class RegistryDocument
{
    public static void Write(Utf8JsonWriter json, Registry registry, MasterInfo master)
    {
        json.WriteStartObject();
        json.WriteStartObject("machines");
        List(json, "machines", registry.DownMachines, machine =>
        {
            json.WriteStartObject("info");
            json.WritePropertyName("id");
            json.WriteRawValue(MesosJson.Write(machine));
            json.WriteString("mode", "DOWN");
            json.WriteEndObject();
        });
        json.WriteEndObject();
        json.WriteStartObject("master");
        Message(json, "info", master);
        json.WriteEndObject();
        if (registry.Schedule is { } schedule)
        {
            json.WriteStartArray("schedules");
            json.WriteRawValue(MesosJson.Write(schedule));
            json.WriteEndArray();
        }

        json.WriteStartObject("slaves");
        var kept = registry.Deactivated.ToDictionary(one => one.AgentId.Value, StringComparer.Ordinal);
        List(json, "slaves", registry.Agents, agent =>
        {
            var deactivated = kept.GetValueOrDefault(agent.Id.Value);
            json.WriteBoolean("deactivated", deactivated is not null);
            if (deactivated?.Drain is { } drain)
                Message(json, "drain_info", drain);
            Message(json, "info", EndpointResources.AsBefore(agent));
        });
        json.WriteEndObject();
        Times(json, "unreachable", registry.Unreachable);
        Times(json, "gone", registry.Gone);
        List(json, "weights", registry.Weights, weight => Message(json, "info", weight));
        // One without limits is the default, which a real one does not keep.
        List(json, "quota_configs", [.. registry.Quotas.Where(quota => quota.Limits.Count > 0)], quota => Message(json, "config", quota));
        json.WriteEndObject();
    }

    private static void Times(Utf8JsonWriter json, string name, IReadOnlyCollection<Registry.Types.Unreachable> agents)
    {
        if (agents.Count == 0)
            return;
        json.WriteStartObject(name);
        List(json, "slaves", agents, agent =>
        {
            Message(json, "id", agent.AgentId);
            Message(json, "timestamp", agent.Since);
        });
        json.WriteEndObject();
    }

    // What is empty is left out, as in a real one.
    private static void List<T>(Utf8JsonWriter json, string name, IReadOnlyCollection<T> items, Action<T> write)
    {
        if (items.Count == 0)
            return;
        json.WriteStartArray(name);
        foreach (var item in items)
        {
            json.WriteStartObject();
            write(item);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Message(Utf8JsonWriter json, string name, Google.Protobuf.IMessage message)
    {
        json.WritePropertyName(name);
        json.WriteRawValue(MesosJson.Write(message));
    }
}
