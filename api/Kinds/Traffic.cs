using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

public sealed record Service : ApiObject
{
    public ServiceSpec Spec { get; init; } = new();
    public ServiceStatus Status { get; init; } = new();

    public static new Service Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Service>(json);
}

public sealed record ServiceSpec
{
    /// <summary>ClusterIP, NodePort, LoadBalancer or ExternalName.</summary>
    public string Type { get; init; } = "ClusterIP";
    public string ClusterIP { get; init; } = "";
    public IReadOnlyList<string> ClusterIPs { get; init; } = [];
    public string ExternalName { get; init; } = "";
    public IReadOnlyDictionary<string, string> Selector { get; init; } = ObjectMeta.NoStrings;
    public IReadOnlyList<ServicePort> Ports { get; init; } = [];
    public bool PublishNotReadyAddresses { get; init; }
    /// <summary>None or ClientIP.</summary>
    public string SessionAffinity { get; init; } = "None";

    /// <summary>A client address shall have the same endpoint each time.</summary>
    public bool KeepsClients => SessionAffinity == "ClientIP";
    public string LoadBalancerClass { get; init; } = "";
}

public sealed record ServicePort
{
    public string Name { get; init; } = "";
    public string Protocol { get; init; } = "TCP";
    public string AppProtocol { get; init; } = "";
    public int Port { get; init; }
    public IntOrString? TargetPort { get; init; }
    public int NodePort { get; init; }
}

public sealed record ServiceStatus
{
    public LoadBalancerStatus LoadBalancer { get; init; } = new();
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
}

public sealed record LoadBalancerStatus
{
    public IReadOnlyList<LoadBalancerIngress> Ingress { get; init; } = [];
}

public sealed record LoadBalancerIngress
{
    public string Ip { get; init; } = "";
    public string Hostname { get; init; } = "";
    public IReadOnlyList<LoadBalancerPort> Ports { get; init; } = [];
}

public sealed record LoadBalancerPort
{
    public int Port { get; init; }
    public string Protocol { get; init; } = "TCP";
    public string Error { get; init; } = "";
}

public sealed record EndpointSlice : ApiObject
{
    /// <summary>The label that names the Service of a slice.</summary>
    public const string ServiceNameLabel = "kubernetes.io/service-name";
    public const string ManagedByLabel = "endpointslice.kubernetes.io/managed-by";
    public const string OurManager = "endpoints.declarative.mesos";

    public string AddressType { get; init; } = "IPv4";
    public IReadOnlyList<Endpoint> Endpoints { get; init; } = [];
    public IReadOnlyList<EndpointPort> Ports { get; init; } = [];

    public string ServiceName => Metadata.Labels.GetValueOrDefault(ServiceNameLabel, "");

    public static new EndpointSlice Read(ReadOnlyMemory<byte> json) => ViewJson.Read<EndpointSlice>(json);
}

public sealed record Endpoint
{
    public IReadOnlyList<string> Addresses { get; init; } = [];
    public EndpointConditions Conditions { get; init; } = new();
    public string Hostname { get; init; } = "";
    public string NodeName { get; init; } = "";
    public string Zone { get; init; } = "";
    public ObjectReference? TargetRef { get; init; }
}

/// <summary>Absent values mean: ready true, serving as ready, terminating false (discovery.k8s.io/v1).</summary>
public sealed record EndpointConditions
{
    public bool? Ready { get; init; }
    public bool? Serving { get; init; }
    public bool? Terminating { get; init; }

    public bool IsReady => Ready ?? true;
    public bool IsServing => Serving ?? IsReady;
    public bool IsTerminating => Terminating ?? false;
}

public sealed record EndpointPort
{
    public string Name { get; init; } = "";
    public int Port { get; init; }
    public string Protocol { get; init; } = "TCP";
    public string AppProtocol { get; init; } = "";
}

public sealed record ObjectReference
{
    public string ApiVersion { get; init; } = "";
    public string Kind { get; init; } = "";
    public string Name { get; init; } = "";
    public string Namespace { get; init; } = "";
    public string Uid { get; init; } = "";
    public string FieldPath { get; init; } = "";
}

public sealed record Ingress : ApiObject
{
    public IngressSpec Spec { get; init; } = new();
    public IngressStatus Status { get; init; } = new();

    public static new Ingress Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Ingress>(json);
}

public sealed record IngressSpec
{
    public string IngressClassName { get; init; } = "";
    public IngressBackend? DefaultBackend { get; init; }
    public IReadOnlyList<IngressRule> Rules { get; init; } = [];
    public IReadOnlyList<IngressTls> Tls { get; init; } = [];
}

public sealed record IngressStatus
{
    public LoadBalancerStatus LoadBalancer { get; init; } = new();
}

public sealed record IngressRule
{
    public string Host { get; init; } = "";
    public HttpIngressRule? Http { get; init; }
}

public sealed record HttpIngressRule
{
    public IReadOnlyList<HttpIngressPath> Paths { get; init; } = [];
}

public sealed record HttpIngressPath
{
    public string Path { get; init; } = "";

    /// <summary>Exact, Prefix or ImplementationSpecific (here: Prefix).</summary>
    public string PathType { get; init; } = "";
    public IngressBackend Backend { get; init; } = new();
}

public sealed record IngressBackend
{
    public IngressServiceBackend? Service { get; init; }
}

public sealed record IngressServiceBackend
{
    public string Name { get; init; } = "";
    public ServiceBackendPort Port { get; init; } = new();
}

public sealed record ServiceBackendPort
{
    public string Name { get; init; } = "";
    public int Number { get; init; }
}

public sealed record IngressTls
{
    public IReadOnlyList<string> Hosts { get; init; } = [];
    public string SecretName { get; init; } = "";
}

public sealed record IngressClass : ApiObject
{
    public IngressClassSpec Spec { get; init; } = new();

    public static new IngressClass Read(ReadOnlyMemory<byte> json) => ViewJson.Read<IngressClass>(json);
}

public sealed record IngressClassSpec
{
    public string Controller { get; init; } = "";
}

/// <summary>What one balancer, DNS server or the Endpoints controller has seen and still has in flight (architecture.md, decision 12).</summary>
public sealed record TrafficReport : ApiObject
{
    public TrafficReportSpec Spec { get; init; } = new();
    public TrafficReportStatus Status { get; init; } = new();

    public bool IsLive(DateTimeOffset now) => Spec.RenewTime is { } renewed && renewed.AddSeconds(Spec.LeaseDurationSeconds) > now;

    public static new TrafficReport Read(ReadOnlyMemory<byte> json) => ViewJson.Read<TrafficReport>(json);
}

public sealed record TrafficReportSpec
{
    /// <summary>endpoints, lb or dns.</summary>
    public string Role { get; init; } = "";
    public int LeaseDurationSeconds { get; init; } = 10;
    public DateTimeOffset? RenewTime { get; init; }
}

public sealed record TrafficReportStatus
{
    /// <summary>Every slice and pod up to this revision is taken into account.</summary>
    public long ObservedRevision { get; init; }
    public IReadOnlyList<DrainingPod> Draining { get; init; } = [];
}

public sealed record DrainingPod
{
    public string PodUID { get; init; } = "";
    public string Address { get; init; } = "";

    /// <summary>lb: requests and connections in flight; dns: 1 while an answer that named the address may be cached.</summary>
    public int InFlight { get; init; }
}
