using System.Net;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;

namespace Declarative.Dns.MesosState;

/// <summary>From the state of Mesos to records below the Mesos domain, with the names that Mesos-DNS makes. Pure.</summary>
internal static class MesosRecords
{
    private static readonly string[] BothProtocols = ["tcp", "udp"];

    /// <summary>The records of a task; none while it does not run, its agent is unknown, or (where health counts) its check fails.</summary>
    /// <param name="agent">The agent's addresses.</param>
    public static IReadOnlyList<Record> OfTask(MesosTask task, string framework, IReadOnlyList<IPAddress> agent, ZoneNames names)
    {
        if (!task.IsRunning || agent.Count == 0 || (names.HealthAware && !task.IsHealthy))
            return [];
        var records = new RecordList();
        var given = task.Discovery is { Name.Length: > 0 } discovery ? discovery.Name : task.Name;
        var suffix = MesosLabel.TaskSuffix(task.Id, task.AgentId);
        var mangled = names.Label(given);
        var shape = new Shape(task, Own(task, agent, names), agent, MesosLabel.Domain(framework, names.Rfc952), names);
        shape.AddTo(records, mangled, names.Label(given, NameWire.LabelMax - suffix.Length) + suffix);
        // A discovery name is published as it is too, its dots parting labels.
        if (task.Discovery is not null && given.ToLowerInvariant() is var raw && raw != mangled)
            shape.AddTo(records, raw, raw + suffix);
        return records.All;
    }

    /// <summary>Where a framework's scheduler is found.</summary>
    public static IReadOnlyList<Record> OfFramework(MesosFramework framework, IReadOnlyList<IPAddress> addresses, ZoneNames names)
    {
        var records = new RecordList();
        var label = MesosLabel.Domain(framework.Name, names.Rfc952);
        if (label.Length == 0)
            return [];
        var targets = Addresses(records, $"{label}.{names.Mesos}", addresses, names);
        if (framework.Port > 0 && targets.Count > 0)
            records.Add($"_framework._tcp.{label}.{names.Mesos}", owner => Srv(owner, framework.Port, targets, names));
        return records.All;
    }

    /// <summary>An agent's share of the names of all agents.</summary>
    public static IReadOnlyList<Record> OfAgent(MesosAgent agent, IReadOnlyList<IPAddress> addresses, ZoneNames names)
    {
        var records = new RecordList();
        var targets = Addresses(records, $"slave.{names.Mesos}", addresses, names);
        if (agent.Port > 0 && targets.Count > 0)
            records.Add($"_slave._tcp.{names.Mesos}", owner => Srv(owner, agent.Port, targets, names));
        return records.All;
    }

    /// <summary>
    /// The masters: <c>leader</c>, <c>master</c> with all of them, and <c>masterN</c> in the order of the list; a leader that is not in the
    /// list comes last.
    /// </summary>
    public static IReadOnlyList<Record> OfMasters(MesosEndpoint? leader, IReadOnlyList<MesosEndpoint> listed, HostAddresses find, ZoneNames names)
    {
        var records = new RecordList();
        if (leader is not { } leading)
            return [];
        var targets = Addresses(records, $"leader.{names.Mesos}", find(leading.Host), names);
        foreach (var protocol in targets.Count > 0 ? BothProtocols : [])
            records.Add($"_leader._{protocol}.{names.Mesos}", owner => Srv(owner, leading.Port, targets, names));
        var masters = listed.Distinct().ToList();
        if (!masters.Contains(leading))
            masters.Add(leading);
        for (var i = 0; i < masters.Count; i++)
        {
            Addresses(records, $"master.{names.Mesos}", find(masters[i].Host), names);
            Addresses(records, $"master{i}.{names.Mesos}", find(masters[i].Host), names);
        }
        return records.All;
    }

    private static IReadOnlyList<IPAddress> Own(MesosTask task, IReadOnlyList<IPAddress> agent, ZoneNames names) =>
        names.IpSources
            .Select(source => source switch
            {
                IpSource.Network => task.Addresses.Network,
                IpSource.Mesos => task.Addresses.Mesos,
                IpSource.Docker => task.Addresses.Docker,
                _ => agent,
            })
            .FirstOrDefault(found => found.Count > 0, []);

    private static List<Record> Addresses(RecordList records, string owner, IReadOnlyList<IPAddress> addresses, ZoneNames names) =>
        [.. addresses.Select(a => records.Add(owner, name => Record.OfAddress(name, names.Times.Ttl, a))).OfType<Record>()];

    private static Record Srv(DnsName owner, int port, IReadOnlyList<Record> targets, ZoneNames names) =>
        Record.OfSrv(owner, names.Times.Ttl, 0, names.SrvWeight, (ushort)port, targets[0].Name) with { Targets = targets };

    /// <summary>What one form of a task's name carries.</summary>
    private sealed record Shape(MesosTask Task, IReadOnlyList<IPAddress> Own, IReadOnlyList<IPAddress> Agent, string Framework, ZoneNames Names)
    {
        public void AddTo(RecordList records, string label, string canonical)
        {
            var domain = Framework.Length > 0 ? $"{Framework}.{Names.Mesos}" : $"{Names.Mesos}";
            var hosts = Framework.Length > 0 ? $"{Framework}.slave.{Names.Mesos}" : $"slave.{Names.Mesos}";
            Addresses(records, $"{label}.{domain}", Own, Names);
            Addresses(records, $"{label}.{hosts}", Agent, Names);
            var task = Addresses(records, $"{canonical}.{domain}", Own, Names);
            var onHost = Addresses(records, $"{canonical}.{hosts}", Agent, Names);
            foreach (var port in onHost.Count == 0 ? [] : Task.HostPorts)
            {
                foreach (var protocol in BothProtocols)
                {
                    records.Add($"_{label}._{protocol}.{hosts}", owner => Srv(owner, port, onHost, Names));
                    if (Task.Discovery is null)
                        records.Add($"_{label}._{protocol}.{domain}", owner => Srv(owner, port, onHost, Names));
                }
            }
            foreach (var port in task.Count == 0 ? [] : Task.Discovery?.Ports ?? [])
            {
                foreach (var protocol in port.Protocol.Length > 0 ? [port.Protocol] : BothProtocols)
                {
                    records.Add($"_{label}._{protocol}.{domain}", owner => Srv(owner, port.Number, task, Names));
                    if (port.Name.Length > 0)
                        records.Add($"_{port.Name}._{label}._{protocol}.{domain}", owner => Srv(owner, port.Number, task, Names));
                }
            }
        }
    }
}
