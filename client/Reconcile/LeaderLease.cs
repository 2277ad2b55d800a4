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
    public int RenewDeadlineSeconds { get; init; } = 10;

    /// <summary>Between attempts to renew or to take.</summary>
    public double RetrySeconds { get; init; } = 2;

    /// <summary>Kubernetes' proportions (15, 10, 2) for a lease of another length, from 2 s.</summary>
    public static LeaseOptions Of(int seconds) => new() { LeaseDurationSeconds = seconds, RenewDeadlineSeconds = seconds * 2 / 3, RetrySeconds = seconds * 2 / 15.0 };
}

/// <summary>
/// Leadership by a coordination.k8s.io Lease: at most one identity leads. Whether a holder is gone is decided by how long its renewTime has
/// stood still on our own clock, so clocks need not agree. An identity takes its own lease again at once, which makes a restart quick.
/// </summary>
public sealed class LeaderLease(IApi api, string ns, string name, string identity, TimeProvider time, Random random, LeaseOptions? options = null)
{
    private readonly LeaseOptions _options = options ?? new();
    private readonly ResourceKey _key = ResourceKey.Of(Kind.Lease, ns, name);
    private readonly Random _random = new(random.Next());
    private string _observed = "";
    private DateTimeOffset _observedAt;

    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>True between taking the lease and losing or releasing it.</summary>
    public bool IsLeading { get; private set; }

    /// <summary>
    /// Waits for the lease, runs <paramref name="lead"/> while it is held, waits for the lease again when it was lost, and releases it in the end.
    /// The token given to <paramref name="lead"/> is cancelled when the lease is lost; it has then LeaseDuration − RenewDeadline to end.
    /// </summary>
    public async Task Run(Func<CancellationToken, Task> lead, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            if (!await Acquire(stop)) return;
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
                if (await TryTake(stop)) return true;
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

    private async Task Renew(CancellationTokenSource term)
    {
        var renewed = time.GetUtcNow();
        while (await Pause(term.Token))
        {
            var asked = time.GetUtcNow();
            var why = "";
            try
            {
                using var deadline = new CancellationTokenSource(Positive(renewed.AddSeconds(_options.RenewDeadlineSeconds) - asked), time);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, term.Token);
                if (await TryTake(either.Token))
                {
                    renewed = asked;
                    continue;
                }
                why = "another holds it";
            }
            catch (Exception e) when (!term.IsCancellationRequested) // an outage; the deadline decides
            {
                Log.LeaseFailed(Logger, ConnectionLoss.Level(e), _key.ToString(), e.Message);
                if (time.GetUtcNow() - renewed < TimeSpan.FromSeconds(_options.RenewDeadlineSeconds)) continue;
                why = $"not renewed for {_options.RenewDeadlineSeconds} s";
            }
            catch (OperationCanceledException)
            {
                return;
            }
            Log.LeadLost(Logger, _key.ToString(), identity, why);
            term.Cancel();
            return;
        }
    }

    private static TimeSpan Positive(TimeSpan span) => span > TimeSpan.Zero ? span : TimeSpan.FromMilliseconds(1);

    /// <summary>Takes or renews the lease if that is allowed now. False: another holds it. Throws where another write came between.</summary>
    private async Task<bool> TryTake(CancellationToken stop)
    {
        Stored stored;
        try
        {
            stored = await api.Get(_key, stop: stop);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            await api.Create(_key, Write(null), stop: stop);
            return true;
        }
        var lease = Lease.Read(stored.Json).Spec;
        if (lease.HolderIdentity != identity && lease.HolderIdentity.Length > 0)
        {
            var now = time.GetUtcNow();
            var observed = $"{lease.HolderIdentity} {stored.Revision}";
            if (observed != _observed) (_observed, _observedAt) = (observed, now);
            if (now - _observedAt < TimeSpan.FromSeconds(lease.LeaseDurationSeconds ?? _options.LeaseDurationSeconds)) return false;
        }
        await api.Patch(_key, PatchKind.Merge, Write(stored), stop: stop);
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
        try
        {
            await Task.Delay(TimeSpan.FromSeconds(_options.RetrySeconds * (0.8 + 0.4 * _random.NextDouble())), time, stop);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
