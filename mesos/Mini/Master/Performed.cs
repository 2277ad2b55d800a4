using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Master;

/// <summary>An operation that its framework gave an id and has not acknowledged yet.</summary>
internal sealed class Performed(Operation record, Framework framework, Agent agent)
{
    /// <summary>What GET_OPERATIONS shows.</summary>
    public Operation Record { get; } = record;

    public Framework Framework { get; } = framework;
    public Agent Agent { get; } = agent;
    public string Id => Record.Info.Id.Value;

    /// <summary>How long the last wait for an acknowledgement was.</summary>
    public TimeSpan Waited { get; set; }

    public Deadlines.Deadline? Again { get; set; }
}
