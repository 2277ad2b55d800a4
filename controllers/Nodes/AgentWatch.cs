using System.Runtime.CompilerServices;
using Declarative.Mesos.Protocol.MasterApi;
using Declarative.Mesos.Scheduler.Http;

namespace Declarative.Controllers.Nodes;

/// <summary>
/// The agents as the master's operator API tells them: all at first, then each that comes or goes. The stream says nothing of agents
/// that become unreachable, so at every heartbeat all of them are asked for.
/// </summary>
public sealed class AgentWatch(HttpOperator master)
{
    private static readonly HashSet<Event.Types.Type> Unread = [Event.Types.Type.TaskAdded, Event.Types.Type.TaskUpdated];

    public async IAsyncEnumerable<AgentFacts> Agents([EnumeratorCancellation] CancellationToken stop)
    {
        await foreach (var change in master.Watch(Unread, stop))
        {
            switch (change.Type)
            {
                case Event.Types.Type.Subscribed:
                    foreach (var agent in change.Subscribed.GetState?.GetAgents?.Agents ?? []) yield return AgentFacts.Of(agent);
                    break;
                case Event.Types.Type.AgentAdded:
                    yield return AgentFacts.Of(change.AgentAdded.Agent);
                    break;
                case Event.Types.Type.AgentRemoved:
                    yield return new AgentFacts(change.AgentRemoved.AgentId.Value, "", "", 0) { Presence = AgentPresence.Gone };
                    break;
                case Event.Types.Type.Heartbeat:
                    foreach (var agent in (await master.Ask(new Call { Type = Call.Types.Type.GetAgents }, stop)).GetAgents?.Agents ?? []) yield return AgentFacts.Of(agent);
                    break;
                default:
                    break;
            }
        }
    }
}
