using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using Declarative.Sim;
using Event = Declarative.Mesos.Protocol.SchedulerApi.Event;

namespace Declarative.Tests.Placement;

/// <summary>An API server, an embedded master, emulated agents and Placement in one simulated world.</summary>
internal sealed class Cluster : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];
    private readonly ApiServerHandle _server;
    private readonly List<CancellationTokenSource?> _agentStops = [];
    private CancellationTokenSource _placementStop = new();
    private Task _placement = Task.CompletedTask;

    private sealed record ApiServerHandle(Declarative.ApiServer.ApiServer Server);

    private Cluster(World world, Declarative.ApiServer.ApiServer server)
    {
        World = world;
        _server = new(server);
        Api = server.As(User.Admin);
        Master = new(new MasterOptions(), world.Time, new Random(world.Random.Next()));
        Spy = new(Master.Client());
    }

    public World World { get; }
    public IApi Api { get; }
    public MiniMaster Master { get; }
    public SpyMaster Spy { get; private set; }
    public List<EmulatedAgent> Agents { get; } = [];
    public AgentFeed Feed { get; private set; } = new();
    public PlacementController Placement { get; private set; } = null!;
    public PlacementOptions Options { get; init; } = new();

    /// <summary>Runs a scenario against a cluster in a world of its own.</summary>
    public static void Run(Func<Cluster, Task> scenario, int agents = 1, int seed = 1, EmulatedAgentOptions? agent = null, Func<IApi, IApi>? wrap = null, PlacementOptions? options = null)
    {
        var world = new World(seed);
        world.Run(async () =>
        {
            var server = await Declarative.ApiServer.ApiServer.Open(new MemoryJournal(), new ApiServerOptions(), world.Time, new Random(world.Random.Next()), CancellationToken.None);
            using var cluster = new Cluster(world, server) { Options = options ?? new() };
            cluster._running.Add(server.Run(cluster._stop.Token));
            await server.Bootstrap(cluster._stop.Token);
            for (var i = 0; i < agents; i++) cluster.AddAgent((agent ?? new() { Hostname = "" }) with { Hostname = $"agent-{i}", Port = 5051 + i });
            cluster.StartPlacement(wrap);
            try
            {
                await scenario(cluster);
            }
            finally
            {
                await cluster.Stop();
            }
        });
    }

    public EmulatedAgent AddAgent(EmulatedAgentOptions options)
    {
        var agent = new EmulatedAgent(options, Master, World.Time, new Random(World.Random.Next()));
        Agents.Add(agent);
        _agentStops.Add(null);
        RestartAgent(Agents.Count - 1);
        return agent;
    }

    public void StopAgent(int index)
    {
        _agentStops[index]!.Cancel();
        Agents[index].Disconnect();
    }

    /// <summary>An operator marks the agent gone, and the operator API tells so.</summary>
    public void Gone(string agentId)
    {
        Master.Operate(desk => desk.MarkGone(new() { Value = agentId }));
        Feed.Known(Feed.Find(agentId)! with { Presence = AgentPresence.Gone });
    }

    public void RestartAgent(int index)
    {
        var stop = _agentStops[index] = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        _running.Add(Agents[index].Run(stop.Token));
    }

    public Task<Stored> CloseByTaint(string node) => Api.Patch(ResourceKey.Of(Kind.Node, "", node), PatchKind.Merge,
        Encoding.UTF8.GetBytes("""{"spec":{"taints":[{"key":"full","effect":"NoSchedule"}]}}"""));

    public Task<Stored> LabelNode(string node, string key, string value) => Api.Patch(ResourceKey.Of(Kind.Node, "", node), PatchKind.Merge,
        Encoding.UTF8.GetBytes($$$"""{"metadata":{"labels":{"{{{key}}}":"{{{value}}}"} } }"""));

    public void StartPlacement(Func<IApi, IApi>? wrap = null)
    {
        _placementStop = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        var api = _server.Server.As(User.Placement);
        Feed = new();
        Spy = new(Master.Client()) { Log = Spy.Log, Refuse = Spy.Refuse };
        Placement = new(Options, Feed);
        _placement = Task.WhenAll(
            Placement.Run(wrap?.Invoke(api) ?? api, Spy, World.Time, new Random(World.Random.Next()), _placementStop.Token),
            new NodesController(Feed).Run(api, World.Time, new Random(World.Random.Next()), _placementStop.Token));
    }

    /// <summary>The controller of claims and volumes.</summary>
    public void StartVolumes() => _running.Add(Declarative.Controllers.Volumes.VolumeController.Run(
        _server.Server.As(User.Controllers), World.Time, new Random(World.Random.Next()), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance, _stop.Token));

    /// <summary>As kill -9: what was on its way is never answered to anyone.</summary>
    public async Task KillPlacement()
    {
        _placementStop.Cancel();
        await _placement;
    }

    public async Task<Stored> Create(string json)
    {
        var node = JsonNode.Parse(json)!;
        var kind = Kind.FindByName(node["apiVersion"]!.GetValue<string>(), node["kind"]!.GetValue<string>())!;
        var ns = node["metadata"]!["namespace"]?.GetValue<string>() ?? "default";
        return await Api.Create(ResourceKey.Of(kind, ns, node["metadata"]!["name"]!.GetValue<string>()), Encoding.UTF8.GetBytes(json));
    }

    /// <summary>A pod of one process.</summary>
    public Task<Stored> CreatePod(string name, string container = "", string spec = "", string metadata = "") => Create($$$"""
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}","namespace":"default"{{{metadata}}}},
         "spec":{"containers":[{"name":"web","command":["sleep","1000"]{{{container}}} }]{{{spec}}} } }
        """);

    public async Task<Pod> GetPod(string name) => Pod.Read((await Api.Get(ResourceKey.Of(Kind.Pod, "default", name))).Json);

    public async Task<bool> Exists(string name)
    {
        try
        {
            await GetPod(name);
            return true;
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return false;
        }
    }

    public async Task<Pod> WaitPod(string name, Func<Pod, bool> condition, int seconds = 30)
    {
        Pod? pod = null;
        for (var end = World.Elapsed + TimeSpan.FromSeconds(seconds); World.Elapsed < end; await Sleep(0.01))
        {
            pod = await GetPod(name);
            if (condition(pod)) return pod;
        }
        throw new Xunit.Sdk.XunitException($"pod {name} did not come to that within {seconds} s: {pod?.Status} {string.Join(" | ", pod?.Status.Conditions ?? [])} {string.Join(" | ", pod?.Status.ContainerStatuses ?? [])}\n{string.Join('\n', Spy.Log.TakeLast(30))}");
    }

    public Task<Pod> WaitRunning(string name, int attempt = 0) =>
        WaitPod(name, x => x.Status.Phase == "Running" && x.IsReady && x.Status.ContainerStatuses[0].RestartCount == attempt);

    public async Task WaitUntil(Func<Task<bool>> condition, string what, int seconds = 30)
    {
        for (var end = World.Elapsed + TimeSpan.FromSeconds(seconds); World.Elapsed < end; await Sleep(0.01))
        {
            if (await condition()) return;
        }
        throw new Xunit.Sdk.XunitException($"not within {seconds} s: {what}\n{string.Join('\n', Spy.Log.TakeLast(30))}");
    }

    public Task Sleep(double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds), World.Time);

    /// <summary>Live tasks of a pod on all agents.</summary>
    public int LiveTasks(string uid) => Agents.Sum(x => x.Tasks.Count(y => y.Id.StartsWith(uid, StringComparison.Ordinal) && !y.State.IsTerminal()));

    public void Dispose() => _stop.Dispose();

    private async Task Stop()
    {
        _stop.Cancel();
        await _placement;
        Master.Dispose();
        foreach (var task in _running)
        {
            try
            {
                await task;
            }
            catch (OperationCanceledException)
            {
                continue;
            }
        }
    }
}

/// <summary>Notes every call, and may be told to lose them.</summary>
internal sealed class SpyMaster(IMaster inner) : IMaster
{
    public List<string> Log { get; init; } = [];
    public Func<Call, bool> Lose { get; set; } = static _ => false;

    /// <summary>What a master says against a framework, by its roles and constraints; null = nothing.</summary>
    public Func<FrameworkInfo, OfferConstraints?, string?> Refuse { get; set; } = static (_, _) => null;
    public Action<Call> Before { get; set; } = static _ => { };
    public Func<Event, bool> Drop { get; set; } = static _ => false;

    /// <summary>Events that a test lets follow another.</summary>
    public Func<Event, IEnumerable<Event>> Also { get; set; } = static _ => [];

    public async IAsyncEnumerable<Event> Subscribe(Call.Types.Subscribe subscribe, FrameworkID? id, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken stop)
    {
        Log.Add($"SUBSCRIBE {id?.Value} suppressed={string.Join(',', subscribe.SuppressedRoles)}");
        if (Refuse(subscribe.FrameworkInfo, null) is { } why) throw new CallRefused(403, why);
        await foreach (var happened in inner.Subscribe(subscribe, id, stop))
        {
            if (Drop(happened)) continue;
            if (happened.Type is Event.Types.Type.Update) Log.Add($"UPDATE {happened.Update.Status.TaskId.Value} {happened.Update.Status.State}");
            else Log.Add(happened.Type.ToString().ToUpperInvariant());
            yield return happened;
            foreach (var more in Also(happened)) yield return more;
        }
    }

    public Task Call(Call call, CancellationToken stop)
    {
        Before(call);
        Log.Add(call.Type switch
        {
            Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type.Kill => $"KILL {call.Kill.TaskId.Value} {call.Kill.KillPolicy.GracePeriod.Nanoseconds / 1e9:0.###}",
            Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type.Accept => $"ACCEPT {string.Join(',', call.Accept.Operations.SelectMany(x => x.Launch?.TaskInfos.Select(y => y.TaskId.Value) ?? x.LaunchGroup?.TaskGroup.Tasks.Select(y => y.TaskId.Value) ?? [x.Type.ToString().ToUpperInvariant()]))}",
            Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type.Acknowledge => $"ACKNOWLEDGE {call.Acknowledge.TaskId.Value}",
            _ => call.Type.ToString().ToUpperInvariant(),
        });
        if (call.UpdateFramework is { } update && Refuse(update.FrameworkInfo, update.OfferConstraints) is { } why) return Task.FromException(new CallRefused(403, why));
        if (Lose(call)) return Task.FromException(new MasterUnavailable("lost by the test"));
        return inner.Call(call, stop);
    }
}
