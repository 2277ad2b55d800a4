using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Client.Reconcile;

/// <summary>Seconds of a <see cref="LeaderLease"/>; the defaults are those of Kubernetes' own components.</summary>
public sealed record LeaseOptions
{
    /// <summary>Others may take the lease this long after they last saw it renewed.</summary>
    public int LeaseDurationSeconds { get; init; } = 15;

    /// <summary>The holder gives up when it could not renew for this long; less than the duration, so that it has ended before another begins.</summary>
    public double RenewDeadlineSeconds { get; init; } = 10;

    /// <summary>Between attempts to renew or, where the lease cannot be watched, to take.</summary>
    public double RetrySeconds { get; init; } = 2;

    /// <summary>A lease of another length, from 2 s: the holder gives up after two thirds of it and renews about four times in it.</summary>
    public static LeaseOptions Of(int seconds) => new() { LeaseDurationSeconds = seconds, RenewDeadlineSeconds = seconds * 2 / 3.0, RetrySeconds = seconds / 4.0 };
}

/// <summary>
/// Leadership by a coordination.k8s.io Lease: at most one identity leads. Whether a holder is gone is decided by how long its lease has stood
/// still on our own monotonic clock, so clocks need not agree. Who waits watches the lease: it takes it in the moment in which it may, and
/// costs nothing meanwhile. An identity takes its own lease again at once, which makes a restart quick.
/// </summary>
public sealed class LeaderLease(IApi api, string ns, string name, string identity, TimeProvider time, Random random, LeaseOptions? options = null)
{
    private readonly LeaseOptions _options = options ?? new();
    private readonly ResourceKey _key = ResourceKey.Of(Kind.Lease, ns, name);
    private readonly Random _random = new(random.Next());
    private (string Holder, long Revision) _observed;
    private long _observedAt;
    private TimeSpan _observedFor;
    private Stored? _own;
    private long _renewedAt;

    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>True between taking the lease and losing or releasing it.</summary>
    public bool IsLeading { get; private set; }

    /// <summary>
    /// False from the moment in which another might take the lease before long, also where this process was stopped for a while and does not
    /// know yet: what acts on the world asks it last.
    /// </summary>
    public bool MayAct => IsLeading && Left > TimeSpan.Zero;

    /// <summary>The revision at which the lease was taken last: what was written in an earlier term is older.</summary>
    public long TakenAt { get; private set; }

    /// <summary>How long the lease of another must still stand. Timers are coarser than the clock and may be early: whoever comes too early waits for the rest only.</summary>
    private TimeSpan OthersLeft => _observedFor - time.GetElapsedTime(_observedAt);

    private TimeSpan Left => TimeSpan.FromSeconds(_options.RenewDeadlineSeconds) - time.GetElapsedTime(Volatile.Read(ref _renewedAt));

    /// <summary>
    /// Waits for the lease, runs <paramref name="lead"/> while it is held, waits for the lease again when it was lost, and releases it in the end.
    /// The token given to <paramref name="lead"/> is cancelled when the lease is lost; it has then LeaseDuration − RenewDeadline to end.
    /// </summary>
    public async Task Run(Func<CancellationToken, Task> lead, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            if (!await Acquire(stop)) return;
            TakenAt = _own?.Revision ?? 0;
            IsLeading = true;
            Log.Leading(Logger, _key.ToString(), identity);
            using (var term = CancellationTokenSource.CreateLinkedTokenSource(stop))
            {
                var leading = Guarded(lead, term);
                await Renew(term);
                await leading;
            }
            IsLeading = false;
            await Release();
        }
    }

    private async Task Guarded(Func<CancellationToken, Task> lead, CancellationTokenSource term)
    {
        try
        {
            await lead(term.Token);
        }
        catch (OperationCanceledException) when (term.IsCancellationRequested)
        {
            return;
        }
        finally
        {
            if (!term.IsCancellationRequested) term.Cancel();
        }
    }

    private async Task<bool> Acquire(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                if (await TryTake(stop))
                {
                    if (Left > TimeSpan.Zero) return true;
                    continue; // the answer came so late that the term was over
                }
                if (await MayBeFree(stop)) continue;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return false;
            }
            catch (Exception e) // the lease's bulkhead: an outage of the API only means that nobody can take it now
            {
                Log.LeaseFailed(Logger, ConnectionLoss.Level(e), _key.ToString(), e.Message);
            }
            if (!await Pause(stop)) return false;
        }
        return false;
    }

    /// <summary>Follows another's lease until it is released or stands still for too long. False: it can be followed no longer.</summary>
    private async Task<bool> MayBeFree(CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        await using var patience = time.CreateTimer(static x => ((CancellationTokenSource)x!).Cancel(), over, Positive(OthersLeft), Timeout.InfiniteTimeSpan);
        var request = new WatchRequest(Kind.Lease, ns) { Fields = FieldSelector.Parse($"metadata.name={name}"), From = _observed.Revision };
        try
        {
            await foreach (var change in api.Watch(request, over.Token))
            {
                if (change.Object is not { } stored) continue;
                if (change.Type is WatchEventType.Deleted || !IsOthers(stored)) return true;
                patience.Change(Positive(OthersLeft), Timeout.InfiniteTimeSpan);
            }
            return over.IsCancellationRequested; // some watches end in order when they are cancelled
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return true;
        }
    }

    private async Task Renew(CancellationTokenSource term)
    {
        // The clock ends the term, whatever a request is waiting for.
        await using var end = time.CreateTimer(_ => Lose(term, $"not renewed for {_options.RenewDeadlineSeconds:0.#} s"), null, Positive(Left), Timeout.InfiniteTimeSpan);
        while (await Pause(term.Token))
        {
            try
            {
                if (!await TryTake(term.Token))
                {
                    Lose(term, "another holds it");
                    return;
                }
                end.Change(Positive(Left), Timeout.InfiniteTimeSpan);
            }
            catch (OperationCanceledException) when (term.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) // an outage; the clock decides
            {
                Log.LeaseFailed(Logger, ConnectionLoss.Level(e), _key.ToString(), e.Message);
            }
        }
    }

    private void Lose(CancellationTokenSource term, string why)
    {
        if (term.IsCancellationRequested) return;
        Log.LeadLost(Logger, _key.ToString(), identity, why);
        term.Cancel();
    }

    private static TimeSpan Positive(TimeSpan span) => span > TimeSpan.Zero ? span : TimeSpan.FromMilliseconds(1);

    /// <summary>Takes or renews the lease if that is allowed now. False: another holds it. Throws where another write came between.</summary>
    private async Task<bool> TryTake(CancellationToken stop)
    {
        var asked = time.GetTimestamp();
        if (_own is { } last)
        {
            _own = null; // where the answer is lost, what is stored is read first
            await Hold(api.Patch(_key, PatchKind.Merge, Write(last), stop: stop), asked);
            return true;
        }
        Stored stored;
        try
        {
            stored = await api.Get(_key, stop: stop);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            await Hold(api.Create(_key, Write(null), stop: stop), asked);
            return true;
        }
        if (IsOthers(stored) && OthersLeft > TimeSpan.Zero) return false;
        await Hold(api.Patch(_key, PatchKind.Merge, Write(stored), stop: stop), asked);
        return true;
    }

    /// <summary>Held from the moment in which it was asked for: others count from when they see it, which is later.</summary>
    private async Task Hold(Task<Stored> write, long asked)
    {
        _own = await write;
        Volatile.Write(ref _renewedAt, asked);
    }

    /// <summary>Another holds the lease. Notes when this state of it was first seen.</summary>
    private bool IsOthers(Stored stored)
    {
        var lease = Lease.Read(stored.Json).Spec;
        if (lease.HolderIdentity == identity || lease.HolderIdentity.Length == 0) return false;
        if (_observed != (lease.HolderIdentity, stored.Revision)) (_observed, _observedAt) = ((lease.HolderIdentity, stored.Revision), time.GetTimestamp());
        _observedFor = TimeSpan.FromSeconds(lease.LeaseDurationSeconds ?? _options.LeaseDurationSeconds);
        return true;
    }

    private byte[] Write(Stored? present) => Body.Of(json =>
    {
        var before = present is null ? null : Lease.Read(present.Json).Spec;
        var now = Body.MicroTime(time.GetUtcNow());
        if (present is null) json.TypeMeta(Kind.Lease);
        json.Object("metadata", x =>
        {
            if (present is not null) x.WriteString("resourceVersion"u8, present.Revision.ToString(System.Globalization.CultureInfo.InvariantCulture));
            x.WriteString("name"u8, name);
            x.WriteString("namespace"u8, ns);
        });
        json.Object("spec", x =>
        {
            x.WriteString("holderIdentity"u8, identity);
            x.WriteNumber("leaseDurationSeconds"u8, _options.LeaseDurationSeconds);
            x.WriteString("renewTime"u8, now);
            if (before?.HolderIdentity == identity) return;
            x.WriteString("acquireTime"u8, now);
            x.WriteNumber("leaseTransitions"u8, before is null ? 0 : (before.LeaseTransitions ?? 0) + 1);
        });
    });

    private async Task Release()
    {
        _own = null;
        try
        {
            // Not with the caller's token: that one is cancelled when a role stops, which is when a release matters most.
            using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(_options.RetrySeconds), time);
            var stored = await api.Get(_key, stop: deadline.Token);
            if (Lease.Read(stored.Json).Spec.HolderIdentity != identity) return;
            var patch = Body.Of(json =>
            {
                json.Object("metadata", x => x.WriteString("resourceVersion"u8, stored.Revision.ToString(System.Globalization.CultureInfo.InvariantCulture)));
                json.Object("spec", x =>
                {
                    x.WriteString("holderIdentity"u8, "");
                    x.WriteString("renewTime"u8, Body.MicroTime(time.GetUtcNow()));
                });
            });
            await api.Patch(_key, PatchKind.Merge, patch, stop: deadline.Token);
        }
        catch (Exception e) // it runs out by itself
        {
            Log.LeaseFailed(Logger, ConnectionLoss.Level(e), _key.ToString(), e.Message);
        }
    }

    private async Task<bool> Pause(CancellationToken stop)
    {
        var over = Completion.New();
        await using var registration = stop.Register(() => over.TrySetResult());
        await using var timer = time.CreateTimer(_ => over.TrySetResult(), null, TimeSpan.FromSeconds(_options.RetrySeconds * (0.8 + 0.4 * _random.NextDouble())), Timeout.InfiniteTimeSpan);
        await over.Task;
        return !stop.IsCancellationRequested;
    }
}
