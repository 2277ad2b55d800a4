using Declarative.Api;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Client.Reconcile;

/// <summary>
/// One <see cref="LeaderLease"/> for several loops of a process, so that their number does not multiply the renewals: each runs while the
/// process holds the lease, and none of another process begins before all of these have ended.
/// </summary>
public sealed class SharedLease(string ns, string name, string identity, LeaseOptions? options)
{
    private readonly Lock _lock = new();
    private readonly List<Task> _members = [];
    private TaskCompletionSource<Term> _term = Completion.New<Term>();

    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>Takes and renews the lease until stopped.</summary>
    public Task Run(IApi api, TimeProvider time, Random random, CancellationToken stop) =>
        new LeaderLease(api, ns, name, identity, time, random, options) { Logger = Logger }.Run(Lead, stop);

    /// <summary>A loop that runs in each term. Returns when stopped, or when the loop ends by itself; throws what the loop throws.</summary>
    public async Task Run(Func<CancellationToken, Task> loop, CancellationToken stop)
    {
        var stopped = Completion.New();
        await using var registration = stop.Register(() => stopped.TrySetResult());
        while (!stop.IsCancellationRequested)
        {
            Task<Term> begun;
            lock (_lock) begun = _term.Task;
            if (await Task.WhenAny(begun, stopped.Task) == stopped.Task) return;
            var (term, over) = await begun;
            var ended = Completion.New();
            lock (_lock)
            {
                if (_term.Task != begun) continue; // over before it was noticed
                _members.Add(ended.Task);
            }
            try
            {
                await loop(term);
            }
            catch (OperationCanceledException) when (term.IsCancellationRequested)
            {
                await over;
            }
            finally
            {
                lock (_lock) _members.Remove(ended.Task);
                ended.TrySetResult();
            }
            if (!term.IsCancellationRequested) return;
            await over; // before that the next look would find the same term
        }
    }

    private async Task Lead(CancellationToken term)
    {
        TaskCompletionSource<Term> begun;
        lock (_lock) begun = _term;
        var noted = Completion.New();
        begun.TrySetResult(new(term, noted.Task));
        var over = Completion.New();
        await using (term.Register(() => over.TrySetResult())) await over.Task;
        Task[] members;
        lock (_lock)
        {
            _term = Completion.New<Term>();
            members = [.. _members];
        }
        noted.TrySetResult();
        await Task.WhenAll(members);
    }

    /// <param name="Over">Ends once nobody finds this term any longer.</param>
    private sealed record Term(CancellationToken Token, Task Over);
}
