using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;

namespace Declarative.Dns.MesosState;

/// <summary>From the messages of the operator API to what DNS names.</summary>
internal static class EventState
{
    public static MesosCluster Cluster(Response.Types.GetState? state, MasterInfo? master) =>
        new(
            [.. state?.GetFrameworks?.Frameworks.Select(f => Framework(f.FrameworkInfo)) ?? []],
            [.. state?.GetAgents?.Agents.Select(Agent) ?? []],
            [.. state?.GetTasks?.Tasks.Select(MesosTask.Of) ?? []],
            Leader(master))
        {
            Returning = (state?.GetAgents?.RecoveredAgents.Select(a => a.Id.Value) ?? []).ToHashSet(StringComparer.Ordinal),
        };

    public static MesosAgent Agent(Response.Types.GetAgents.Types.Agent agent)
    {
        var pid = MesosEndpoint.Read(agent.Pid);
        return new MesosAgent(agent.AgentInfo.Id.Value, pid?.Host ?? agent.AgentInfo.Hostname, pid?.Port ?? agent.AgentInfo.Port);
    }

    public static MesosFramework Framework(FrameworkInfo framework) => new(framework.Id.Value, framework.Name, framework.Hostname, 0);

    private static MesosEndpoint? Leader(MasterInfo? master) =>
        master is null ? null
        : master.Address is { } address ? new MesosEndpoint(address.HasIp ? address.Ip : address.Hostname, address.Port)
        : MesosEndpoint.Read(master.Pid) ?? new MesosEndpoint(master.Hostname, (int)master.Port);
}
