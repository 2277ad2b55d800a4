using Declarative.Api;
using Declarative.Client.Informers;
using Declarative.Client.Queue;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Client.Reconcile;

/// <summary>
/// Runs reconciliations: takes keys from the queue, asks for a plan, applies it, and gives the key back only when the informers show what was
/// written, so that no plan is made from a view older than the last plan's own writes.
/// </summary>
/// <param name="name">The field manager of the writes and the name in logs, for example "deployment-controller".</param>
/// <param name="reconcile">Computes the plan of a key from the informers' views. It must not change anything itself.</param>
public sealed class Controller<TKey>(string name, IApi api, TimeProvider time, Func<TKey, CancellationToken, ValueTask<Plan>> reconcile)
    where TKey : notnull
{
    private readonly Applier _applier = new(api, name);
    private long _runs;
    private long _failures;
    private long _writes;

    public WorkQueue<TKey> Queue { get; } = new(time);

    /// <summary>The views that plans are made from. <see cref="Run"/> runs them, begins when all have synced, and waits for own writes to appear in them.</summary>
    public IReadOnlyList<Informer> Views { get; init; } = [];

    /// <summary>Where the events of plans go; run by <see cref="Run"/>.</summary>
    public EventRecorder? Events { get; init; }

    /// <summary>Called after each run of a key, when the views show its writes: whether all of its plan was achieved.</summary>
    public Action<TKey, bool>? Finished { get; init; }

    /// <summary>How long a key is left alone after a run, so that a flood of events costs few runs; null = not at all.</summary>
    public Func<TKey, TimeSpan>? Rest { get; init; }

    /// <summary>Keys worked on at once.</summary>
    public int Workers { get; init; } = 4;

    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>Reconciliations so far.</summary>
    public long Runs => Volatile.Read(ref _runs);

    /// <summary>Reconciliations that threw or were refused by the server.</summary>
    public long Failures => Volatile.Read(ref _failures);

    /// <summary>Changes written.</summary>
    public long Writes => Volatile.Read(ref _writes);

    /// <summary>Runs views, events and workers until stopped.</summary>
    public async Task Run(CancellationToken stop)
    {
        var running = Views.Select(x => x.Run(stop)).ToList();
        if (Events is not null) running.Add(Events.Run(stop));
        using var stopping = stop.Register(Queue.Stop);
        running.Add(Work(stop));
        foreach (var task in running) await task;
    }

    private async Task Work(CancellationToken stop)
    {
        using var cancelled = new Cancelled(stop);
        foreach (var view in Views)
        {
            if (await Task.WhenAny(view.Synced, cancelled.Task) == cancelled.Task) return;
        }
        var workers = Enumerable.Range(0, Workers).Select(_ => Worker(stop)).ToList();
        foreach (var worker in workers) await worker;
    }

    private async Task Worker(CancellationToken stop)
    {
        while (await Queue.Take() is { IsOpen: true, Key: var key })
        {
            var achieved = false;
            try
            {
                achieved = await RunKey(key, stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) // the worker's bulkhead: one key's bug or outage never stops the others
            {
                Interlocked.Increment(ref _failures);
                if (e is ApiException { IsOutOfReach: true }) Log.Waiting(Logger, name, key, e.Message);
                else Log.ReconcileFailed(Logger, name, key, e);
                Queue.Retry(key);
            }
            finally
            {
                Finished?.Invoke(key, achieved);
                Queue.DoneAfter(key, Rest?.Invoke(key) ?? TimeSpan.Zero);
            }
        }
    }

    private async Task<bool> RunKey(TKey key, CancellationToken stop)
    {
        Interlocked.Increment(ref _runs);
        var plan = await reconcile(key, stop);
        var applied = await _applier.Apply(plan.Changes, stop);
        foreach (var change in applied)
        {
            if (change.IsAchieved) Record(plan.Tell?.Invoke(change));
            await Seen(change, stop);
        }
        var missed = applied.FirstOrDefault(x => !x.IsAchieved);
        if (missed is null)
        {
            Queue.Forget(key);
            if (plan.LookAgainIn is { } delay) Queue.AddAfter(key, delay);
            foreach (var note in plan.Events) Record(note);
            return true;
        }
        if (missed.Outcome == Outcome.Refused || (missed.Outcome == Outcome.NotFound && missed.Change is Create))
        {
            Interlocked.Increment(ref _failures);
            Log.Refused(Logger, name, key, missed.Change.Key.ToString(), missed.Error!.Message);
            if (plan.OnRefused?.Invoke(missed) is { } then)
            {
                foreach (var change in await _applier.Apply(then.Changes, stop)) await Seen(change, stop);
                foreach (var note in then.Events) Record(note);
            }
        }
        Queue.Retry(key);
        return false;
    }

    private void Record(EventNote? note)
    {
        if (note is not null) Events?.Record(note);
    }

    private async Task Seen(Applied applied, CancellationToken stop)
    {
        if (applied.Outcome == Outcome.Done) Interlocked.Increment(ref _writes);
        foreach (var view in Views)
        {
            if (!view.Kind.Equals(applied.Change.Key.Kind)) continue;
            if (applied.Error is { Code: >= 500 })
            {
                // The answer was lost or the server failed: the write may have been made. The view must have seen all until now to tell.
                var newest = await api.List(new(view.Kind) { Limit = 1 }, stop);
                await view.WaitFor(newest.Revision, stop);
                continue;
            }
            if (applied.Change is Delete { Options: { Uid: { } uid, DryRun: false } } && applied.IsAchieved) await view.WaitForDeletion(applied.Change.Key, uid, stop);
            else if (applied.Written is { } written) await view.WaitFor(written.Revision, stop);
        }
    }

    /// <summary>A task that completes when the token is cancelled.</summary>
    private sealed class Cancelled : IDisposable
    {
        private readonly TaskCompletionSource _source = Completion.New();
        private readonly CancellationTokenRegistration _registration;

        public Cancelled(CancellationToken stop) => _registration = stop.Register(() => _source.TrySetResult());

        public Task Task => _source.Task;

        public void Dispose() => _registration.Dispose();
    }
}
