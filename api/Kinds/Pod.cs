using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

public sealed record Pod : ApiObject
{
    public PodSpec Spec { get; init; } = new();
    public PodStatus Status { get; init; } = new();

    public static new Pod Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Pod>(json);

    public bool IsReady => Status.Conditions.Any(x => x.Type == "Ready" && x.IsTrue);

    /// <summary>Succeeded or Failed: no task runs and none will.</summary>
    public bool IsFinished => Status.Phase is "Succeeded" or "Failed";

    /// <summary>The task that runs or last ran this pod, from the annotation that Placement writes before the launch; null before placement.</summary>
    public TaskAnnotation? Task => Metadata.Annotations.TryGetValue(TaskAnnotation.Key, out var text) ? TaskAnnotation.Read(text) : null;
}

public sealed record PodSpec
{
    public IReadOnlyList<Container> Containers { get; init; } = [];
    public IReadOnlyList<Container> InitContainers { get; init; } = [];
    public string NodeName { get; init; } = "";
    public string RestartPolicy { get; init; } = "Always";
    public long? TerminationGracePeriodSeconds { get; init; }
    public IReadOnlyDictionary<string, string> NodeSelector { get; init; } = ObjectMeta.NoStrings;
    public IReadOnlyList<Toleration> Tolerations { get; init; } = [];
    public Affinity? Affinity { get; init; }
    public IReadOnlyList<TopologySpreadConstraint> TopologySpreadConstraints { get; init; } = [];
    public string Hostname { get; init; } = "";
    public string Subdomain { get; init; } = "";
    public bool HostNetwork { get; init; }
    public string ServiceAccountName { get; init; } = "";
    public string PriorityClassName { get; init; } = "";
    public int? Priority { get; init; }

    /// <summary>PreemptLowerPriority (also where it is empty) or Never.</summary>
    public string PreemptionPolicy { get; init; } = "";
    public long? ActiveDeadlineSeconds { get; init; }
    public string SchedulerName { get; init; } = "";
    public IReadOnlyList<Volume> Volumes { get; init; } = [];
    public PodSecurityContext? SecurityContext { get; init; }
}

public sealed record Container
{
    public string Name { get; init; } = "";

    /// <summary>"" = a plain process: <see cref="Command"/> or <see cref="Args"/> names the program.</summary>
    public string Image { get; init; } = "";
    public IReadOnlyList<string> Command { get; init; } = [];
    public IReadOnlyList<string> Args { get; init; } = [];
    public string WorkingDir { get; init; } = "";
    public IReadOnlyList<ContainerPort> Ports { get; init; } = [];
    public IReadOnlyList<EnvVar> Env { get; init; } = [];
    public IReadOnlyList<EnvFromSource> EnvFrom { get; init; } = [];
    public ResourceRequirements Resources { get; init; } = new();
    public Probe? LivenessProbe { get; init; }
    public Probe? ReadinessProbe { get; init; }
    public Probe? StartupProbe { get; init; }
    public bool Stdin { get; init; }

    /// <summary>The input ends with the first client that attaches to it.</summary>
    public bool StdinOnce { get; init; }
    public bool Tty { get; init; }
    public IReadOnlyList<VolumeMount> VolumeMounts { get; init; } = [];

    /// <summary>Of an init container: Always = it goes on beside the others; "" = it ends before them.</summary>
    public string RestartPolicy { get; init; } = "";
}

public sealed record ContainerPort
{
    public string Name { get; init; } = "";
    [System.Text.Json.Serialization.JsonPropertyName("containerPort")]
    public int Number { get; init; }

    /// <summary>Exactly this port of the host; 0 = one out of the offer.</summary>
    public int HostPort { get; init; }
    public string Protocol { get; init; } = "TCP";
}

public sealed record EnvVar
{
    public string Name { get; init; } = "";
    public string Value { get; init; } = "";
    public EnvVarSource? ValueFrom { get; init; }
}

public sealed record EnvVarSource
{
    public KeySelector? ConfigMapKeyRef { get; init; }
    public KeySelector? SecretKeyRef { get; init; }
    public FieldRef? FieldRef { get; init; }
    public ResourceFieldRef? ResourceFieldRef { get; init; }
}

public sealed record KeySelector
{
    public string Name { get; init; } = "";
    public string Key { get; init; } = "";
    public bool Optional { get; init; }
}

public sealed record FieldRef
{
    public string FieldPath { get; init; } = "";
}

public sealed record ResourceFieldRef
{
    public string ContainerName { get; init; } = "";
    public string Resource { get; init; } = "";
    public Quantity? Divisor { get; init; }
}

public sealed record EnvFromSource
{
    public string Prefix { get; init; } = "";
    public SourceRef? ConfigMapRef { get; init; }
    public SourceRef? SecretRef { get; init; }
}

public sealed record SourceRef
{
    public string Name { get; init; } = "";
    public bool Optional { get; init; }
}

public sealed record ResourceRequirements
{
    /// <summary>cpu in cores, memory and ephemeral-storage in bytes, other names as counts.</summary>
    public IReadOnlyDictionary<string, Quantity> Requests { get; init; } = None;
    public IReadOnlyDictionary<string, Quantity> Limits { get; init; } = None;

    private static readonly Dictionary<string, Quantity> None = [];
}

/// <summary>Seconds everywhere; 0 = the default of Kubernetes (initialDelay 0, period 10, timeout 1, success 1, failure 3), filled in by the API server.</summary>
public sealed record Probe
{
    public HttpGetAction? HttpGet { get; init; }
    public TcpSocketAction? TcpSocket { get; init; }
    public ExecAction? Exec { get; init; }
    public GrpcAction? Grpc { get; init; }
    public int InitialDelaySeconds { get; init; }
    public int PeriodSeconds { get; init; } = 10;
    public int TimeoutSeconds { get; init; } = 1;
    public int SuccessThreshold { get; init; } = 1;
    public int FailureThreshold { get; init; } = 3;
    public long? TerminationGracePeriodSeconds { get; init; }
}

public sealed record HttpGetAction
{
    public string Path { get; init; } = "/";
    public IntOrString Port { get; init; }
    public string Host { get; init; } = "";
    public string Scheme { get; init; } = "HTTP";
    public IReadOnlyList<HttpHeader> HttpHeaders { get; init; } = [];
}

public sealed record HttpHeader
{
    public string Name { get; init; } = "";
    public string Value { get; init; } = "";
}

public sealed record TcpSocketAction
{
    public IntOrString Port { get; init; }
    public string Host { get; init; } = "";
}

public sealed record ExecAction
{
    public IReadOnlyList<string> Command { get; init; } = [];
}

public sealed record GrpcAction
{
    public int Port { get; init; }
    public string Service { get; init; } = "";
}

public sealed record VolumeMount
{
    public string Name { get; init; } = "";
    public string MountPath { get; init; } = "";
    public string SubPath { get; init; } = "";
    public bool ReadOnly { get; init; }
}

public sealed record Volume
{
    public string Name { get; init; } = "";
    public ClaimSource? PersistentVolumeClaim { get; init; }
}

public sealed record ClaimSource
{
    public string ClaimName { get; init; } = "";
    public bool ReadOnly { get; init; }
}

public sealed record PodSecurityContext
{
    public long? RunAsUser { get; init; }
    public long? RunAsGroup { get; init; }
}

public sealed record Toleration
{
    public string Key { get; init; } = "";
    public string Operator { get; init; } = "Equal";
    public string Value { get; init; } = "";
    public string Effect { get; init; } = "";
    public long? TolerationSeconds { get; init; }

    /// <summary>An empty key with Exists tolerates every key, an empty effect every effect (Kubernetes doc "Taints and Tolerations").</summary>
    public bool Tolerates(Taint taint) =>
        (Effect.Length == 0 || Effect == taint.Effect)
        && (Key.Length == 0 ? Operator == "Exists" : Key == taint.Key)
        && (Operator == "Exists" || Value == taint.Value);
}

public sealed record Affinity
{
    public NodeAffinity? NodeAffinity { get; init; }
    public PodAffinity? PodAffinity { get; init; }
    public PodAffinity? PodAntiAffinity { get; init; }
}

public sealed record NodeAffinity
{
    public NodeSelectorSpec? RequiredDuringSchedulingIgnoredDuringExecution { get; init; }
    public IReadOnlyList<PreferredSchedulingTerm> PreferredDuringSchedulingIgnoredDuringExecution { get; init; } = [];
}

/// <summary>Terms are joined by OR, the expressions of a term by AND.</summary>
public sealed record NodeSelectorSpec
{
    public IReadOnlyList<NodeSelectorTerm> NodeSelectorTerms { get; init; } = [];
}

public sealed record NodeSelectorTerm
{
    public IReadOnlyList<LabelSelectorRequirement> MatchExpressions { get; init; } = [];
    public IReadOnlyList<LabelSelectorRequirement> MatchFields { get; init; } = [];
}

public sealed record PreferredSchedulingTerm
{
    public int Weight { get; init; }
    public NodeSelectorTerm Preference { get; init; } = new();
}

public sealed record PodAffinity
{
    public IReadOnlyList<PodAffinityTerm> RequiredDuringSchedulingIgnoredDuringExecution { get; init; } = [];
    public IReadOnlyList<WeightedPodAffinityTerm> PreferredDuringSchedulingIgnoredDuringExecution { get; init; } = [];
}

public sealed record PodAffinityTerm
{
    public LabelSelectorSpec? LabelSelector { get; init; }
    public string TopologyKey { get; init; } = "";
    public IReadOnlyList<string> Namespaces { get; init; } = [];
}

public sealed record WeightedPodAffinityTerm
{
    public int Weight { get; init; }
    public PodAffinityTerm PodAffinityTerm { get; init; } = new();
}

public sealed record TopologySpreadConstraint
{
    public int MaxSkew { get; init; } = 1;
    public string TopologyKey { get; init; } = "";
    public string WhenUnsatisfiable { get; init; } = "DoNotSchedule";
    public LabelSelectorSpec? LabelSelector { get; init; }
}

public sealed record PodStatus
{
    /// <summary>Pending, Running, Succeeded, Failed or Unknown.</summary>
    public string Phase { get; init; } = "";
    public string Reason { get; init; } = "";
    public string Message { get; init; } = "";
    public string HostIP { get; init; } = "";
    public string PodIP { get; init; } = "";
    public DateTimeOffset? StartTime { get; init; }

    /// <summary>The node where room is being made for the pod by preemption.</summary>
    public string NominatedNodeName { get; init; } = "";
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
    public IReadOnlyList<ContainerStatus> ContainerStatuses { get; init; } = [];
}

public sealed record ContainerStatus
{
    public string Name { get; init; } = "";
    public bool Ready { get; init; }
    public bool? Started { get; init; }
    public int RestartCount { get; init; }
    public string ContainerID { get; init; } = "";
    public string Image { get; init; } = "";
    public ContainerState State { get; init; } = new();
    public ContainerState LastState { get; init; } = new();
}

public sealed record ContainerState
{
    public ContainerStateWaiting? Waiting { get; init; }
    public ContainerStateRunning? Running { get; init; }
    public ContainerStateTerminated? Terminated { get; init; }
}

public sealed record ContainerStateWaiting
{
    public string Reason { get; init; } = "";
    public string Message { get; init; } = "";
}

public sealed record ContainerStateRunning
{
    public DateTimeOffset? StartedAt { get; init; }
}

public sealed record ContainerStateTerminated
{
    public int ExitCode { get; init; }
    public int Signal { get; init; }
    public string Reason { get; init; } = "";
    public string Message { get; init; } = "";
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public string ContainerID { get; init; } = "";
}
