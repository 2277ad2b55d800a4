namespace Declarative.Sim;

/// <summary>
/// A world of one thread, one clock and one seed. Everything awaited in it resumes here, one piece at a time, in an order drawn from
/// the seed; when nothing can run, the clock jumps to the next timer. The same seed gives the same history, whatever the machine does.
/// </summary>
public sealed class World
{
    /// <summary>More pieces than this without the clock moving is a loop that never waits.</summary>
    private const int StepsPerMomentMax = 2_000_000;

    private readonly List<(SendOrPostCallback Callback, object? State)> _runnable = [];
    private readonly WorldTime _time = new();
    private readonly Random _order;
    private readonly int _notesMax;
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private volatile string? _stranger;
    private readonly Queue<string> _notes = new();
    private ulong _hash = 14695981039346656037;

    public World(int seed, int notesMax = 400)
    {
        Seed = seed;
        _notesMax = notesMax;
        Random = new Random(seed);
        _order = new Random(unchecked(seed * 31 + 7));
    }

    public int Seed { get; }

    /// <summary>Chance for the parts of the world; the order of execution has a Random of its own.</summary>
    public Random Random { get; }

    public TimeProvider Time => _time;

    public TimeSpan Elapsed => _time.Elapsed;

    /// <summary>Of everything noted so far: equal for equal seeds.</summary>
    public ulong Hash => _hash;

    /// <summary>The last notes, oldest first: what a failure report shows.</summary>
    public IReadOnlyCollection<string> Notes => _notes;

    /// <summary>Adds an event to the world's history.</summary>
    public void Note(string text)
    {
        foreach (var c in text) _hash = (_hash ^ c) * 1099511628211;
        _hash = (_hash ^ (ulong)_time.Elapsed.Ticks) * 1099511628211;
        _notes.Enqueue($"{_time.Elapsed:hh\\:mm\\:ss\\.fff} {text}");
        if (_notes.Count > _notesMax) _notes.Dequeue();
    }

    /// <summary>Runs a scenario to its end on the calling thread. Throws what the scenario throws.</summary>
    public void Run(Func<Task> scenario)
    {
        var outer = SynchronizationContext.Current;
        try
        {
            Enter();
            var running = scenario();
            while (!running.IsCompleted) Step();
            running.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(outer);
        }
    }

    private void Step()
    {
        if (_stranger is { } where) throw new InvalidOperationException($"seed {Seed}: something left the world's one thread and came back from another: {where}");
        if (_runnable.Count > 0)
        {
            Drain();
            return;
        }
        if (_time.Next() is null) throw new InvalidOperationException($"seed {Seed}: nothing can run and no timer is set at {_time.Elapsed}: the scenario waits for something that never comes");
        Enter();
        _time.TakeNext().Fire();
    }

    private void Drain()
    {
        for (var steps = 0; _runnable.Count > 0; steps++)
        {
            if (steps == StepsPerMomentMax) throw new InvalidOperationException($"seed {Seed}: the world does not come to rest at {_time.Elapsed}");
            var at = _order.Next(_runnable.Count);
            var (callback, state) = _runnable[at];
            _runnable[at] = _runnable[^1];
            _runnable.RemoveAt(_runnable.Count - 1);
            Enter();
            callback(state);
        }
    }

    /// <summary>
    /// A context instance of its own for each piece: an await that was captured in another piece is then posted, never run inline
    /// by whoever completes it.
    /// </summary>
    private void Enter() => SynchronizationContext.SetSynchronizationContext(new Context(this));

    private sealed class Context(World world) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
            if (Environment.CurrentManagedThreadId == world._thread) world._runnable.Add((d, state));
            else world._stranger ??= Environment.StackTrace;
        }

        public override void Send(SendOrPostCallback d, object? state) => d(state);

        public override SynchronizationContext CreateCopy() => this;
    }
}
