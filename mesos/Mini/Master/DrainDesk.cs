using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Master;

/// <summary>DRAIN_AGENT, DEACTIVATE_AGENT and REACTIVATE_AGENT. A drain cannot be cancelled before it is done.</summary>
internal sealed class DrainDesk(Cluster cluster, AgentDesk agents)
{
    public CallOutcome Drain(string id, DrainConfig config)
    {
        if (!IsKnown(id))
            return CallOutcome.Refused("Unknown agent");
        if (cluster.Deactivations.GetValueOrDefault(id)?.Drain is { } drain)
            return CallOutcome.Refused($"Agent {id} is already in the {(drain.State == DrainState.Draining ? "DRAINING" : "DRAINED")} state");
        if (config.MaxGracePeriod?.Nanoseconds < 0)
            return CallOutcome.Refused($"Invalid 'max_grace_period' of {config.MaxGracePeriod.Nanoseconds} ns: it must not be negative");
        var now = Cluster.Nanoseconds(cluster.Now).Nanoseconds;
        Set(
            id,
            new Deactivation
            {
                Drain = new() { State = DrainState.Draining, Config = config },
                DrainStart = new() { Nanoseconds = now - (now % 1_000_000_000) },
            }
        );
        if (!cluster.Agents.TryGetValue(id, out var agent))
            return CallOutcome.Done;
        Tell(agent);
        Emptied(agent);
        return CallOutcome.Done;
    }

    public CallOutcome Deactivate(string id)
    {
        if (!IsKnown(id))
            return CallOutcome.Refused("Unknown agent");
        if (!cluster.Deactivations.ContainsKey(id))
            Set(id, new Deactivation());
        return CallOutcome.Done;
    }

    public CallOutcome Reactivate(string id)
    {
        if (!IsKnown(id))
            return CallOutcome.Refused("Unknown agent");
        if (!cluster.Deactivations.TryGetValue(id, out var deactivation))
            return CallOutcome.Refused($"Agent {id} is not deactivated");
        if (deactivation.IsDraining)
            return CallOutcome.Refused($"Agent {id} is still draining and cannot be reactivated before it is DRAINED");
        cluster.Deactivations.Remove(id);
        if (!cluster.Agents.TryGetValue(id, out var agent))
            return CallOutcome.Done;
        agent.Deactivation = null;
        agent.Slot.Active = agent.Connection is not null;
        cluster.Allocator.Reconsider();
        cluster.ScheduleBatch();
        return CallOutcome.Done;
    }

    /// <summary>Tells an agent that drains, and has just come (back), to go on with it.</summary>
    public static void Tell(Agent agent)
    {
        if (agent.Deactivation is not { IsDraining: true } deactivation)
            return;
        var message = new ToAgent.Types.Drain();
        if (deactivation.Drain!.Config.MaxGracePeriod is { } grace)
            message.MaxGracePeriod = grace;
        agent.Send(new ToAgent { Drain = message });
    }

    /// <summary>A task or an executor of this agent is over: a drain may be done.</summary>
    public void Emptied(Agent agent)
    {
        if (agent.Deactivation is not { IsDraining: true } deactivation || agent.Tasks.Count > 0 || agent.Executors.Count > 0 || agent.Connection is null)
            return;
        deactivation.Drain = new() { State = DrainState.Drained, Config = deactivation.Drain!.Config };
        if (deactivation.Drain.Config.MarkGone)
            agents.MarkGone(agent.Id);
        agents.Changed();
    }

    private bool IsKnown(string id) => cluster.Agents.ContainsKey(id) || cluster.RecoveredAgents.ContainsKey(id) || cluster.UnreachableAgents.ContainsKey(id);

    private void Set(string id, Deactivation deactivation)
    {
        cluster.Deactivations[id] = deactivation;
        if (!cluster.Agents.TryGetValue(id, out var agent))
            return;
        agent.Deactivation = deactivation;
        agent.Slot.Active = false;
        foreach (var offer in agent.Offers.Values.ToList())
            cluster.Rescind(offer);
    }
}
