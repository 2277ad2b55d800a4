using System.Globalization;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;

namespace Declarative.Controllers.Nodes;

public enum AgentPresence
{
    Active,

    /// <summary>The master has lost contact; its tasks may go on.</summary>
    Unreachable,

    /// <summary>It has left or was removed; its tasks are gone.</summary>
    Gone,
}

/// <summary>What one Mesos role has of an agent, in thousandths.</summary>
/// <param name="IsReservation">The agent keeps it for the role; else its frameworks use it of what nobody has reserved.</param>
public readonly record struct RoleHolding(string Role, bool IsReservation, long Cpus, long Mem, long Disk, long Gpus);

/// <summary>What is known of one Mesos agent.</summary>
/// <param name="Port">Of its API; 5051 by default.</param>
public sealed record AgentFacts(string AgentId, string Hostname, string Address, int Port)
{
    public AgentPresence Presence { get; init; }

    /// <summary>Thousandths of cpus, of MiB of memory, of MiB of disk, of gpus; the number of ports.</summary>
    public long Cpus { get; init; }
    public long Mem { get; init; }
    public long Disk { get; init; }
    public long Ports { get; init; }
    public long Gpus { get; init; }

    /// <summary>The amounts are of an offer, so the agent has at least these; else they are all that it has.</summary>
    public bool IsOffer { get; init; }
    public string Version { get; init; } = "";
    public string Region { get; init; } = "";
    public string Zone { get; init; } = "";

    /// <summary>By role; empty where only offers tell.</summary>
    public IReadOnlyList<RoleHolding> Held { get; init; } = [];

    /// <summary>The master offers nothing of it to anybody: DEACTIVATE_AGENT or DRAIN_AGENT.</summary>
    public bool IsDeactivated { get; init; }
    public bool IsDraining { get; init; }

    /// <summary>Attributes as text, by name.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Attributes { get; init; } = [];

    /// <summary>null = unknown. False: a container with an image cannot run there.</summary>
    public bool? RunsImages { get; init; }

    public static AgentFacts Of(Offer offer)
    {
        var address = offer.Url?.Address;
        var facts = new AgentFacts(offer.AgentId.Value, offer.Hostname, AddressOf(address?.Ip, address?.Hostname, offer.Hostname), address?.Port ?? 5051) { IsOffer = true };
        return facts.With(offer.Resources).With(offer.Attributes, offer.Domain);
    }

    /// <summary>From the master's operator API (GET_AGENTS, AGENT_ADDED).</summary>
    public static AgentFacts Of(Response.Types.GetAgents.Types.Agent agent)
    {
        var info = agent.AgentInfo;
        // pid is slave(1)@ADDRESS:PORT.
        var at = agent.Pid.IndexOf('@', StringComparison.Ordinal);
        var colon = agent.Pid.LastIndexOf(':');
        var ip = at >= 0 && colon > at ? agent.Pid[(at + 1)..colon] : "";
        var facts = new AgentFacts(info.Id.Value, info.Hostname, AddressOf(ip, null, info.Hostname), info.HasPort ? info.Port : 5051)
        {
            Presence = agent.Active ? AgentPresence.Active : AgentPresence.Unreachable,
            Version = agent.Version,
            Held = HoldingsOf(agent),
            IsDeactivated = agent.Deactivated,
            IsDraining = agent.DrainInfo is not null,
        };
        return facts.With(agent.TotalResources.Count > 0 ? agent.TotalResources : info.Resources).With(info.Attributes, info.Domain);
    }

    private static List<RoleHolding> HoldingsOf(Response.Types.GetAgents.Types.Agent agent)
    {
        var sums = new SortedDictionary<(string Role, bool IsReservation), (long Cpus, long Mem, long Disk, long Gpus)>();
        foreach (var resource in agent.TotalResources)
        {
            if (resource.Reservations is [.., { Role: { Length: > 0 } role }]) Add(role, isReservation: true, resource);
        }
        foreach (var resource in agent.AllocatedResources)
        {
            if (resource.Reservations.Count == 0 && resource.AllocationInfo?.Role is { Length: > 0 } role) Add(role, isReservation: false, resource);
        }
        return [.. sums.Select(x => new RoleHolding(x.Key.Role, x.Key.IsReservation, x.Value.Cpus, x.Value.Mem, x.Value.Disk, x.Value.Gpus))];

        void Add(string role, bool isReservation, Resource resource)
        {
            var (milli, sum) = (Mesos.Resources.Milli.Of(resource.Scalar?.Value ?? 0), sums.GetValueOrDefault((role, isReservation)));
            sums[(role, isReservation)] = resource.Name switch
            {
                "cpus" => sum with { Cpus = sum.Cpus + milli },
                "mem" => sum with { Mem = sum.Mem + milli },
                "disk" => sum with { Disk = sum.Disk + milli },
                "gpus" => sum with { Gpus = sum.Gpus + milli },
                _ => sum,
            };
        }
    }

    private AgentFacts With(IEnumerable<Resource> resources)
    {
        var (cpus, mem, disk, ports, gpus) = (0L, 0L, 0L, 0L, 0L);
        foreach (var resource in resources)
        {
            var milli = Mesos.Resources.Milli.Of(resource.Scalar?.Value ?? 0);
            switch (resource.Name)
            {
                case "cpus": cpus += milli; break;
                case "mem": mem += milli; break;
                case "disk": disk += milli; break;
                case "gpus": gpus += milli; break;
                case "ports": ports += resource.Ranges?.Range.Sum(x => (long)(x.End - x.Begin + 1)) ?? 0; break;
            }
        }
        return this with { Cpus = cpus, Mem = mem, Disk = disk, Ports = ports, Gpus = gpus };
    }

    private AgentFacts With(IEnumerable<Mesos.Protocol.Attribute> attributes, DomainInfo? domain)
    {
        // Of several attributes of one name the first counts, as in Mesos' own offer constraints.
        var list = attributes.DistinctBy(x => x.Name).Select(x => new KeyValuePair<string, string>(x.Name, Text(x))).OrderBy(x => x.Key, StringComparer.Ordinal).ToList();
        var images = list.FirstOrDefault(x => x.Key == "images").Value;
        return this with
        {
            Attributes = list,
            Region = domain?.FaultDomain?.Region?.Name ?? "",
            Zone = domain?.FaultDomain?.Zone?.Name ?? "",
            RunsImages = images switch { "none" or "false" => false, "true" => true, _ => null },
        };
    }

    private static string Text(Mesos.Protocol.Attribute attribute) => attribute.Type switch
    {
        Value.Types.Type.Text => attribute.Text?.Value ?? "",
        Value.Types.Type.Scalar => (attribute.Scalar?.Value ?? 0).ToString("0.###", CultureInfo.InvariantCulture),
        Value.Types.Type.Ranges => string.Join('_', attribute.Ranges?.Range.Select(x => $"{x.Begin}-{x.End}") ?? []),
        _ => string.Join('_', attribute.Set?.Item ?? []),
    };

    private static string AddressOf(string? ip, string? hostname, string otherwise) =>
        ip is { Length: > 0 } and not "0.0.0.0" ? ip : System.Net.IPAddress.TryParse(hostname, out _) ? hostname! : System.Net.IPAddress.TryParse(otherwise, out _) ? otherwise : "127.0.0.1";
}
