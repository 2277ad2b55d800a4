using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Master;

/// <summary>An operator keeps an agent from being offered: by DEACTIVATE_AGENT, or while and after it drains.</summary>
internal sealed class Deactivation
{
    /// <summary>Null where it only was deactivated.</summary>
    public DrainInfo? Drain { get; set; }

    /// <summary>When DRAIN_AGENT was called, in full seconds.</summary>
    public TimeInfo? DrainStart { get; init; }

    public bool IsDraining => Drain?.State == DrainState.Draining;
}
