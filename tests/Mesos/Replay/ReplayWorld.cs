using System.Net;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Mini.Runners;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>The cluster that the recordings were made on: a master and two agents that run processes, here under a clock that goes as fast as the machine works.</summary>
internal sealed class ReplayWorld : IAsyncDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("replay-").FullName;
    private readonly ProcessRunner pace = new(TimeProvider.System, useCgroups: false);
    private readonly List<ReplayAgent> agents = [];
    private readonly MasterOptions options;
    // A connection for each request, as the replayed ones have.
    private readonly HttpClient http = new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero });
    private MasterServer master = null!;
    private MasterServer health = null!;
    private SwitchedDoor door = null!;
    private Registry? registry;
    private int masters;

    public ReplayWorld(MasterOptions options) => this.options = options;

    public Clock Time { get; } = new();

    /// <summary>Which recorded port is which of ours.</summary>
    public Dictionary<int, int> Ports { get; } = [];

    /// <summary>By recorded port.</summary>
    public Dictionary<int, string> AgentIds { get; } = [];

    public MiniMaster Master => master.Master;

    /// <summary>The first is 1, as in recordings.</summary>
    public ReplayAgent Agent(int number) => agents[number - 1];

    public async Task Start()
    {
        // Of no cluster: it is there when the other one is down.
        health = await MasterServer.Start(new IPEndPoint(IPAddress.Loopback, 0), port => new MiniMaster(new() { Port = port }, TimeProvider.System, new Random(0)), CancellationToken.None);
        await StartMaster(port: 0);
        Ports[5050] = master.Port;
        door = new() { Master = Master };
        for (var i = 1; i <= 2; i++)
        {
            var agent = new ReplayAgent(Path.Combine(folder, $"a{i}"), i, Time, door);
            agents.Add(agent);
            await agent.Start();
            await Until(() => agent.Process.IsRegistered);
            Ports[5050 + i] = agent.Port;
            AgentIds[5050 + i] = agent.Process.Id!.Value;
        }
    }

    /// <summary>The master dies.</summary>
    public async Task StopMaster() => await master.DisposeAsync();

    /// <summary>Another master at the address of the one that died, with what that one had written.</summary>
    /// <param name="withAgents">False: they do not find it before <see cref="LetAgentsIn"/>.</param>
    public async Task StartMaster(bool withAgents)
    {
        await StartMaster(Ports[5050]);
        if (withAgents)
            await LetAgentsIn();
    }

    public Task LetAgentsIn()
    {
        door.Master = Master;
        return Task.CompletedTask;
    }

    /// <summary>kill -9 of the processes of an executor's last run: of what looks after them, or of the tasks themselves.</summary>
    public async Task Kill(string executor, bool keeper)
    {
        foreach (var process in RunOf(executor).Tasks.Where(task => !task.IsTerminal).Select(task => task.Process!))
        {
            int? pid = null;
            await Until(() => (pid = keeper ? process.KeeperPid : process.Pid) is not null, processes: true);
            Posix.Kill(pid!.Value, Posix.SigKill);
        }
    }

    internal ExecutorRun RunOf(string executor) => agents.SelectMany(agent => agent.Process.Runs).Last(run => run.ExecutorId.Value == executor);

    private async Task StartMaster(int port) =>
        master = await MasterServer.Start(
            new IPEndPoint(IPAddress.Loopback, port),
            bound => new MiniMaster(options with { Port = bound }, Time, new Random(++masters), registry, saved => registry = saved),
            CancellationToken.None
        );

    /// <summary>
    /// Waits until it is so; false when much was done meanwhile and it still is not. What paces the wait is work of the kind that it waits for:
    /// on a loaded machine it takes longer, as that does. Wall time would run ahead of it.
    /// </summary>
    /// <param name="processes">It depends on processes of the agents.</param>
    /// <param name="rounds">Of work, in all.</param>
    /// <param name="held">So many rounds the clock stands; then it runs with the rounds.</param>
    /// <param name="step">Seconds by which the clock then advances each round.</param>
    public async Task<bool> Until(Func<bool> condition, bool processes = false, int rounds = 1000, int held = 40, double step = 0.05)
    {
        for (var round = 0; !condition(); round++)
        {
            if (round > rounds)
                return false;
            if (round >= held)
                Time.Advance(TimeSpan.FromSeconds(step));
            await (processes ? Work() : Talk());
        }

        return true;
    }

    /// <summary>Lets recorded time pass.</summary>
    public async Task Pass(double seconds)
    {
        const double step = 0.25;
        for (var left = seconds; left > 0; left -= step)
        {
            Time.Advance(TimeSpan.FromSeconds(Math.Min(left, step)));
            await Talk();
        }
    }

    /// <summary>Processes that start, end and are heard of.</summary>
    public int Worked { get; private set; }

    /// <summary>Requests that are answered.</summary>
    public int Talked { get; private set; }

    private Task Work()
    {
        Worked++;
        return pace.Run("/bin/true", ["true"], [], "/", TimeSpan.FromHours(1), mountsOf: null, CancellationToken.None);
    }

    private async Task Talk()
    {
        Talked++;
        using var answer = await http.GetAsync(new Uri($"http://127.0.0.1:{health.Port}/health"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var agent in agents)
            await agent.DisposeAsync();
        await master.DisposeAsync();
        await health.DisposeAsync();
        http.Dispose();
        pace.Dispose();
        Directory.Delete(folder, recursive: true);
    }
}
