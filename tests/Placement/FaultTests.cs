using System.Runtime.CompilerServices;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>Placement under faults of everything around it, many seeds: never two live tasks of a pod, and in the end all is well.</summary>
public class FaultTests
{
    [Fact]
    public void Pods_converge_and_never_have_two_live_tasks()
    {
        for (var seed = 1; seed <= Seeds; seed++) Run(seed);
    }

    private static int Seeds => int.TryParse(System.Environment.GetEnvironmentVariable("PLACEMENT_SEEDS"), out var n) ? n : 40;

    private static void Run(int seed)
    {
        var chance = new Random(seed);
        var faults = true;
        try
        {
            Cluster.Run(async x =>
            {
                // ReSharper disable once AccessToModifiedClosure
                x.Spy.Lose = _ => faults && chance.Next(40) == 0;
                x.Spy.Drop = y => faults && y.Type is Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type.Update && chance.Next(20) == 0;
                var names = Enumerable.Range(0, 12).Select(i => $"web-{i}").ToList();
                foreach (var name in names) await x.CreatePod(name, ""","ports":[{"containerPort":80}]""");
                for (var step = 0; step < 60; step++)
                {
                    await x.Sleep(chance.NextDouble() * 3);
                    NoTwins(x);
                    var agent = x.Agents[chance.Next(x.Agents.Count)];
                    switch (chance.Next(9))
                    {
                        case 0:
                            agent.Disconnect();
                            break;
                        case 1 when agent.Tasks.Any(y => !y.State.IsTerminal()):
                            agent.Exit(agent.Tasks.First(y => !y.State.IsTerminal()).Id, chance.Next(2) * 9);
                            break;
                        case 2:
                            agent.LoseTasks();
                            break;
                        case 3:
                            await x.KillPlacement();
                            await x.Sleep(chance.NextDouble());
                            x.StartPlacement(y => new FaultyApi(y, chance, () => faults));
                            x.Spy.Lose = _ => faults && chance.Next(40) == 0;
                            break;
                        case 4:
                        {
                            var name = names[chance.Next(names.Count)];
                            await Delete(x, name, chance.Next(3) == 0 ? 0 : null);
                            break;
                        }
                        case 5:
                            foreach (var name in names)
                            {
                                if (!await x.Exists(name)) await x.CreatePod(name, ""","ports":[{"containerPort":80}]""");
                            }
                            break;
                        case 6 when step % 3 == 0:
                            agent.Forget();
                            break;
                    }
                }
                faults = false;
                foreach (var name in names) await Delete(x, name, null);
                foreach (var name in names) await x.WaitUntil(async () => !await x.Exists(name), $"{name} removed", seconds: 700);
                await x.WaitUntil(() => Task.FromResult(x.Agents.All(y => y.Tasks.All(z => z.State.IsTerminal()))), $"no task is left: {string.Join(' ', x.Agents.SelectMany(y => y.Tasks).Where(z => !z.State.IsTerminal()))}", seconds: 700);
                foreach (var name in names) await x.CreatePod(name);
                foreach (var name in names) await x.WaitRunning(name);
                NoTwins(x);
            }, agents: 3, seed: seed, wrap: y => new FaultyApi(y, chance, () => faults));
        }
        catch (Exception e)
        {
            throw new Xunit.Sdk.XunitException($"seed {seed}: {e.Message}", e);
        }
    }

    private static async Task Delete(Cluster x, string name, long? grace)
    {
        try
        {
            await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", name), new() { GracePeriodSeconds = grace });
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return;
        }
    }

    private static void NoTwins(Cluster x)
    {
        var twins = x.Agents.SelectMany(y => y.Tasks).Where(y => !y.State.IsTerminal()).GroupBy(y => y.Id.Split('.')[0]).Where(y => y.Count() > 1).ToList();
        if (twins.Count > 0) throw new Xunit.Sdk.XunitException($"two live tasks: {string.Join(' ', twins.SelectMany(y => y))}\n{string.Join('\n', x.Spy.Log.TakeLast(60))}");
    }
}

/// <summary>Refuses, loses before, and loses after the write.</summary>
internal sealed class FaultyApi(IApi inner, Random chance, Func<bool> faults) : IApi
{
    public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => Faulty(() => inner.Get(key, subresource, stop));

    public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => Faulty(() => inner.List(request, stop));

    public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop = default)
    {
        await foreach (var change in inner.Watch(request, stop))
        {
            if (faults() && chance.Next(100) == 0) throw new IOException("watch cut by the test");
            yield return change;
        }
    }

    public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => Faulty(() => inner.Create(key, json, options, stop));

    public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => Faulty(() => inner.Update(key, json, options, stop));

    public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => Faulty(() => inner.Patch(key, kind, patch, options, stop));

    public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => Faulty(() => inner.Delete(key, options, stop));

    private async Task<T> Faulty<T>(Func<Task<T>> call)
    {
        var fault = faults() ? chance.Next(100) : 100;
        if (fault == 0) throw Declarative.Api.Objects.Status.Unavailable("injected before");
        if (fault == 1) throw new IOException("connection cut before");
        var result = await call();
        if (fault == 2) throw new IOException("connection cut after");
        if (fault == 3) throw Declarative.Api.Objects.Status.Timeout("answer lost");
        return result;
    }
}
