using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

public sealed record Namespace : ApiObject
{
    public NamespaceSpec Spec { get; init; } = new();
    public NamespaceStatus Status { get; init; } = new();

    public static new Namespace Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Namespace>(json);
}

public sealed record NamespaceSpec
{
    public IReadOnlyList<string> Finalizers { get; init; } = [];
}

public sealed record NamespaceStatus
{
    /// <summary>Active or Terminating.</summary>
    public string Phase { get; init; } = "";
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
}

public sealed record ConfigMap : ApiObject
{
    public IReadOnlyDictionary<string, string> Data { get; init; } = ObjectMeta.NoStrings;

    public static new ConfigMap Read(ReadOnlyMemory<byte> json) => ViewJson.Read<ConfigMap>(json);
}

public sealed record Secret : ApiObject
{
    public string Type { get; init; } = "";
    public IReadOnlyDictionary<string, byte[]> Data { get; init; } = new Dictionary<string, byte[]>();

    public static new Secret Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Secret>(json);

    /// <summary>Secrets never reach a log through a record's text.</summary>
    public override string ToString() => $"Secret {Metadata.Namespace}/{Metadata.Name}";
}

public sealed record Node : ApiObject
{
    public NodeSpec Spec { get; init; } = new();
    public NodeStatus Status { get; init; } = new();

    public static new Node Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Node>(json);
}

public sealed record NodeSpec
{
    /// <summary><c>mesos://AGENT-ID</c>.</summary>
    public string ProviderID { get; init; } = "";
    public bool Unschedulable { get; init; }
    public IReadOnlyList<Taint> Taints { get; init; } = [];
}

public sealed record Taint
{
    public string Key { get; init; } = "";
    public string Value { get; init; } = "";

    /// <summary>NoSchedule, PreferNoSchedule or NoExecute.</summary>
    public string Effect { get; init; } = "";
    public DateTimeOffset? TimeAdded { get; init; }
}

public sealed record NodeStatus
{
    public IReadOnlyDictionary<string, Quantity> Capacity { get; init; } = new Dictionary<string, Quantity>();
    public IReadOnlyDictionary<string, Quantity> Allocatable { get; init; } = new Dictionary<string, Quantity>();
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
    public IReadOnlyList<NodeAddress> Addresses { get; init; } = [];
    public NodeDaemonEndpoints DaemonEndpoints { get; init; } = new();
}

public sealed record NodeAddress
{
    /// <summary>InternalIP or Hostname.</summary>
    public string Type { get; init; } = "";
    public string Address { get; init; } = "";
}

public sealed record NodeDaemonEndpoints
{
    public DaemonEndpoint KubeletEndpoint { get; init; } = new();
}

public sealed record DaemonEndpoint
{
    [System.Text.Json.Serialization.JsonPropertyName("Port")]
    public int Port { get; init; }
}

public sealed record Event : ApiObject
{
    public ObjectReference InvolvedObject { get; init; } = new();
    public string Reason { get; init; } = "";
    public string Message { get; init; } = "";

    /// <summary>Normal or Warning.</summary>
    public string Type { get; init; } = "";
    public int Count { get; init; }
    public DateTimeOffset? FirstTimestamp { get; init; }
    public DateTimeOffset? LastTimestamp { get; init; }

    public static new Event Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Event>(json);
}

public sealed record Lease : ApiObject
{
    public LeaseSpec Spec { get; init; } = new();

    public static new Lease Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Lease>(json);
}

public sealed record LeaseSpec
{
    public string HolderIdentity { get; init; } = "";
    public int? LeaseDurationSeconds { get; init; }
    public DateTimeOffset? AcquireTime { get; init; }
    public DateTimeOffset? RenewTime { get; init; }
    public int? LeaseTransitions { get; init; }
}
