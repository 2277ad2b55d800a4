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
        var mangled = names.Label(name);
        var records = new RecordList();
        var shape = new TaskShape(pod.Uid, address, host, ports, names, DnsWishes.Of(pod.Metadata, names.Times.Ttl, names.SrvWeight));
        // Mesos-DNS publishes a discovery name twice: as it is, its dots parting labels, and mangled into one label.
        shape.AddTo(records, mangled, names.Label(name, NameWire.LabelMax - suffix.Length) + suffix);
        if (name.ToLowerInvariant() is var raw && raw != mangled)
            shape.AddTo(records, raw, raw + suffix);
        return records.All;
    }

    /// <summary>The name that a pod has by its address, as the cluster domain has it for pods that run.</summary>
    public static IReadOnlyList<Record> OfPod(Pod pod, bool leaving, ZoneNames names)
    {
        if (leaving || pod.Status.Phase != "Running" || !IPAddress.TryParse(pod.Status.PodIP, out var address))
            return [];
        var records = new RecordList();
        records.Add($"{Dashed(address)}.{pod.Namespace}.pod.{names.Cluster}", owner => Record.OfAddress(owner, names.ClusterTimes.Ttl, address, pod.Uid));
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
        var wishes = DnsWishes.Of(service.Metadata, names.ClusterTimes.Ttl, names.SrvWeight);
        var ttl = wishes.Ttl;
        if (service.Spec.Type == "ExternalName")
        {
            if (DnsName.TryParse(service.Spec.ExternalName, out var target))
                records.Add(name, owner => Record.OfName(owner, RecordType.Cname, ttl, target));
            return records.All;
        }
        if (service.Spec.ClusterIP == "None")
        {
            AddEndpoints(records, name, service, slices, leaving, names, wishes);
            return records.All;
        }
        var addresses = new List<Record>();
        foreach (var text in service.Spec.ClusterIPs.Count > 0 ? service.Spec.ClusterIPs : [service.Spec.ClusterIP])
        {
            if (!IPAddress.TryParse(text, out var address) || records.Add(name, owner => Record.OfAddress(owner, ttl, address)) is not { } record)
                continue;
            addresses.Add(record);
            records.Add(ReverseName.Of(address), owner => Record.OfName(owner, RecordType.Ptr, ttl, record.Name));
        }
        foreach (var port in addresses.Count == 0 ? [] : service.Spec.Ports.Where(p => p.Name.Length > 0))
        {
            records.Add($"_{port.Name}._{Protocol(port.Protocol)}.{name}", owner =>
                Record.OfSrv(owner, ttl, wishes.Priority, wishes.Weight, (ushort)port.Port, addresses[0].Name) with { Targets = addresses });
        }
        return records.All;
    }

    /// <summary>What belongs to the cluster zone itself.</summary>
    public static IReadOnlyList<Record> OfCluster(ZoneNames names) =>
        [Record.OfText(DnsName.Parse($"dns-version.{names.Cluster}"), names.ClusterTimes.Ttl, ZoneNames.SpecificationVersion)];

    /// <summary>The addresses of the zones' name servers, as far as their names lie in the zones.</summary>
    public static IReadOnlyList<Record> OfServer(IReadOnlyList<IPAddress> addresses, IReadOnlyList<ZoneAuthority> zones) =>
        [.. zones.DistinctBy(z => z.Server)
            .Where(z => zones.Any(other => z.Server.IsWithin(other.Apex)))
            .SelectMany(z => addresses.Select(a => Record.OfAddress(z.Server, z.Times.Ttl, a)))];

    private static void AddEndpoints(
        RecordList records, string name, Service service, IReadOnlyList<EndpointSlice> slices, Func<string, bool> leaving, ZoneNames names,
        DnsWishes wishes)
    {
        var ttl = wishes.Ttl;
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
                    var host = endpoint.Hostname.Length > 0 ? endpoint.Hostname : Dashed(address);
                    if (records.Add($"{host}.{name}", owner => Record.OfAddress(owner, ttl, address, uid)) is not { } target)
                        continue;
                    records.Add(ReverseName.Of(address), owner => Record.OfName(owner, RecordType.Ptr, ttl, target.Name));
                    foreach (var port in slice.Ports.Where(p => p.Name.Length > 0))
                    {
                        records.Add($"_{port.Name}._{Protocol(port.Protocol)}.{name}", owner =>
                            Record.OfSrv(owner, ttl, wishes.Priority, wishes.Weight, (ushort)port.Port, target.Name) with { Targets = [target], PodUid = uid });
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

    private static string Dashed(IPAddress address) => address.ToString().Replace('.', '-').Replace(':', '-').Trim('-') is { Length: > 0 } dashed ? dashed : "0";

    private static string Protocol(string protocol) => protocol.Length == 0 ? "tcp" : protocol.ToLowerInvariant();

    /// <param name="Name">"" for none.</param>
    /// <param name="Protocol">tcp or udp.</param>
    /// <param name="Number">On the pod's address.</param>
    /// <param name="HostPort">On the agent's address; 0 for none.</param>
    private readonly record struct TaskPort(string Name, string Protocol, int Number, int HostPort);

    /// <summary>The records that one form of a task's name carries (specs: Mesos-DNS, "naming").</summary>
    private sealed record TaskShape(string Uid, IPAddress Address, IPAddress Host, List<TaskPort> Ports, ZoneNames Names, DnsWishes Wishes)
    {
        public void AddTo(RecordList records, string label, string canonical)
        {
            var ttl = Wishes.Ttl;
            var domain = $"{MesosLabel.Domain(Names.Framework, Names.Rfc952)}.{Names.Mesos}";
            var hosts = $"{MesosLabel.Domain(Names.Framework, Names.Rfc952)}.slave.{Names.Mesos}";
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
            Record.OfSrv(owner, Wishes.Ttl, Wishes.Priority, Wishes.Weight, (ushort)port, target.Name) with { Targets = [target], PodUid = Uid };
    }
}
