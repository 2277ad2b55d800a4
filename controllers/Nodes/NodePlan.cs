using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Placement.Matching;

namespace Declarative.Controllers.Nodes;

/// <summary>The Node object of an agent (architecture.md, decision 14). Pure.</summary>
internal static class NodePlan
{
    private const string HostnameLabel = "kubernetes.io/hostname";
    private const string RegionLabel = "topology.kubernetes.io/region";
    private const string ZoneLabel = "topology.kubernetes.io/zone";
    private const string AttributePrefix = "mesos/";

    /// <summary>True while the master offers nothing of the agent because an operator has said so.</summary>
    private const string DeactivatedCondition = "MesosDeactivated";

    private const string GoneReason = "AgentGone";

    private static readonly TimeSpan StatusFollows = TimeSpan.FromSeconds(1);

    private const string Provider = "mesos://";

    public static string ProviderId(string agentId) => Provider + agentId;

    /// <summary>The Mesos agent that a Node stands for; "" for a Node of somebody else's.</summary>
    public static string AgentId(Node node) => node.Spec.ProviderID.StartsWith(Provider, StringComparison.Ordinal) ? node.Spec.ProviderID[Provider.Length..] : "";

    /// <param name="own">The Node that bears this agent's id; null before there is one.</param>
    /// <param name="byName">Any Node by its name.</param>
    /// <param name="isOwn">Whether a Mesos role is this platform's: what others have is not allocatable.</param>
    public static Plan Compute(AgentFacts agent, Node? own, Func<string, Node?> byName, Func<string, bool> isOwn, DateTimeOffset now)
    {
        var others = Others(agent, isOwn);
        if (own is not null) return new() { Changes = Updates(agent, others, own, now) };
        if (agent.Presence is AgentPresence.Gone) return Plan.Nothing;
        var name = Name(agent.Hostname);
        if (name is not null && byName(name) is { } present)
        {
            // One that was made a moment ago says only with its status what machine it is.
            if (AgentId(present).Length > 0 && present.Status.Addresses.Count == 0) return new() { LookAgainIn = StatusFollows };
            // The same machine under a new agent id takes its Node over, as a new object.
            if (IsSameMachine(present, agent)) return new() { Changes = [Change.Delete(Key(name), present.Uid), .. Creation(agent, others, name, now)] };
            name = null;
        }
        name ??= Mangled(agent);
        return byName(name) is null ? new() { Changes = Creation(agent, others, name, now) } : Plan.Nothing;
    }

    /// <summary>null where the hostname is no DNS subdomain.</summary>
    public static string? Name(string hostname)
    {
        var name = hostname.ToLowerInvariant();
        return Names.SubdomainError(name) is null ? name : null;
    }

    /// <summary>What can be kept of the hostname, and the agent id's last part: <c>host-a-s3</c>.</summary>
    public static string Mangled(AgentFacts agent)
    {
        var text = new StringBuilder(agent.Hostname.Length);
        foreach (var c in agent.Hostname.ToLowerInvariant()) text.Append(char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) ? c : '-');
        var host = text.ToString().Trim('-');
        if (host.Length == 0) host = "agent";
        if (host.Length > 200) host = host[..200].TrimEnd('-');
        var last = agent.AgentId[(agent.AgentId.LastIndexOf('-') + 1)..].ToLowerInvariant();
        return $"{host}-{last}";
    }

    private static bool IsSameMachine(Node node, AgentFacts agent) =>
        node.Status.DaemonEndpoints.KubeletEndpoint.Port == agent.Port
        && (node.Status.Addresses.Any(x => x.Type == "Hostname" && string.Equals(x.Address, agent.Hostname, StringComparison.OrdinalIgnoreCase)) || node.Status.Addresses.Count == 0);

    private static ResourceKey Key(string name) => ResourceKey.Of(Kind.Node, "", name);

    private static List<Change> Creation(AgentFacts agent, Amounts others, string name, DateTimeOffset now)
    {
        var body = Body.Of(json =>
        {
            json.TypeMeta(Kind.Node);
            json.Object("metadata", x =>
            {
                x.WriteString("name"u8, name);
                x.Map("labels", Labels(agent, name));
                x.Map("annotations", Annotations(agent));
            });
            json.Object("spec", x => x.WriteString("providerID"u8, ProviderId(agent.AgentId)));
        });
        return [Change.Create(Key(name), body), Change.Merge(Key(name), Status(agent, others, null, now), "status")];
    }

    private static List<Change> Updates(AgentFacts agent, Amounts others, Node node, DateTimeOffset now)
    {
        var changes = new List<Change>();
        var wanted = Labels(agent, node.Name);
        var stale = node.Metadata.Labels.Keys.Where(x => x.StartsWith(AttributePrefix, StringComparison.Ordinal) && !wanted.ContainsKey(x)).Order(StringComparer.Ordinal).ToList();
        var missing = wanted.Where(x => node.Metadata.Labels.GetValueOrDefault(x.Key) != x.Value).ToList();
        var notes = Annotations(agent).Where(x => node.Metadata.Annotations.GetValueOrDefault(x.Key) != x.Value).ToList();
        if (stale.Count + missing.Count + notes.Count > 0)
        {
            changes.Add(Change.Merge(Key(node.Name), Body.Of(json => json.Object("metadata", x =>
            {
                x.WriteString("uid"u8, node.Uid);
                x.Object("labels", y =>
                {
                    foreach (var (key, value) in missing) y.WriteString(key, value);
                    foreach (var key in stale) y.WriteNull(key);
                });
                if (notes.Count > 0) x.Map("annotations", notes);
            }))));
        }
        if (!IsCurrent(agent, others, node)) changes.Add(Change.Merge(Key(node.Name), Status(agent, others, node, now), "status"));
        return changes;
    }

    private static bool IsCurrent(AgentFacts agent, Amounts others, Node node)
    {
        var ready = node.Status.Conditions.FirstOrDefault(x => x.Type == "Ready");
        return ready?.Status == Ready(agent).Status
            && node.Status.DaemonEndpoints.KubeletEndpoint.Port == agent.Port
            && node.Status.Addresses.Any(x => x.Type == "InternalIP" && x.Address == agent.Address)
            && Conditions(agent, node, default).All(x => node.Status.Conditions.Any(y => y.Type == x.Type && y.Status == x.Status && y.Reason == x.Reason))
            && Capacity(agent, node).All(x => node.Status.Capacity.TryGetValue(x.Key, out var has) && has == x.Value
                && node.Status.Allocatable.TryGetValue(x.Key, out var left) && left == Less(x, others));
    }

    internal static SortedDictionary<string, string> Labels(AgentFacts agent, string name)
    {
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            [HostnameLabel] = name.Length <= Limits.LabelCharsMax ? name : name[..Limits.LabelCharsMax].TrimEnd('.', '-'),
            ["kubernetes.io/os"] = "linux",
        };
        if (Value(agent.Region) is { Length: > 0 } region) labels[RegionLabel] = region;
        if (Value(agent.Zone) is { Length: > 0 } zone) labels[ZoneLabel] = zone;
        foreach (var (key, value) in agent.Attributes)
        {
            if (Names.QualifiedNameError(AttributePrefix + key) is null) labels[AttributePrefix + key] = Value(value);
        }
        return labels;
    }

    private static IEnumerable<KeyValuePair<string, string>> Annotations(AgentFacts agent)
    {
        if (agent.RunsImages is { } images) yield return new(AgentNode.ImagesAnnotation, images ? "docker" : "none");
    }

    /// <summary>What of a text can stand as a label's value.</summary>
    private static string Value(string text)
    {
        if (Names.LabelValueError(text) is null) return text;
        var kept = new StringBuilder(text.Length);
        foreach (var c in text) kept.Append(char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '_');
        var value = kept.ToString().Trim('-', '_', '.');
        return value.Length <= Limits.LabelCharsMax ? value : value[..Limits.LabelCharsMax].TrimEnd('-', '_', '.');
    }

    /// <summary>The node's agent has left the cluster for good: under this id it does not come back.</summary>
    public static bool IsGone(Node node) => node.Status.Conditions.Any(x => x.Type == "Ready" && x.Reason == GoneReason);

    private static (string Status, string Reason, string Message) Ready(AgentFacts agent) => agent.Presence switch
    {
        AgentPresence.Active => ("True", "AgentRegistered", "the Mesos agent is registered"),
        AgentPresence.Unreachable => ("Unknown", "AgentUnreachable", "the Mesos master has lost contact with the agent"),
        _ => ("False", GoneReason, "the Mesos agent has left the cluster"),
    };

    /// <summary>What other roles than ours have of the agent.</summary>
    private static Amounts Others(AgentFacts agent, Func<string, bool> isOwn)
    {
        var sum = default(Amounts);
        foreach (var held in agent.Held)
        {
            if (!isOwn(held.Role)) sum += new Amounts(held.Cpus, held.Mem, held.Disk, held.Gpus);
        }
        return sum;
    }

    private static Quantity Less(KeyValuePair<string, Quantity> amount, Amounts others) => new(Math.Max(0, amount.Value.Milli - amount.Key switch
    {
        "cpu" => others.Cpus,
        "memory" => Bytes(others.Mem).Milli,
        "ephemeral-storage" => Bytes(others.Disk).Milli,
        Demand.GpuName => others.Gpus,
        _ => 0,
    }));

    private static List<Condition> Conditions(AgentFacts agent, Node? node, DateTimeOffset now)
    {
        var (ready, reason, message) = Ready(agent);
        List<Condition> conditions = [Since(new() { Type = "Ready", Status = ready, Reason = reason, Message = message })];
        if (agent.IsDeactivated || agent.IsDraining) conditions.Add(Since(new() { Type = DeactivatedCondition, Status = "True", Reason = agent.IsDraining ? "Draining" : "Deactivated", Message = "the Mesos master offers nothing of this agent (DRAIN_AGENT or DEACTIVATE_AGENT)" }));
        else if (node?.Status.Conditions.Any(x => x.Type == DeactivatedCondition) == true) conditions.Add(Since(new() { Type = DeactivatedCondition, Status = "False", Reason = "Reactivated", Message = "the Mesos master offers this agent" }));
        return conditions;

        Condition Since(Condition condition)
        {
            var old = node?.Status.Conditions.FirstOrDefault(x => x.Type == condition.Type);
            return condition with { LastTransitionTime = old?.Status == condition.Status ? old.LastTransitionTime : now };
        }
    }

    /// <summary>An offer shows a part of the agent: what is stored already may be more.</summary>
    private static List<KeyValuePair<string, Quantity>> Capacity(AgentFacts agent, Node? node)
    {
        return
        [
            new("cpu", Most("cpu", new Quantity(agent.Cpus))),
            new("ephemeral-storage", Most("ephemeral-storage", Bytes(agent.Disk))),
            new("memory", Most("memory", Bytes(agent.Mem))),
            .. agent.Gpus > 0 ? [new KeyValuePair<string, Quantity>(Demand.GpuName, Most(Demand.GpuName, new Quantity(agent.Gpus)))] : Array.Empty<KeyValuePair<string, Quantity>>(),
            new("pods", Most("pods", Quantity.FromUnits(Math.Max(agent.Ports, 110)))),
        ];

        Quantity Most(string name, Quantity amount) =>
            agent.IsOffer && node is not null && node.Status.Capacity.TryGetValue(name, out var has) && has > amount ? has : amount;
    }

    private static Quantity Bytes(long milliMiB) => Quantity.FromBytes((long)((Int128)milliMiB * (1 << 20) / 1000));

    private static byte[] Status(AgentFacts agent, Amounts others, Node? node, DateTimeOffset now) => Body.Of(json =>
    {
        if (node is not null) json.Object("metadata", x => x.WriteString("uid"u8, node.Uid));
        json.Object("status", status =>
        {
            var amounts = Capacity(agent, node);
            status.Map("capacity", amounts.Select(x => new KeyValuePair<string, string>(x.Key, x.Value.ToString())));
            status.Map("allocatable", amounts.Select(x => new KeyValuePair<string, string>(x.Key, Less(x, others).ToString())));
            var conditions = Conditions(agent, node, now);
            status.Conditions([.. conditions, .. node?.Status.Conditions.Where(x => !conditions.Exists(y => y.Type == x.Type)) ?? []]);
            status.WriteStartArray("addresses"u8);
            Address(status, "InternalIP", agent.Address);
            Address(status, "Hostname", agent.Hostname);
            status.WriteEndArray();
            status.Object("daemonEndpoints", x => x.Object("kubeletEndpoint", y => y.WriteNumber("Port"u8, agent.Port)));
            status.Object("nodeInfo", x =>
            {
                // Kubernetes requires all of these; those that an agent does not tell are empty.
                foreach (var name in (ReadOnlySpan<string>)["machineID", "systemUUID", "bootID", "kernelVersion", "kubeProxyVersion", "architecture"]) x.WriteString(name, "");
                x.WriteString("operatingSystem"u8, "linux"u8);
                x.WriteString("osImage"u8, "Linux"u8);
                x.WriteString("containerRuntimeVersion"u8, agent.Version.Length > 0 ? "mesos://" + agent.Version : "mesos://");
                x.WriteString("kubeletVersion"u8, agent.Version.Length > 0 ? "mesos-" + agent.Version : "mesos");
            });
        });
    });

    private static void Address(System.Text.Json.Utf8JsonWriter json, string type, string address)
    {
        json.WriteStartObject();
        json.WriteString("type"u8, type);
        json.WriteString("address"u8, address);
        json.WriteEndObject();
    }
}
