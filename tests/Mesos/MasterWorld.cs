using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Scheduler;

namespace Declarative.Tests.Mesos;

/// <summary>A master with emulated agents under a clock that the test moves.</summary>
internal sealed class MasterWorld : IAsyncDisposable
{
    private CancellationTokenSource stop = new();
    private readonly List<Task> runs = [];
    private readonly MasterOptions options;

    public MasterWorld(MasterOptions? options = null, int agents = 1, Action<Registry>? save = null)
    {
        this.options = options ?? new MasterOptions();
        Save = save ?? (saved => Saved = saved);
        Master = new MiniMaster(this.options, Time, new Random(1), save: Save);
        Door = new SwitchedDoor { Master = Master };
        for (var i = 0; i < agents; i++)
            AddAgent(i);
    }

    public Clock Time { get; } = new();
    public MiniMaster Master { get; private set; }
    public SwitchedDoor Door { get; }
    public List<EmulatedAgent> Agents { get; } = [];
    public Registry? Saved { get; private set; }
    private Action<Registry> Save { get; }

    public EmulatedAgent AddAgent(int index, EmulatedAgentOptions? of = null)
    {
        var agent = new EmulatedAgent(
            of ?? new EmulatedAgentOptions { Hostname = $"agent-{index}", Port = 5051 + index },
            Door,
            Time,
            new Random(100 + index)
        );
        Agents.Add(agent);
        runs.Add(agent.Run(stop.Token));
        return agent;
    }

    /// <summary>All agents there are end, and stay away.</summary>
    public async Task StopAgents()
    {
        await stop.CancelAsync();
        await Task.WhenAll(runs);
        stop.Dispose();
        stop = new();
        runs.Clear();
    }

    /// <summary>The master ends without a word and another one begins with what the first one saved.</summary>
    public void RestartMaster(bool withRegistry = true)
    {
        Master.Dispose();
        Master = new MiniMaster(options, Time, new Random(2), withRegistry ? Saved : null, Save);
        Door.Master = Master;
    }

    /// <summary>Waits until it is so; the clock runs meanwhile.</summary>
    public async Task Until(Func<bool> condition, string what, double stepSeconds = 0.05)
    {
        var deadline = DateTime.UtcNow.AddSeconds(120);
        while (!condition())
        {
            if (DateTime.UtcNow > deadline)
                throw new TimeoutException($"It never came to this: {what}");
            Time.Advance(TimeSpan.FromSeconds(stepSeconds));
            await Task.Delay(1);
        }
    }

    public TestFramework Framework(IMaster? client = null) => new(this, client ?? Master.Client());

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await Task.WhenAll(runs);
        foreach (var agent in Agents)
            agent.Dispose();
        Master.Dispose();
        stop.Dispose();
    }
}
