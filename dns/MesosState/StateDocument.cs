using System.Text.Json;

namespace Declarative.Dns.MesosState;

/// <summary>Reads a master's <c>/state</c>. What is missing or of another shape is left out; one bad task harms no other.</summary>
internal static class StateDocument
{
    /// <exception cref="JsonException">Not JSON at all.</exception>
    public static MesosCluster Read(ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        var tasks = Items(root, "frameworks").SelectMany(f => Items(f, "tasks").Select(task => Task(task, Text(f, "id"))));
        var agents = Items(root, "slaves").Select(agent =>
        {
            var pid = MesosEndpoint.Read(Text(agent, "pid"));
            return new MesosAgent(Text(agent, "id"), pid?.Host ?? Text(agent, "hostname"), pid?.Port ?? 0);
        });
        return new MesosCluster([.. Frameworks(root)], [.. agents], [.. tasks], MesosEndpoint.Read(Text(root, "leader")))
        {
            IsLeader = Text(root, "leader") == Text(root, "pid"),
        };
    }

    /// <summary>The frameworks alone, from <c>/state-summary</c>.</summary>
    /// <exception cref="JsonException">Not JSON at all.</exception>
    public static IReadOnlyList<MesosFramework> ReadSchedulers(ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json);
        return [.. Frameworks(document.RootElement)];
    }

    private static IEnumerable<MesosFramework> Frameworks(JsonElement root) =>
        Items(root, "frameworks").Select(framework =>
        {
            var pid = MesosEndpoint.Read(Text(framework, "pid"));
            return new MesosFramework(Text(framework, "id"), Text(framework, "name"), pid?.Host ?? Text(framework, "hostname"), pid?.Port ?? 0);
        });

    private static MesosTask Task(JsonElement task, string framework)
    {
        var discovery = Member(task, "discovery") is { ValueKind: JsonValueKind.Object } found
            ? new TaskDiscovery(Text(found, "name"), [.. Items(Member(found, "ports"), "ports").Select(p => new DiscoveryPort(Text(p, "name"), Text(p, "protocol"), Number(p, "number")))])
            : null;
        var ports = Ranges(Text(Member(task, "resources"), "ports")).Take(DnsLimits.TaskPortsMax);
        var known = new MesosTask(Text(task, "id"), Text(task, "name"), framework, Text(task, "slave_id"), discovery, [.. ports])
        {
            IsRunning = Text(task, "state") == "TASK_RUNNING",
        };
        foreach (var status in Items(task, "statuses").Where(s => Text(s, "state") == "TASK_RUNNING").OrderBy(s => Real(s, "timestamp")))
        {
            var network = Items(Member(status, "container_status"), "network_infos").SelectMany(AddressesOf);
            var labels = Items(status, "labels").Select(l => (Text(l, "key"), Text(l, "value")));
            known = known with
            {
                IsHealthy = Member(status, "healthy").ValueKind != JsonValueKind.False,
                Addresses = known.Addresses.Or(TaskAddresses.Of(network, labels)),
            };
        }
        return known;
    }

    /// <summary>The old form had one address beside the list.</summary>
    private static IEnumerable<string> AddressesOf(JsonElement network) =>
        Items(network, "ip_addresses").Select(a => Text(a, "ip_address")).DefaultIfEmpty(Text(network, "ip_address"));

    /// <summary><c>[31000-31001, 31005-31005]</c>.</summary>
    private static IEnumerable<int> Ranges(string text)
    {
        foreach (var range in text.Trim('[', ']').Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var ends = range.Split('-');
            if (long.TryParse(ends[0], out var begin) && long.TryParse(ends[^1], out var end))
            {
                foreach (var port in MesosTask.PortsIn(begin, end))
                    yield return port;
            }
        }
    }

    private static JsonElement Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : default;

    private static IEnumerable<JsonElement> Items(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.Array } array ? array.EnumerateArray() : [];

    private static string Text(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString()! : "";

    private static int Number(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out var value) ? value : 0;

    private static double Real(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.Number } number ? number.GetDouble() : 0;
}
