using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Scheduler;

using Task = System.Threading.Tasks.Task;

namespace Declarative.Sim;

/// <summary>The machines of a simulated world: API server and journal, master, agents, and the processes that run the parts.</summary>
internal sealed class SimulatedCluster : IMasterDoor
{
    /// <summary>Of so many looks at a running task of a job one sees its end.</summary>
    private const int WorkLooks = 16;

    private readonly World _world;
    private readonly Chances _chances;
    private readonly Witness _witness;
    private readonly SimulationOptions _options;
    private readonly FaultyJournal _journal;
    private readonly List<Machine> _agents = [];
    private readonly List<Process> _processes;
    private ApiServerRun? _server;
    private MiniMaster? _master;
    private Registry? _registry;

    public SimulatedCluster(World world, Chances chances, Witness witness, IReadOnlyList<Part> parts, SimulationOptions options)
    {
        (_world, _chances, _witness, _options) = (world, chances, witness, options);
        _journal = new(world, chances, witness) { ForgetsWrites = options.Mutant == Mutant.ForgottenWrite };
        _processes = [.. parts.Select(x => new Process(x) { Stop = new(options.Mutant == Mutant.PartEnds && x.Name == "dns" ? TimeSpan.FromMinutes(1) : Timeout.InfiniteTimeSpan, world.Time) })];
    }

    public bool IsServing => _server is not null;

    /// <summary>Throws 503 while the server is down.</summary>
    public Connection Connect(User user) =>
        _server is { } run ? new(run.Server.As(user), run.Died.Task, run.Stop.Token) : throw Declarative.Api.Objects.Status.Unavailable("simulated: the API server is down");

    public IEnumerable<(string Agent, string Task, TaskState State)> Tasks() =>
        _agents.SelectMany(x => x.Agent.Tasks.Select(task => (x.Name, task.Id, task.State)));

    /// <summary>What agents keep on disk of reservations: the persistence id, "" where there is no volume on it.</summary>
    public IEnumerable<(string AgentId, string Volume)> Volumes() =>
        _agents.SelectMany(x => x.Agent.Reserved.Select(kept => (x.Agent.Id ?? "", kept.Disk?.Persistence?.Id ?? "")));

    /// <summary>Agents that are there under these ids, connected or not.</summary>
    public IEnumerable<string> AgentIds() => _agents.Select(x => x.Agent.Id ?? "");

    public async Task Start()
    {
        await StartServer();
        StartMaster();
        for (var i = 0; i < _options.Agents; i++) AddAgent(i);
        foreach (var process in _processes) StartProcess(process);
    }

    public Task<IAgentConnection> Connect(CancellationToken stop) =>
        _master is { } master ? master.Connect(stop) : Task.FromException<IAgentConnection>(new MasterUnavailable("simulated: the master is down"));

    /// <summary>Tasks of jobs come to their end: mostly well, and without faults always.</summary>
    public void EndWork()
    {
        foreach (var machine in _agents)
        {
            foreach (var (task, _) in machine.Agent.Tasks.Where(x => x.State == TaskState.TaskRunning).ToList())
            {
                if (_witness.PodOfTask(task) is not { } pod || !SimulatedJobs.IsWork(pod) || _world.Random.Next(WorkLooks) > 0) continue;
                machine.Agent.Exit(task, _chances.Enabled && _world.Random.Next(4) == 0 ? 1 : 0);
            }
        }
    }

    /// <summary>One fault that is not drawn per call.</summary>
    public async Task Suffer()
    {
        var random = _world.Random;
        var agent = _agents[random.Next(_agents.Count)];
        switch (random.Next(20))
        {
            case 0:
                await CrashServer();
                break;
            case 1 or 2 or 3:
                await CrashProcess(_processes[random.Next(_processes.Count)]);
                break;
            case 4:
                await CrashMaster();
                break;
            case 5 or 6:
                _chances.Happened(Fault.AgentPause);
                await agent.Pause(TimeSpan.FromSeconds(random.Next(1, 60)), _world);
                break;
            case 7:
                _chances.Happened(Fault.AgentPartition);
                await agent.Pause(TimeSpan.FromSeconds(random.Next(80, 150)), _world);
                break;
            case 8:
                _chances.Happened(Fault.AgentLost);
                agent.Lose();
                break;
            case 9 or 10 or 11 or 12:
                if (Live(agent) is { } ending && agent.Agent.Exit(ending, random.Next(3))) _chances.Happened(Fault.TaskExit);
                break;
            case 13 or 14 or 15:
                if (Live(agent) is { } sick && agent.Agent.KillUnhealthy(sick)) _chances.Happened(Fault.TaskUnhealthy);
                break;
            default:
                if (Live(agent) is { } slow && agent.Agent.SetCheck(slow, passes: false))
                {
                    _chances.Happened(Fault.ReadinessLost);
                    agent.Unready.Add(slow);
                }
                break;
        }
        foreach (var machine in _agents)
        {
            if (random.Next(3) == 0) machine.Recover();
        }
    }

    /// <summary>The end of all faults: everything runs, every check passes.</summary>
    public async Task Repair()
    {
        if (_server is null) await StartServer();
        if (_master is null) StartMaster();
        foreach (var agent in _agents)
        {
            agent.Resume(_world);
            agent.Recover();
        }
        foreach (var process in _processes.Where(x => !x.IsRunning)) StartProcess(process);
    }

    private string? Live(Machine machine)
    {
        var live = machine.Agent.Tasks.Where(x => x.State == TaskState.TaskRunning).Select(x => x.Id).ToList();
        return live.Count == 0 ? null : live[_world.Random.Next(live.Count)];
    }

    private async Task StartServer()
    {
        var run = new ApiServerRun();
        while (true)
        {
            try
            {
                run.Server = await ApiServer.ApiServer.Open(_journal.Open(() => run.IsCrashed), new ApiServerOptions(), _world.Time, _world.Random, run.Stop.Token);
                run.Running = run.Server.Run(run.Stop.Token);
                await run.Server.Bootstrap(run.Stop.Token);
                break;
            }
            catch (ApiException)
            {
                run.IsCrashed = true;
                run.Stop.Cancel();
                run = new ApiServerRun();
            }
        }
        _server = run;
    }

    private async Task CrashServer()
    {
        _chances.Happened(Fault.ApiServerCrash);
        var crashed = _server!;
        _server = null;
        crashed.IsCrashed = true;
        crashed.Stop.Cancel();
        crashed.Died.TrySetResult();
        await Task.Delay(TimeSpan.FromMilliseconds(_world.Random.Next(50, 5000)), _world.Time);
        await StartServer();
        await _witness.LookForLosses(_server!.Server.As(User.ApiServer));
    }

    private void StartMaster() => _master = new MiniMaster(new MasterOptions { AgentReregisterTimeout = TimeSpan.FromMinutes(2) }, _world.Time, _world.Random, _registry, registry => _registry = registry.Clone());

    private async Task CrashMaster()
    {
        _chances.Happened(Fault.MasterCrash);
        _master?.Dispose();
        _master = null;
        await Task.Delay(TimeSpan.FromMilliseconds(_world.Random.Next(50, 8000)), _world.Time);
        StartMaster();
    }

    private void AddAgent(int index)
    {
        var size = 1000 / _options.Agents;
        var first = (ulong)(31000 + index * size);
        var options = new EmulatedAgentOptions { Hostname = $"agent-{index}", Port = 5051 + index, Cpus = 8, Ports = (first, first + (ulong)size - 1), StartDelay = TimeSpan.FromMilliseconds(200) };
        var machine = new Machine(options.Hostname, new EmulatedAgent(options, this, _world.Time, _world.Random));
        _agents.Add(machine);
        machine.Resume(_world);
    }

    private void StartProcess(Process process)
    {
        var link = new ApiLink(_world, _chances, () => Connect(process.Part.User), process.Part, _witness, _options.Mutant);
        var master = new MasterLink(_world, _chances, () => (_master ?? throw new MasterUnavailable("simulated: the master is down")).Client(), _witness, _options.Mutant);
        process.Time = new ProcessTime(_world.Time);
        process.Api = link;
        process.Master = master;
        process.Running = Guard(process, process.Part.Run(link, master, process.Time, new Random(_world.Random.Next()), process.Stop.Token));
    }

    private async Task Guard(Process process, Task running)
    {
        try
        {
            await running;
            _witness.Violated("parts go on", $"{process.Part.Name} has ended though nobody stopped it");
        }
        catch (Exception e) // the bulkhead of a part: nothing may come out of it
        {
            _witness.Violated("parts go on", $"{process.Part.Name}: {e}");
        }
    }

    /// <summary>As kill -9: the old instance hears nothing more and is not told to stop.</summary>
    private async Task CrashProcess(Process process)
    {
        _chances.Happened(Fault.PartCrash);
        if (process.Part.Name == "placement") _chances.Happened(Fault.FrameworkFailover);
        process.Api!.Cut();
        process.Time!.Die();
        process.Master!.Cut();
        process.Running = null;
        await Task.Delay(TimeSpan.FromMilliseconds(_world.Random.Next(10, 4000)), _world.Time);
        StartProcess(process);
    }

    private sealed class ApiServerRun
    {
        public CancellationTokenSource Stop { get; } = new();
        public ApiServer.ApiServer Server { get; set; } = null!;
        public Task? Running { get; set; }
        public TaskCompletionSource Died { get; } = Completion.New();
        public bool IsCrashed { get; set; }
    }

    private sealed class Process(Part part)
    {
        public Part Part => part;
        public required CancellationTokenSource Stop { get; init; }
        public ApiLink? Api { get; set; }
        public ProcessTime? Time { get; set; }
        public MasterLink? Master { get; set; }
        public Task? Running { get; set; }
        public bool IsRunning => Running is not null;
    }

    /// <summary>One agent, running or away.</summary>
    private sealed class Machine(string name, EmulatedAgent agent)
    {
        private CancellationTokenSource? _running;

        public string Name => name;
        public EmulatedAgent Agent => agent;
        public HashSet<string> Unready { get; } = new(StringComparer.Ordinal);

        public void Resume(World world)
        {
            if (_running is not null) return;
            _running = new CancellationTokenSource();
            Loop = agent.Run(_running.Token);
            world.Note($"{name} runs");
        }

        public Task? Loop { get; private set; }

        public async Task Pause(TimeSpan time, World world)
        {
            if (_running is null) return;
            Stop();
            await Task.Yield();
            Returning = Return();

            async Task Return()
            {
                await Task.Delay(time, world.Time);
                Resume(world);
            }
        }

        public Task? Returning { get; private set; }

        public void Lose() => agent.Forget();

        public void Recover()
        {
            foreach (var task in Unready.Order(StringComparer.Ordinal)) agent.SetCheck(task, passes: true);
            Unready.Clear();
        }

        private void Stop()
        {
            _running!.Cancel();
            _running = null;
            agent.Disconnect();
        }
    }
}
