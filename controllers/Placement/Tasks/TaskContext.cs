using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>Where and as what a pod is launched.</summary>
internal sealed record TaskContext(string AgentId, string NodeName, string HostAddress, int Attempt, IReadOnlyDictionary<string, int> Ports)
{
    /// <summary>Task and discovery name (architecture.md, decision 9).</summary>
    public string Name { get; init; } = "";
    public string FrameworkId { get; init; } = "";
    public EnvSources Sources { get; init; } = EnvSources.None;

    /// <summary>The volumes as they are offered, by the pod's claims.</summary>
    public IReadOnlyDictionary<string, Resource> Volumes { get; init; } = NoVolumes;

    private static readonly Dictionary<string, Resource> NoVolumes = [];

    /// <summary>False where the agent has refused task limits (it has no cgroup isolators).</summary>
    public bool SetLimits { get; init; } = true;

    public int HostPort(string container, int containerPort) => Ports.GetValueOrDefault($"{container}/{containerPort}");
}
