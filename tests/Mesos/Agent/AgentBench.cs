using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Xunit;

namespace Declarative.Tests.Mesos.Agent;

/// <summary>An agent with a work directory of its own, and its master. At the end every process that it started is gone.</summary>
internal sealed class AgentBench : IAsyncDisposable
{
    private readonly string folder;
    private readonly bool ownsFolder;
    private CancellationTokenSource stop = new();
    private Task running = Task.CompletedTask;

    public AgentBench(string? folder = null, TimeSpan? sandboxAge = null, int port = 5051, ExecutorTimes? times = null, byte[]? executorKey = null)
    {
        ownsFolder = folder is null;
        this.folder = folder ?? Directory.CreateTempSubdirectory("agent-").FullName;
        Options = new()
        {
            WorkDirectory = this.folder,
            Hostname = "agent-0",
            Port = port,
            Cpus = 2,
            MemoryMegabytes = 1024,
            DiskMegabytes = 1024,
            Ports = (31000, 31099),
            Executors = times ?? new(),
            ExecutorKey = executorKey,
            SandboxAge = sandboxAge ?? TimeSpan.FromDays(1),
        };
    }

    public AgentOptions Options { get; init; }
    public TestMaster Master { get; } = new();
    public ProcessAgent Agent { get; private set; } = null!;

    public async Task Start()
    {
        stop = new();
        Agent = new ProcessAgent(Options, TimeProvider.System, new Random(1));
        running = Agent.Run(Master, stop.Token);
        await TestMaster.Until(() => Agent.IsRegistered);
    }

    /// <summary>An orderly stop.</summary>
    public async Task Stop()
    {
        await stop.CancelAsync();
        await running.WaitAsync(TimeSpan.FromMinutes(1), CancellationToken.None);
        stop.Dispose();
    }

    public static TaskInfo Shell(string id, string script) =>
        new()
        {
            Name = id,
            TaskId = new() { Value = id },
            AgentId = new() { Value = "S-1" },
            Resources = { Scalar("cpus", 0.1), Scalar("mem", 32) },
            Command = new() { Value = script },
        };

    public static Resource Scalar(string name, double value) =>
        new() { Name = name, Type = Value.Types.Type.Scalar, Scalar = new() { Value = value } };

    public string Sandbox(string task) =>
        Path.Combine(folder, "slaves", "S-1", "frameworks", "F-1", "executors", task, "runs", "latest");

    public string Stdout(string task) => File.ReadAllText(Path.Combine(Sandbox(task), "stdout"));

    /// <summary>The pid of the task's own process, which its keeper starts a moment after the task is said to run.</summary>
    public int Pid(string task)
    {
        var process = Agent.Runs.SelectMany(run => run.Tasks).Last(known => known.Id == task).Process!;
        int? pid = null;
        Assert.True(SpinWait.SpinUntil(() => (pid = process.Pid) is not null, TimeSpan.FromSeconds(10)));
        return pid!.Value;
    }

    public static bool IsAlive(int pid) => ProcessStat.Read(pid) is { State: not 'Z' };

    public async ValueTask DisposeAsync()
    {
        if (!running.IsCompleted)
            await Stop();
        await ProcessAgent.EndTasks(Options, TimeProvider.System, new Random(2), CancellationToken.None);
        if (ownsFolder)
            Directory.Delete(folder, recursive: true);
    }
}
