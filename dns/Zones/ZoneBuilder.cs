using System.Net;
using Declarative.Api.Kinds;
using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>
/// From objects to records, one object at a time: what Mesos-DNS publishes for a task, and what the Kubernetes DNS specification asks for a
/// service. Pure. A name that cannot be a domain name (a label over 63 bytes) yields no record and harms no other.
/// </summary>
internal static class ZoneBuilder
{
    /// <summary>The records of a pod's running task below the Mesos domain; none while it does not run, is not ready or is leaving.</summary>
    public static IReadOnlyList<Record> OfTask(Pod pod, bool leaving, ZoneNames names)
    {
        if (leaving || pod.Status.Phase != "Running" || (names.HealthAware && !pod.IsReady) || pod.Task is not { } task)
            return [];
        if (!IPAddress.TryParse(pod.Status.HostIP, out var host) && !IPAddress.TryParse(pod.Status.PodIP, out host))
            return [];
        var address = IPAddress.TryParse(pod.Status.PodIP, out var own) ? own : host;
        var ports = PortsOf(pod, task, ownNetwork: !address.Equals(host));
        var name = TaskName.Of(pod);
        var suffix = MesosLabel.TaskSuffix(task.Id, task.Agent);
        var mangled = MesosLabel.Rfc1123(name);
        var records = new RecordList();
        var shape = new TaskShape(pod.Uid, address, host, ports, names);
        // Mesos-DNS publishes a discovery name twice: as it is, its dots parting labels, and mangled into one label.
        shape.AddTo(records, mangled, MesosLabel.Rfc1123(name, NameWire.LabelMax - suffix.Length) + suffix);
        if (name.ToLowerInvariant() is var raw && raw != mangled)
            shape.AddTo(records, raw, raw + suffix);
        return records.All;
    }

    /// <summary>The records of a service below the cluster domain.</summary>
    /// <param name="service">The service.</param>
    /// <param name="slices">Its slices, in a fixed order.</param>
    /// <param name="leaving">Whether the pod with this uid is going away though its slice may not say so yet.</param>
    /// <param name="names">Domains and times.</param>
    public static IReadOnlyList<Record> OfService(Service service, IReadOnlyList<EndpointSlice> slices, Func<string, bool> leaving, ZoneNames names)
    {
        var records = new RecordList();
        var name = $"{service.Name}.{service.Namespace}.svc.{names.Cluster}";
        var ttl = names.Times.Ttl;
        if (service.Spec.Type == "ExternalName")
        {
            if (DnsName.TryParse(service.Spec.ExternalName, out var target))
                records.Add(name, owner => Record.OfName(owner, RecordType.Cname, ttl, target));
            return records.All;
        }
        if (service.Spec.ClusterIP == "None")
        {
            AddEndpoints(records, name, service, slices, leaving, names);
            return records.All;
        }
        var addresses = new List<Record>();
        foreach (var text in service.Spec.ClusterIPs.Count > 0 ? service.Spec.ClusterIPs : [service.Spec.ClusterIP])
        {
            if (IPAddress.TryParse(text, out var address) && records.Add(name, owner => Record.OfAddress(owner, ttl, address)) is { } record)
                addresses.Add(record);
        }
        foreach (var port in addresses.Count == 0 ? [] : service.Spec.Ports.Where(p => p.Name.Length > 0))
        {
            records.Add($"_{port.Name}._{Protocol(port.Protocol)}.{name}", owner =>
                Record.OfSrv(owner, ttl, 0, names.SrvWeight, (ushort)port.Port, addresses[0].Name) with { Targets = addresses });
        }
        return records.All;
    }

    /// <summary>What belongs to the cluster zone itself.</summary>
    public static IReadOnlyList<Record> OfCluster(ZoneNames names) =>
        [Record.OfText(DnsName.Parse($"dns-version.{names.Cluster}"), names.Times.Ttl, ZoneNames.SpecificationVersion)];

    /// <summary>The zones' name server.</summary>
    public static IReadOnlyList<Record> OfServer(IPAddress address, ZoneNames names) =>
        [.. new[] { names.Mesos, names.Cluster }
            .Select(apex => Record.OfAddress(DnsName.Parse($"ns1.{apex}"), names.Times.Ttl, address))];

    private static void AddEndpoints(
        RecordList records, string name, Service service, IReadOnlyList<EndpointSlice> slices, Func<string, bool> leaving, ZoneNames names)
    {
        var ttl = names.Times.Ttl;
        foreach (var slice in slices)
        {
            foreach (var endpoint in slice.Endpoints)
            {
                var uid = endpoint.TargetRef?.Uid;
                var wanted = endpoint.Conditions.IsReady || service.Spec.PublishNotReadyAddresses || !names.HealthAware;
                if (!wanted || endpoint.Conditions.IsTerminating || (uid is { Length: > 0 } && leaving(uid)))
                    continue;
                foreach (var text in endpoint.Addresses)
                {
                    if (!IPAddress.TryParse(text, out var address))
                        continue;
                    records.Add(name, owner => Record.OfAddress(owner, ttl, address, uid));
                    // Without a hostname the specification leaves the label open; the address with dashes is what users know.
                    var host = endpoint.Hostname.Length > 0 ? endpoint.Hostname : text.Replace('.', '-').Replace(':', '-');
                    if (records.Add($"{host}.{name}", owner => Record.OfAddress(owner, ttl, address, uid)) is not { } target)
                        continue;
                    foreach (var port in slice.Ports.Where(p => p.Name.Length > 0))
                    {
                        records.Add($"_{port.Name}._{Protocol(port.Protocol)}.{name}", owner =>
                            Record.OfSrv(owner, ttl, 0, names.SrvWeight, (ushort)port.Port, target.Name) with { Targets = [target], PodUid = uid });
                    }
                }
            }
        }
    }

    /// <summary>The ports under which a task's discovery info names it, and the host's ports.</summary>
    private static List<TaskPort> PortsOf(Pod pod, TaskAnnotation task, bool ownNetwork)
    {
        var ports = new List<TaskPort>();
        foreach (var container in pod.Spec.Containers)
        {
            foreach (var port in container.Ports)
            {
                var hostPort = task.HostPort(container.Name, port.Number);
                if (hostPort > 0 || ownNetwork)
                    ports.Add(new TaskPort(port.Name, Protocol(port.Protocol), ownNetwork ? port.Number : hostPort, hostPort));
            }
        }
        return ports;
    }

    private static string Protocol(string protocol) => protocol.Length == 0 ? "tcp" : protocol.ToLowerInvariant();

    /// <param name="Name">"" for none.</param>
    /// <param name="Protocol">tcp or udp.</param>
    /// <param name="Number">On the pod's address.</param>
    /// <param name="HostPort">On the agent's address; 0 for none.</param>
    private readonly record struct TaskPort(string Name, string Protocol, int Number, int HostPort);

    /// <summary>The records that one form of a task's name carries (specs: Mesos-DNS, "naming").</summary>
    private sealed record TaskShape(string Uid, IPAddress Address, IPAddress Host, List<TaskPort> Ports, ZoneNames Names)
    {
        public void AddTo(RecordList records, string label, string canonical)
        {
            var ttl = Names.Times.Ttl;
            var domain = $"{MesosLabel.Domain(Names.Framework)}.{Names.Mesos}";
            var hosts = $"{MesosLabel.Domain(Names.Framework)}.slave.{Names.Mesos}";
            records.Add($"{label}.{domain}", owner => Record.OfAddress(owner, ttl, Address, Uid));
            records.Add($"{label}.{hosts}", owner => Record.OfAddress(owner, ttl, Host, Uid));
            var task = records.Add($"{canonical}.{domain}", owner => Record.OfAddress(owner, ttl, Address, Uid));
            var onHost = records.Add($"{canonical}.{hosts}", owner => Record.OfAddress(owner, ttl, Host, Uid));
            foreach (var port in Ports)
            {
                if (task is not null)
                {
                    records.Add($"_{label}._{port.Protocol}.{domain}", owner => Srv(owner, port.Number, task));
                    if (port.Name.Length > 0)
                        records.Add($"_{port.Name}._{label}._{port.Protocol}.{domain}", owner => Srv(owner, port.Number, task));
                }
                // A host port is a resource without a protocol: Mesos-DNS names it under both.
                foreach (var protocol in onHost is null || port.HostPort == 0 ? [] : new[] { "tcp", "udp" })
                    records.Add($"_{label}._{protocol}.{hosts}", owner => Srv(owner, port.HostPort, onHost!));
            }
        }

        private Record Srv(DnsName owner, int port, Record target) =>
            Record.OfSrv(owner, Names.Times.Ttl, 0, Names.SrvWeight, (ushort)port, target.Name) with { Targets = [target], PodUid = Uid };
    }

    /// <summary>Records so far; one whose owner is no domain name is left out.</summary>
    private sealed class RecordList
    {
        private readonly List<Record> _all = [];
        public IReadOnlyList<Record> All => _all;

        public Record? Add(string owner, Func<DnsName, Record> make)
        {
            if (!DnsName.TryParse(owner, out var name))
                return null;
            var record = make(name);
            _all.Add(record);
            return record;
        }
    }
}
