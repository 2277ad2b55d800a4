using System.Net;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>
/// Placement and an embedded master that speak over real sockets, in real time: the master may end and come back on its port, agents may be
/// away, and Placement may be replaced by another.
/// </summary>
internal sealed class SocketCluster : IMasterDoor, IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];
    private readonly List<CancellationTokenSource> _agentStops = [];
    private readonly HttpClient _http = new();
    private Declarative.ApiServer.ApiServer _server = null!;
    private Registry? _registry;
    private MasterServer _master = null!;
    private CancellationTokenSource _term = new();
    private Task _placement = Task.CompletedTask;
    private readonly List<HttpMaster> _clients = [];
    private HttpMaster? _client;
    private int _port;

    public IApi Api { get; private set; } = null!;
    public List<EmulatedAgent> Agents { get; } = [];
    public PlacementController Placement { get; private set; } = null!;

    /// <summary>What goes between Placement and the socket.</summary>
    public SpyMaster Spy { get; private set; } = null!;

    public static async Task Run(Func<SocketCluster, Task> scenario, int agents = 1, Func<IApi, IApi>? wrap = null)
    {
        await using var cluster = new SocketCluster();
        cluster._server = await Declarative.ApiServer.ApiServer.Open(new MemoryJournal(), new ApiServerOptions(), TimeProvider.System, new Random(1), cluster._stop.Token);
        cluster._running.Add(cluster._server.Run(cluster._stop.Token));
        await cluster._server.Bootstrap(cluster._stop.Token);
        cluster.Api = cluster._server.As(User.Admin);
        await cluster.StartMaster();
        for (var i = 0; i < agents; i++) cluster.AddAgent();
        cluster.StartPlacement("first", wrap);
        await Until(() => Task.FromResult(cluster.Placement.Counters["subscribed"] > 0), "Placement has subscribed");
        await scenario(cluster);
    }

    Task<IAgentConnection> IMasterDoor.Connect(CancellationToken stop) => _master.Master.Connect(stop);

    /// <summary>Of two cpus and as many gigabytes; unreachable to the master after half a second of silence.</summary>
    public EmulatedAgent AddAgent()
    {
        var index = Agents.Count;
        Agents.Add(new(new() { Hostname = $"agent-{index}", Port = 5051 + index, Cpus = 2, Mem = 2048, ReconnectDelay = TimeSpan.FromMilliseconds(50) }, this, TimeProvider.System, new Random(index)));
        _agentStops.Add(null!);
        StartAgent(index);
        return Agents[index];
    }

    public void StartAgent(int index)
    {
        _agentStops[index] = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        _running.Add(Agents[index].Run(_agentStops[index].Token));
    }

    public void StopAgent(int index)
    {
        _agentStops[index].Cancel();
        Agents[index].Disconnect();
    }

    public async Task StartMaster()
    {
        _master = await MasterServer.Start(new(IPAddress.Loopback, _port), port => new MiniMaster(
            new() { Port = port, AgentPingTimeout = TimeSpan.FromMilliseconds(100), AllocationInterval = TimeSpan.FromMilliseconds(100) }, TimeProvider.System, new Random(2), _registry, saved => _registry = saved.Clone()), _stop.Token);
        _port = _master.Port;
    }

    public ValueTask StopMaster() => _master.DisposeAsync();

    public void StartPlacement(string identity, Func<IApi, IApi>? wrap = null)
    {
        _term = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        _client = new(new() { Masters = new MasterList($"http://127.0.0.1:{_port}") }, TimeProvider.System);
        Spy = new(_client);
        var feed = new AgentFeed();
        var api = _server.As(User.Placement);
        Placement = new(new() { Identity = identity, Lease = new() { LeaseDurationSeconds = 1, RenewDeadlineSeconds = 0.6, RetrySeconds = 0.2 } }, feed);
        _placement = Task.WhenAll(
            Placement.Run(wrap?.Invoke(api) ?? api, Spy, TimeProvider.System, new Random(3), _term.Token),
            new NodesController(feed).Run(api, TimeProvider.System, new Random(4), _term.Token));
    }

    /// <summary>Another process of Placement beside the first, which goes on; what is counted from now on is the second's.</summary>
    public void StartSecondPlacement(string identity)
    {
        var (first, client) = (_placement, _client!);
        StartPlacement(identity);
        _placement = Task.WhenAll(_placement, first);
        _clients.Add(client);
    }

    /// <summary>The controller that keeps disruption budgets.</summary>
    public void StartDisruption() => _running.Add(Declarative.Controllers.Disruption.DisruptionController.Run(
        _server.As(User.Controllers), TimeProvider.System, new Random(5), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance, _stop.Token));

    public async Task StopPlacement()
    {
        _term.Cancel();
        await _placement;
        _client!.Dispose();
    }

    /// <summary>A call of the operator API.</summary>
    public async Task Operate(string json)
    {
        using var body = new ByteArrayContent(Encoding.UTF8.GetBytes(json)) { Headers = { ContentType = new("application/json") } };
        using var answer = await _http.PostAsync(new Uri($"http://127.0.0.1:{_port}/api/v1"), body, TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    public Task<Stored> CreatePod(string name, string cpu = "1", string metadata = "", string spec = "") => Api.Create(ResourceKey.Of(Kind.Pod, "default", name), Encoding.UTF8.GetBytes(
        $$$"""
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}"{{{metadata}}} },
         "spec":{"containers":[{"name":"main","command":["sleep","1000"],"ports":[{"containerPort":80}],"resources":{"requests":{"cpu":"{{{cpu}}}","memory":"64Mi"} } }]{{{spec}}} } }
        """));

    public async Task<Pod?> Find(string name)
    {
        try
        {
            return Pod.Read((await Api.Get(ResourceKey.Of(Kind.Pod, "default", name))).Json);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return null;
        }
    }

    public async Task<Pod> Running(string name)
    {
        await Until(async () => await Find(name) is { Status.Phase: "Running", IsReady: true }, $"{name} runs");
        return (await Find(name))!;
    }

    public Task Change(Kind kind, string ns, string name, string patch) => Api.Patch(ResourceKey.Of(kind, ns, name), PatchKind.Merge, Encoding.UTF8.GetBytes(patch));

    /// <summary>Tasks that have been launched on all agents and are remembered there, ended or not.</summary>
    public IReadOnlyList<(string Id, Declarative.Mesos.Protocol.TaskState State)> Tasks => [.. Agents.SelectMany(x => x.Tasks)];

    public static async Task Until(Func<Task<bool>> condition, string what)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await condition())
        {
            if (patience.IsCancellationRequested) throw new TimeoutException($"it never came to this: {what}");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    public Task Counted(string what, long atLeast = 1) => Until(() => Task.FromResult(Placement.Counters[what] >= atLeast), $"{what} {atLeast}");

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _placement;
        _client?.Dispose();
        foreach (var client in _clients) client.Dispose();
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
        foreach (var agent in Agents) agent.Dispose();
        if (_master is not null) await _master.DisposeAsync();
        _http.Dispose();
    }
}
