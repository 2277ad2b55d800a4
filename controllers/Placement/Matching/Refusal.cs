namespace Declarative.Controllers.Placement.Matching;

internal enum RefusalKind
{
    NoOffer,
    OtherAgent,
    Unschedulable,
    Taint,
    NodeSelector,
    NodeAffinity,
    Image,
    Cpus,
    Memory,
    Disk,
    Gpus,
    HostPort,
    Ports,
    PodAffinity,
    PodAntiAffinity,
    TopologySpread,
    Volume,
}

/// <summary>One reason why one agent does not fit, in words with numbers, and what would change it.</summary>
/// <param name="Short">Thousandths that are missing, for resources; else 0.</param>
internal sealed record Reason(RefusalKind Kind, string Text, string Remedy, long Short = 0);

/// <summary>Every reason of one agent, in the order of the checks.</summary>
internal sealed record AgentRefusal(string Agent, IReadOnlyList<Reason> Reasons);

/// <summary>Why a pod was not placed: every reason of every agent, the nearest miss first.</summary>
internal sealed record Refusal(IReadOnlyList<AgentRefusal> Agents)
{
    public AgentRefusal? Nearest => Agents.Count > 0 ? Agents[0] : null;
}
