using System.Net;
using System.Threading.Channels;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Traffic;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Dns;

/// <summary>
/// The DNS role without its sockets: follows Services, EndpointSlices and Pods, keeps the zones, and writes the TrafficReport. Runs in the
/// simulated world as it does in production.
/// </summary>
public sealed class DnsZones
{
    private readonly DnsOptions _options;
    private readonly ILogger _logger;
    private readonly ZoneNames _names;
    private readonly TrafficReporter _reporter;
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly TaskCompletionSource _synced = Completion.New();

    /// <summary>Guards feed, contents, drains and the two revisions.</summary>
    private readonly Lock _gate = new();
    private readonly DrainLedger _drains = new();
    private ZoneContents? _contents;
    private ZoneFeed? _feed;
    private long _changed;
    private long _awaited;

    private TimeProvider? _clock;
    private long _started;
    private uint _rotation;

    /// <exception cref="FormatException">A domain or the framework's name in the options gives no domain name.</exception>
    public DnsZones(DnsOptions options, ILoggerFactory? loggers = null)
    {
        _options = options;
        _logger = (loggers ?? NullLoggerFactory.Instance).CreateLogger("dns");
        if (MesosLabel.Domain(options.Framework).Length == 0)
            throw new FormatException($"framework name '{options.Framework}' leaves no DNS label: it needs a letter or a digit");
        _names = new ZoneNames(DnsName.Parse(options.MesosDomain), DnsName.Parse(options.ClusterDomain), options.Framework,
            _options.Times, _options.HealthAware, _options.SrvWeight);
        if (_names.Mesos.Equals(_names.Cluster))
            throw new FormatException($"the Mesos domain and the cluster domain are both '{options.MesosDomain}'; they must differ");
        _reporter = new TrafficReporter("dns", _options.Id) { Logger = _logger };
    }

    /// <summary>Completes when the zones hold everything there was at the start; before that every answer is SERVFAIL.</summary>
    public Task Synced => _synced.Task;

    /// <summary>Completes when the TrafficReport stands: from then on the killing of tasks waits for this instance.</summary>
    public Task Registered => _reporter.Registered;

    internal ZoneCell Cell { get; } = new();

    internal ZoneNames Names => _names;

    /// <summary>Tenths of a second since the start, from 1 on.</summary>
    internal long Ticks => _clock is null ? 1 : 1 + (long)(_clock.GetElapsedTime(_started).TotalSeconds * AnswerMark.TicksPerSecond);

    /// <summary>Answers one query as over TCP, for clients in this process; 0: no answer. From one thread at a time.</summary>
    /// <param name="query">A DNS message.</param>
    /// <param name="response">65535 bytes.</param>
    public int Answer(ReadOnlySpan<byte> query, Span<byte> response) =>
        Dns.Answer.Write(Cell.Current, query, response, new AnswerTurn(Stream: true, _rotation++, Ticks));

    /// <summary>The pods whose tasks are published, with the records of each: for the HTTP API.</summary>
    internal IReadOnlyList<(Pod Pod, IReadOnlyList<Record> Records)> Tasks()
    {
        lock (_gate)
            return _feed is null ? [] : [.. _feed.Pods.Select(p => (p, ZoneBuilder.OfTask(p, _feed.IsLeaving(p.Uid), _names))).Where(t => t.Item2.Count > 0)];
    }

    /// <summary>Runs until stopped; then the TrafficReport is deleted.</summary>
    public async Task Run(IApi api, TimeProvider time, Random random, CancellationToken stop)
    {
        _started = time.GetTimestamp();
        _clock = time;
        lock (_gate)
        {
            _contents = new ZoneContents([(_names.Mesos, _names.Times), (_names.Cluster, _names.Times)], (uint)time.GetUtcNow().ToUnixTimeSeconds());
            _contents.Put("cluster", ZoneBuilder.OfCluster(_names));
            _contents.Put("server", ZoneBuilder.OfServer(_options.Listen.Address, _names));
            _feed = new ZoneFeed(_contents, _names);
        }
        var pods = Follow(api, Kind.Pod, Pod.Read, time, random, (f, key, pod) => f.Apply(key, pod), pod => pod.Metadata.IsDeleting);
        var services = Follow(api, Kind.Service, Service.Read, time, random, (f, key, service) => f.Apply(key, service), _ => false);
        var slices = Follow(api, Kind.EndpointSlice, EndpointSlice.Read, time, random, (f, key, slice) => f.Apply(key, slice),
            slice => slice.Endpoints.Any(e => e.Conditions.IsTerminating));
        await Task.WhenAll(
            pods.Run(stop), services.Run(stop), slices.Run(stop), _reporter.Run(api, time, stop), Publish([pods, slices], services, time, stop));
    }

    private Informer<T> Follow<T>(
        IApi api, Kind kind, Func<ReadOnlyMemory<byte>, T> read, TimeProvider time, Random random,
        Action<ZoneFeed, ResourceKey, T?> apply, Func<T, bool> marksLeaving)
        where T : ApiObject =>
        new Informer<T>(api, kind, read, time, random)
        {
            Logger = _logger,
            BookmarkEvery = kind.Equals(Kind.Service) ? null : TimeSpan.FromMilliseconds(DnsLimits.BookmarkMilliseconds),
        }.OnChange(change =>
        {
            lock (_gate)
            {
                apply(_feed!, ResourceKey.Of(kind, change.Object.Namespace, change.Object.Name), change.New);
                _changed = Math.Max(_changed, kind.Equals(Kind.Service) ? 0 : change.Revision);
                if (change.New is { } now && marksLeaving(now))
                    _awaited = Math.Max(_awaited, change.Revision);
            }
            _wake.Writer.TryWrite(true);
        });

    /// <summary>The one loop that makes snapshots and reports.</summary>
    private async Task Publish(Informer[] endpoints, Informer services, TimeProvider time, CancellationToken stop)
    {
        using var timer = time.CreateTimer(static state => ((ChannelWriter<bool>)state!).TryWrite(true), _wake.Writer, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        try
        {
            await Task.WhenAll([services.Synced, .. endpoints.Select(i => i.Synced)]).WaitAsync(stop);
            _wake.Writer.TryWrite(true);
            while (await _wake.Reader.WaitToReadAsync(stop))
            {
                _wake.Reader.TryRead(out _);
                var (observed, withdrawn, more) = MakeSnapshot(endpoints);
                if (_synced.TrySetResult())
                    Log.Synced(_logger, Cell.Current.Names.Count);
                while (withdrawn && !Cell.IsQuiet)
                    await Task.Delay(TimeSpan.FromMilliseconds(1), time, stop);
                var next = Report(observed);
                if (next is { } end)
                    timer.Change(TimeSpan.FromSeconds((double)Math.Max(1, end - Ticks) / AnswerMark.TicksPerSecond), Timeout.InfiniteTimeSpan);
                if (more)
                    _wake.Writer.TryWrite(true);
                await Task.Delay(TimeSpan.FromMilliseconds(more ? DnsLimits.CatchUpMilliseconds : DnsLimits.CoalesceMilliseconds), time, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return; // the platform is stopping
        }
    }

    /// <summary>
    /// What is observed is read before the snapshot is made: an informer's revision moves after its handlers have run. It is the lower of the
    /// two: slices alone do not tell of a pod that is in none, or whose slices went with their Service before they called it terminating.
    /// <c>More</c>: a handler has run for a change that is not observed by both yet.
    /// </summary>
    private (long Observed, bool Withdrawn, bool More) MakeSnapshot(Informer[] endpoints)
    {
        lock (_gate)
        {
            var observed = endpoints.Min(i => i.Revision);
            var withdrawals = _contents!.Publish(Ticks);
            _drains.Add(withdrawals);
            Cell.Publish(_contents.Current);
            return (observed, withdrawals.Count > 0, _changed > observed);
        }
    }

    private long? Report(long observed)
    {
        lock (_gate)
        {
            var now = Ticks;
            _drains.Prune(now);
            var (draining, next) = _drains.Report(_feed!.Leaving, now);
            _reporter.Report(observed, draining, _awaited);
            return next;
        }
    }
}
