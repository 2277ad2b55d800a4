using System.Net;
using System.Text;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Mini.Runners;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>
/// The cluster that the recordings were made on: a master and two agents that run processes, under a clock of its own. The clock goes where a
/// recording goes on, and while something is waited for that only time brings; processes that sleep, sleep by it.
/// </summary>
internal sealed class ReplayWorld : IAsyncDisposable
{
    // What is waited for is mostly there within a round or a few; then the clock goes on by a step for each, later by a longer one.
    private static readonly TimeSpan Round = TimeSpan.FromMilliseconds(10);
    private const double FirstStepSeconds = 0.1;
    private const double StepSeconds = 0.25;
    private const int FirstSteps = 10;

    // What depends on processes is waited for by rounds of the same work: a process that starts and ends. On a loaded machine they take longer, as
    // that does; wall time would run ahead of it.
    private const int RoundsOfProcesses = 4;

    // Checks of tasks have their results within so many looks at which no process had anything to do; else they run into their timeouts, as they should.
    private const int LooksAtChecks = 300;

    // No task of a recording works for so long.
    private static readonly TimeSpan BusyMax = TimeSpan.FromMinutes(2);

    private readonly string folder = Directory.CreateTempSubdirectory("replay-").FullName;
    private readonly List<ReplayAgent> agents = [];
    private readonly MasterOptions options;
    private readonly SemaphoreSlim arrived = new(0);
    private readonly ProcessRunner pace = new(TimeProvider.System, useCgroups: false);
    private readonly FileStream clock;
    private readonly DateTimeOffset begin;
    private readonly string path;
    private MasterServer master = null!;
    private SwitchedDoor door = null!;
    private Registry? registry;
    private int masters;

    public ReplayWorld(MasterOptions options)
    {
        this.options = options;
        begin = Time.GetUtcNow();
        clock = new(Path.Combine(folder, "clock"), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
        Show();
        var bin = Directory.CreateDirectory(Path.Combine(folder, "bin")).FullName;
        var sleep = Path.Combine(bin, "sleep");
        File.WriteAllText(sleep, Sleep.Replace("CLOCK", clock.Name, StringComparison.Ordinal));
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(sleep, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        File.WriteAllText(FileToFetch, "fetched\n");
        path = $"{bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    }

    // By milliseconds of the clock's file; who sleeps for minutes is to be killed and does not look.
    private const string Sleep = """
        #!/bin/sh
        case "$1" in [0-9][0-9]*) exec /bin/sleep "$1" ;; esac
        whole=${1%.*}; part=0
        case "$1" in *.*) part=${1#*.} ;; esac
        read -r now < CLOCK
        due=$((now + whole * 1000 + part * 100))
        while read -r now < CLOCK && [ "$now" -lt "$due" ]; do /bin/sleep 0.01; done

        """;

    /// <summary>A file of the machine that a task fetches.</summary>
    public string FileToFetch => Path.Combine(folder, "fetch-me.txt");

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
        await StartMaster(port: 0);
        Ports[5050] = master.Port;
        door = new() { Master = Master };
        for (var i = 1; i <= 2; i++)
        {
            var agent = new ReplayAgent(Path.Combine(folder, $"a{i}"), i, Time, door, path);
            agents.Add(agent);
            await agent.Start();
            Assert(await Until(() => agent.Process.IsRegistered), "an agent registers");
            Ports[5050 + i] = agent.Port;
            AgentIds[5050 + i] = agent.Process.Id!.Value;
        }
    }

    /// <summary>Tells that something has come, so that who waits looks again.</summary>
    public void Arrived() => arrived.Release();

    /// <summary>The master dies.</summary>
    public async Task StopMaster() => await master.DisposeAsync();

    /// <summary>Another master at the address of the one that died, with what that one had written; agents do not find it before <see cref="LetAgentsIn"/>.</summary>
    public Task StartMaster() => StartMaster(Ports[5050]);

    /// <summary>A master that stood by leads from now on: at an address of its own, with what the first had written, and agents find it at once.</summary>
    public async Task StartOtherMaster()
    {
        await StartMaster(port: 0);
        Ports[5060] = master.Port;
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
            Assert(await Until(() => (pid = keeper ? process.KeeperPid : process.Pid) is not null, processes: true), $"{executor} has a process");
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

    /// <summary>Lets processes come to what they wait in.</summary>
    public async Task Rest()
    {
        for (var round = 0; round < RoundsOfProcesses; round++)
            await Work();
    }

    private Task Work() => pace.Run("/bin/true", ["true"], [], "/", TimeSpan.FromHours(1), mountsOf: null, CancellationToken.None);

    /// <summary>Waits until it is so; false when the clock has gone on by <paramref name="patience"/> meanwhile and it still is not.</summary>
    /// <param name="processes">It depends on processes of the agents: the clock stands for a while.</param>
    /// <param name="patience">Seconds of the clock.</param>
    public async Task<bool> Until(Func<bool> condition, bool processes = false, double patience = 12)
    {
        var (quiet, steps) = (0, 0);
        while (!condition())
        {
            if (await arrived.WaitAsync(processes ? TimeSpan.Zero : Round))
                continue;
            if (processes)
                await Work();
            if (++quiet <= (processes ? RoundsOfProcesses : 1))
                continue;
            if (patience <= 0)
                return false;
            await Rested();
            if (condition())
                break;
            var step = ++steps <= FirstSteps ? FirstStepSeconds : StepSeconds;
            patience -= step;
            Advance(step);
        }

        return true;
    }

    /// <summary>Lets recorded time pass.</summary>
    public async Task Pass(double seconds)
    {
        const double step = 0.5;
        for (var left = seconds; left > 0; left -= step)
        {
            // What is next to nothing brings nobody's time: most entries of a recording are one behind the other.
            if (left >= FirstStepSeconds)
                await Rested();
            Advance(Math.Min(left, step));
        }
    }

    // The clock does not go on while a process of a task has work to do, nor before its checks have seen what it is like then: by the clock no time
    // passes while something starts, so what a recorded machine had time for, a loaded one has too.
    private async Task Rested()
    {
        await Task.Delay(1);
        var begun = TimeProvider.System.GetTimestamp();
        for (var looks = 0; looks < LooksAtChecks;)
        {
            if (!TaskProcesses.Rest(folder))
                Assert(TimeProvider.System.GetElapsedTime(begun) < BusyMax, "no task has work to do");
            else if (!agents.Exists(agent => agent.Process.ChecksRunning > 0))
                return;
            else
                looks++;
            await Task.Delay(2);
        }
    }

    private void Advance(double seconds)
    {
        Time.Advance(TimeSpan.FromSeconds(seconds));
        Show();
    }

    // Of the same length each time, so that a reader never sees half of it; a number that begins with 0 would be octal.
    private void Show() => RandomAccess.Write(clock.SafeFileHandle, Encoding.ASCII.GetBytes($"1{(Time.GetUtcNow() - begin).TotalMilliseconds:0000000000}\n"), 0);

    private static void Assert(bool holds, string what) => Xunit.Assert.True(holds, $"It never came to this: {what}");

    public async ValueTask DisposeAsync()
    {
        var ends = agents.Select(agent => agent.DisposeAsync().AsTask()).ToList();
        await Until(() => ends.TrueForAll(end => end.IsCompleted), processes: true, patience: 600);
        await Task.WhenAll(ends);
        await master.DisposeAsync();
        await clock.DisposeAsync();
        arrived.Dispose();
        pace.Dispose();
        Directory.Delete(folder, recursive: true);
    }
}
