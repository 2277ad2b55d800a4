using System.Net;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Master;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>The cluster that the recordings were made on: a master and two agents that run processes, here under a clock that runs ahead.</summary>
internal sealed class ReplayWorld : IAsyncDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("replay-").FullName;
    private readonly CancellationTokenSource stop = new();
    private readonly List<Task> runs = [];
    private readonly List<AgentServer> doors = [];
    private readonly List<ProcessAgent> agents = [];
    private MasterServer master = null!;

    public Clock Time { get; } = new();

    /// <summary>Which recorded port is which of ours.</summary>
    public Dictionary<int, int> Ports { get; } = [];

    /// <summary>By recorded port.</summary>
    public Dictionary<int, string> AgentIds { get; } = [];

    public string WorkDirectory(int agent) => Path.Combine(folder, $"a{agent}");

    public MiniMaster Master => master.Master;

    public async Task Start()
    {
        master = await MasterServer.Start(
            new IPEndPoint(IPAddress.Loopback, 0),
            port => new MiniMaster(new MasterOptions { Port = port }, Time, new Random(1)),
            CancellationToken.None
        );
        Ports[5050] = master.Port;
        for (var i = 1; i <= 2; i++)
        {
            var options = new AgentOptions
            {
                WorkDirectory = WorkDirectory(i),
                Hostname = "127.0.0.1",
                Port = FreePort(),
                Cpus = 8,
                MemoryMegabytes = 8192,
                DiskMegabytes = 10240,
                Ports = (30000 + (i * 1000), 30999 + (i * 1000)),
                Attributes = [("rack", $"r{i}"), ("idx", $"{i}")],
            };
            Directory.CreateDirectory(options.WorkDirectory);
            var agent = new ProcessAgent(options, Time, new Random(10 + i));
            agents.Add(agent);
            doors.Add(await AgentServer.Start(agent, new IPEndPoint(IPAddress.Loopback, options.Port), CancellationToken.None));
            runs.Add(agent.Run(Master, stop.Token));
            await Until(() => agent.IsRegistered);
            Ports[5050 + i] = options.Port;
            AgentIds[5050 + i] = agent.Id!.Value;
        }
    }

    /// <summary>Waits until it is so; false after some real seconds.</summary>
    /// <param name="realSeconds">In all.</param>
    /// <param name="heldSeconds">So long processes get real time while the clock stands; after it the clock runs ahead of the world.</param>
    /// <param name="step">Seconds by which the clock then advances each millisecond.</param>
    public async Task<bool> Until(Func<bool> condition, double realSeconds = 4, double heldSeconds = 0, double step = 0.05)
    {
        var begin = DateTime.UtcNow;
        while (!condition())
        {
            var waited = DateTime.UtcNow - begin;
            if (waited.TotalSeconds > realSeconds)
                return false;
            if (waited.TotalSeconds >= heldSeconds)
                Time.Advance(TimeSpan.FromSeconds(step));
            await Task.Delay(1);
        }

        return true;
    }

    /// <summary>Lets recorded time pass.</summary>
    public async Task Pass(double seconds)
    {
        for (var left = Math.Min(seconds, 30); left > 0; left -= 0.2)
        {
            Time.Advance(TimeSpan.FromSeconds(Math.Min(left, 0.2)));
            await Task.Delay(1);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await Task.WhenAll(runs);
        foreach (var door in doors)
            await door.DisposeAsync();
        await master.DisposeAsync();
        foreach (var agent in agents)
            await ProcessAgent.EndTasks(agent.Options, TimeProvider.System, new Random(1), CancellationToken.None);
        stop.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private static int FreePort()
    {
        using var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
