using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;
using Xunit;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;

namespace Declarative.Tests.Placement;

/// <summary>What comes back, comes twice or goes on though it was given up, over real sockets: one copy stays, and nothing is done twice.</summary>
public class SocketReturnTests
{
    [Fact]
    public Task Of_a_pod_that_was_given_up_with_its_agent_one_copy_stays() => SocketCluster.Run(async x =>
    {
        await x.CreatePod("web", spec: ""","tolerations":[{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":1}]""");
        var lost = await x.Running("web");
        x.StopAgent(0);
        await SocketCluster.Until(async () => await x.Find("web") is { Status.Phase: "Unknown" or "Failed" }, "nothing is known of the pod");
        await SocketCluster.Until(async () => await x.Find("web") is { Status: { Phase: "Failed", Reason: "NodeLost" } }, "it is given up after what it tolerates");
        x.AddAgent();
        await x.CreatePod("instead");
        Assert.Equal("agent-1", (await x.Running("instead")).Spec.NodeName);

        x.StartAgent(0);
        await SocketCluster.Until(() => Task.FromResult(x.Agents[0].Tasks.All(y => y.State.IsTerminal())), "the copy that has come back is ended");
        Assert.Equal("Failed", (await x.Find("web"))!.Status.Phase);
        Assert.Equal(lost.Task!.Id, (await x.Find("web"))!.Task!.Id);
        Assert.Equal(TaskState.TaskRunning, Assert.Single(x.Agents[1].Tasks).State);
    });

    [Fact]
    public Task Updates_that_come_twice_are_stored_once() => SocketCluster.Run(async x =>
    {
        var updates = 0;
        x.Spy.Also = happened =>
        {
            if (happened.Type is not EventType.Update) return [];
            updates++;
            return [happened.Clone(), happened.Clone()];
        };
        await x.CreatePod("job", spec: ""","restartPolicy":"OnFailure" """);
        var before = await x.Running("job");
        x.Agents[0].Exit(before.Task!.Id, 3);
        await SocketCluster.Until(async () => await x.Find("job") is { IsReady: true } pod && pod.Status.ContainerStatuses[0].RestartCount == 1, "it has begun again");
        x.Agents[0].Exit((await x.Running("job")).Task!.Id, 0);
        await SocketCluster.Until(async () => await x.Find("job") is { Status.Phase: "Succeeded" }, "the end is stored");
        await SocketCluster.Until(() => Task.FromResult(x.Tasks.Count == 0), "the agent may forget both tasks: their ends are acknowledged");
        Assert.True(updates >= 6, $"{updates} updates");
        Assert.Equal((2, 1), (x.Placement.Counters["launches"], (await x.Find("job"))!.Status.ContainerStatuses[0].RestartCount));
    });

    /// <summary>As a process that was stopped for a while: to the others it is dead, and it does not know.</summary>
    [Fact]
    public Task A_placement_that_was_cut_off_is_replaced_and_does_no_harm_when_it_is_back()
    {
        CutApi? first = null;
        return SocketCluster.Run(async x =>
        {
            await x.CreatePod("old");
            var before = await x.Running("old");
            var (former, formerCounters) = (first!, x.Placement.Counters);
            former.Cut();
            x.StartSecondPlacement("second");
            await x.Counted("subscribed");
            await x.CreatePod("new");
            await x.Running("new");
            var launched = formerCounters["launches"];
            Assert.False(former.StandsBy);
            former.Join();
            await SocketCluster.Until(() => Task.FromResult(former.StandsBy), "its term has ended, and it has seen that another leads");
            await x.CreatePod("next");
            await x.Running("next");
            Assert.Equal((1, launched), (launched, formerCounters["launches"]));
            Assert.Equal(2, x.Placement.Counters["launches"]);
            Assert.Equal(before.Task!.Id, (await x.Running("old")).Task!.Id);
            Assert.Equal(3, x.Tasks.Count);
        }, wrap: api => first = new CutApi(api), agents: 2);
    }

    /// <summary>While it is cut nothing comes through, and nothing says so.</summary>
    private sealed class CutApi(IApi inner) : IApi
    {
        private volatile TaskCompletionSource? _cut;
        private volatile bool _standsBy;

        /// <summary>It has followed another's lease: nobody does before what was done under an own one has ended.</summary>
        public bool StandsBy => _standsBy;

        public void Cut() => _cut = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Join()
        {
            var cut = _cut;
            _cut = null;
            cut?.TrySetResult();
        }

        public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => Through(() => inner.Get(key, subresource, stop), stop);

        public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => Through(() => inner.List(request, stop), stop);

        public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop = default)
        {
            _standsBy |= request.Kind == Kind.Lease;
            await foreach (var change in inner.Watch(request, stop)) yield return await Through(() => Task.FromResult(change), stop);
        }

        public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => Through(() => inner.Create(key, json, options, stop), stop);

        public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => Through(() => inner.Update(key, json, options, stop), stop);

        public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => Through(() => inner.Patch(key, kind, patch, options, stop), stop);

        public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => Through(() => inner.Delete(key, options, stop), stop);

        private async Task<T> Through<T>(Func<Task<T>> call, CancellationToken stop)
        {
            if (_cut is { } cut) await cut.Task.WaitAsync(stop);
            return await call();
        }
    }
}
