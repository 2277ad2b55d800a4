using Declarative.Api;
using Declarative.Api.Kinds;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Client.Traffic;

/// <summary>
/// Owns the one TrafficReport object <c>role-id</c> of a balancer, a DNS server or the Endpoints controller (architecture.md, decision 12):
/// creates it with the first <see cref="Report"/>, renews it every 3 s, writes its status at once when someone may be waiting for it
/// (at most 20 writes a second, coalesced), and deletes it on an orderly stop. Errors of the API are retried, an object that is gone is made again.
/// </summary>
/// <param name="role"><c>endpoints</c>, <c>lb</c> or <c>dns</c>.</param>
/// <param name="id">Tells the instances of a role apart; a DNS label.</param>
public sealed class TrafficReporter(string role, string id)
{
    public const int LeaseDurationSeconds = 10;
    private static readonly TimeSpan RenewEvery = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan WriteSpacing = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan RetryFirst = TimeSpan.FromMilliseconds(100);

    /// <summary>A call that hangs must not cost the lease: it is given up while there is time for another one.</summary>
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(3);

    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _registered = new();
    private Signal? _signal;
    private Snapshot? _current;
    private Snapshot _written = Snapshot.Unknown;

    public string Name { get; } = $"{role}-{id}";

    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>Completes when the object exists and carries the first report: from then on the killing of tasks waits for this instance.</summary>
    public Task Registered => _registered.Task;

    /// <summary>
    /// Says what this instance has seen and still has in flight; cheap, callable from any thread and as often as wanted.
    /// The list must not be changed afterwards. Before the first call nothing is registered.
    /// </summary>
    /// <param name="observedRevision">Every slice (for dns and endpoints: and pod) up to this revision is taken into account.</param>
    /// <param name="draining">Every pod that is marked as terminating, those with nothing in flight too, in a stable order.</param>
    /// <param name="awaitedRevision">
    /// The highest revision that marked a pod as terminating, as far as known: reaching it is written at once, other advances with the next
    /// renewal. null = every advance is written at once while any pod drains.
    /// </param>
    public void Report(long observedRevision, IReadOnlyList<DrainingPod> draining, long? awaitedRevision = null)
    {
        lock (_gate)
        {
            _current = new(observedRevision, draining, awaitedRevision);
            if (!_current.IsUrgentAfter(_written)) return;
        }
        Volatile.Read(ref _signal)?.Set();
    }

    /// <summary>Runs until stopped, then deletes the object. To be stopped after the last request in flight is done.</summary>
    public async Task Run(IApi api, TimeProvider time, CancellationToken stop)
    {
        var report = new ReportObject(api, Name, role);
        using var signal = new Signal(time);
        Volatile.Write(ref _signal, signal);
        using var stopping = stop.Register(static x => ((Signal)x!).Set(), signal);
        var renewAt = DateTimeOffset.MinValue;
        var writeAt = DateTimeOffset.MinValue;
        var retry = TimeSpan.Zero;
        while (!stop.IsCancellationRequested)
        {
            var now = time.GetUtcNow();
            Snapshot? current;
            bool urgent;
            lock (_gate)
            {
                current = _current;
                urgent = current is not null && current.IsUrgentAfter(_written);
            }
            if (current is null)
            {
                await signal.Wait(DateTimeOffset.MaxValue);
                continue;
            }
            if (now < writeAt || (!urgent && now < renewAt))
            {
                await signal.Wait(urgent || writeAt > renewAt ? writeAt : renewAt);
                continue;
            }
            using var call = new CancellationTokenSource(CallTimeout, time);
            try
            {
                if (now >= renewAt)
                {
                    if (await report.Renew(now, call.Token)) Forget();
                    renewAt = now + RenewEvery;
                }
                if (!current.SameAs(_written))
                {
                    await report.WriteStatus(current.ObservedRevision, current.Draining, call.Token);
                    lock (_gate) _written = current;
                }
                _registered.TrySetResult();
                (retry, writeAt) = (TimeSpan.Zero, now + WriteSpacing);
            }
            catch (Exception e) when (ReportObject.IsOutage(e))
            {
                // Gone, refused or out of reach: all end in the same way, asking again from the start.
                (renewAt, retry) = (DateTimeOffset.MinValue, retry == TimeSpan.Zero ? RetryFirst : retry * 2 < RenewEvery ? retry * 2 : RenewEvery);
                writeAt = now + retry;
                Log.NotReported(Logger, ConnectionLoss.Level(e), Name, retry.TotalSeconds, e.Message);
            }
        }
        using var last = new CancellationTokenSource(CallTimeout, time);
        await report.Delete(last.Token);
    }

    /// <summary>The object was made anew: what the old one said does not count.</summary>
    private void Forget()
    {
        lock (_gate) _written = Snapshot.Unknown;
    }

    private sealed record Snapshot(long ObservedRevision, IReadOnlyList<DrainingPod> Draining, long? AwaitedRevision)
    {
        public static Snapshot Unknown { get; } = new(-1, [], null);

        public bool SameAs(Snapshot other) =>
            ObservedRevision == other.ObservedRevision && (ReferenceEquals(Draining, other.Draining) || Draining.SequenceEqual(other.Draining));

        public bool IsUrgentAfter(Snapshot written)
        {
            if (written.ObservedRevision < 0 || Draining.Count != written.Draining.Count) return true;
            for (var i = 0; i < Draining.Count; i++)
            {
                var (a, b) = (Draining[i], written.Draining[i]);
                if (a.PodUID != b.PodUID || a.Address != b.Address || a.InFlight == 0 != (b.InFlight == 0)) return true;
            }
            if (ObservedRevision <= written.ObservedRevision) return false;
            return AwaitedRevision is { } awaited ? ObservedRevision >= awaited && written.ObservedRevision < awaited : Draining.Count > 0;
        }
    }
}
