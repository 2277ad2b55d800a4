using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Controllers.Nodes;

/// <summary>Keeps a Node object for every Mesos agent that is known through offers or through the master's operator API.</summary>
/// <param name="watch">
/// The agents as the master tells them: all at first, then each that changes. It is begun again when it ends. null where only offers tell.
/// </param>
public sealed class NodesController(AgentFeed agents, Func<CancellationToken, IAsyncEnumerable<AgentFacts>>? watch = null)
{
    private static readonly TimeSpan RetryFirst = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(10);

    private const string ByProvider = "providerID";

    public ILogger Logger { get; init; } = NullLogger.Instance;

    public async Task Run(IApi api, TimeProvider time, Random random, CancellationToken stop)
    {
        var nodes = new Informer<Node>(api, Kind.Node, Node.Read, time, random) { Logger = Logger }
            .AddIndex(ByProvider, static x => x.Spec.ProviderID.Length > 0 ? x.Spec.ProviderID : null);
        var controller = new Controller<string>("node-controller", api, time, (agentId, _) => ValueTask.FromResult(Plan(agentId, nodes, time)))
        {
            Views = [nodes],
            Workers = 8,
            Logger = Logger,
        };
        // A Node that someone deleted or changed is looked at again; an agent that no part of this process has seen keeps its Node as it is.
        nodes.OnChange(x =>
        {
            if (NodePlan.AgentId(x.Object) is { Length: > 0 } agent) controller.Queue.Add(agent);
        });
        agents.OnChange(controller.Queue.Add);
        var watching = watch is null ? Task.CompletedTask : Watch(watch, time, random, stop);
        await controller.Run(stop);
        await watching;
    }

    private Plan Plan(string agentId, Informer<Node> nodes, TimeProvider time)
    {
        if (agents.Find(agentId) is not { } facts) return Client.Reconcile.Plan.Nothing;
        var own = nodes.ByIndex(ByProvider, NodePlan.ProviderId(agentId)).FirstOrDefault();
        return NodePlan.Compute(facts, own, name => nodes.Get("", name), agents.IsOwn, time.GetUtcNow());
    }

    private async Task Watch(Func<CancellationToken, IAsyncEnumerable<AgentFacts>> begin, TimeProvider time, Random random, CancellationToken stop)
    {
        var backoff = new Client.Backoff(RetryFirst, RetryMax, random);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await foreach (var facts in begin(stop))
                {
                    agents.Known(facts);
                    backoff.Reset();
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) // the watch's bulkhead: a master that is away comes back
            {
                Log.WatchEnded(Logger, e.Message);
            }
            try
            {
                await Task.Delay(backoff.Next(), time, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }
}
