using System.Net;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Link;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>One of the recorded agents: it can die and come back with its work directory, as those did.</summary>
internal sealed class ReplayAgent : IAsyncDisposable
{
    private readonly Clock time;
    private readonly IMasterDoor master;
    private readonly int number;
    private CancellationTokenSource stop = new();
    private Task run = Task.CompletedTask;
    private AgentServer? door;

    /// <param name="path">Where its tasks find programs.</param>
    public ReplayAgent(string workDirectory, int number, Clock time, IMasterDoor master, string path)
    {
        this.number = number;
        this.time = time;
        this.master = master;
        Options = new AgentOptions
        {
            WorkDirectory = Directory.CreateDirectory(workDirectory).FullName,
            Hostname = "127.0.0.1",
            Port = FreePort(),
            Cpus = 8,
            MemoryMegabytes = 8192,
            DiskMegabytes = 10240,
            Ports = (20000 + (number * 1000), 20999 + (number * 1000)),
            Attributes = [("rack", $"r{number}"), ("idx", $"{number}")],
            TaskEnvironment = [("PATH", path)],
        };
    }

    public AgentOptions Options { get; }
    public int Port => Options.Port;
    public ProcessAgent Process { get; private set; } = null!;

    public async Task Start()
    {
        stop = new();
        Process = new ProcessAgent(Options, time, new Random(10 + number));
        door = await AgentServer.Start(Process, new IPEndPoint(IPAddress.Loopback, Port), CancellationToken.None);
        run = Process.Run(master, stop.Token);
    }

    /// <summary>Tasks and executors go on.</summary>
    public async Task Stop()
    {
        if (door is null)
            return;
        await stop.CancelAsync();
        await run;
        await door.DisposeAsync();
        door = null;
        stop.Dispose();
    }

    public async Task Restart()
    {
        await Stop();
        await Start();
    }

    /// <summary>Leaves for good, with all its tasks killed.</summary>
    public async Task Unregister()
    {
        await Stop();
        var connection = await master.Connect(CancellationToken.None);
        connection.Send(new ToMaster { Reregister = new() { Agent = Process.Describe(), Version = Options.Version } });
        connection.Send(new ToMaster { Unregister = new() });
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        await ProcessAgent.EndTasks(Options, time, new Random(1), CancellationToken.None);
    }

    private static int FreePort()
    {
        using var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
