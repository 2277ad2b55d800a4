using System.Net;
using System.Threading.Channels;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Traffic;
using Declarative.Dns.MesosState;
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
    private readonly IReadOnlyList<ZoneAuthority> _authorities;
    private readonly TrafficReporter _reporter;
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly TaskCompletionSource _synced = Completion.New();
    private TaskCompletionSource _published = Completion.New();

    /// <summary>Guards feed, contents, drains and the two revisions.</summary>
    private readonly Lock _gate = new();
    private readonly DrainLedger _drains = new();
    private ZoneContents? _contents;
    private ZoneFeed? _feed;
    private MesosFeed? _mesos;
    private HostTable? _hosts;
    private long? _mesosSeen;
    private bool _stale;
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
            _options.Times, _options.HealthAware, _options.SrvWeight)
        {
            ClusterTimes = _options.ClusterTimes, Rfc952 = _options.Rfc952, IpSources = _options.IpSources,
        };
        if (_names.Mesos.Equals(_names.Cluster))
            throw new FormatException($"the Mesos domain and the cluster domain are both '{options.MesosDomain}'; they must differ");
        _authorities = ZoneAuthority.All(_names,
            _options.SoaServer is { } server ? DnsName.Parse(server) : null, _options.SoaMailbox is { } mailbox ? DnsName.Parse(mailbox) : null);
        _reporter = new TrafficReporter("dns", _options.Id) { Logger = _logger };
        ServerAddresses = [_options.Listen.Address];
    }

    /// <summary>Completes when the zones hold everything there was at the start; before that every answer is SERVFAIL.</summary>
    public Task Synced => _synced.Task;

    /// <summary>Completes when the TrafficReport stands: from then on the killing of tasks waits for this instance.</summary>
    public Task Registered => _reporter.Registered;

    internal ZoneCell Cell { get; } = new();

    internal ZoneNames Names => _names;

    /// <summary>Tenths of a second since the start, from 1 on.</summary>
    internal long Ticks => _clock is null ? 1 : 1 + (long)(_clock.GetElapsedTime(_started).TotalSeconds * AnswerMark.TicksPerSecond);

    /// <summary>Completes at the next version after this one; at once if there is one already.</summary>
    internal async Task NextVersion(long after, CancellationToken stop)
    {
        while (true)
        {
            var next = _published.Task;
            if (Cell.Current.Version > after)
                return;
            await next.WaitAsync(stop);
        }
    }

    /// <summary>Answers one query as over TCP, for clients in this process; 0: no answer. From one thread at a time.</summary>
    /// <param name="query">A DNS message.</param>
    /// <param name="response">65535 bytes.</param>
    public int Answer(ReadOnlySpan<byte> query, Span<byte> response) =>
        Dns.Answer.Write(Cell.Current, query, response, new AnswerTurn(stream: true, _rotation++, Ticks));

    /// <summary>The tasks that are published, by framework, with the records of each: for the HTTP API.</summary>
    internal IReadOnlyList<PublishedFramework> Frameworks()
    {
        lock (_gate)
        {
            var own = _feed?.Pods.Select(p => new PublishedTask(TaskName.Of(p), p.Task?.Id ?? "", ZoneBuilder.OfTask(p, _feed.IsLeaving(p.Uid), _names)));
            var others = _mesos?.Frameworks.Where(f => own is null || f.Framework != _options.Framework)
                .Select(f => new PublishedFramework(f.Framework, Published(f.Tasks.Select(t => new PublishedTask(t.Discovery?.Name is { Length: > 0 } name ? name : t.Name, t.Id, _mesos.Records(t))))));
            return [.. own is null ? [] : new[] { new PublishedFramework(_options.Framework, Published(own)) }, .. others ?? []];
        }

        static IReadOnlyList<PublishedTask> Published(IEnumerable<PublishedTask> tasks) => [.. tasks.Where(t => t.Records.Count > 0)];
    }

    /// <summary>How long ago a Mesos master last told something, in seconds; null: never, or none is followed.</summary>
    internal long? MesosAge
    {
        get
        {
            lock (_gate)
                return _mesosSeen is { } seen ? (Ticks - seen) / AnswerMark.TicksPerSecond : null;
        }
    }

    internal bool IsStale => _stale;

    /// <summary>The addresses of the hosts that Mesos names.</summary>
    internal HostTable Hosts(TimeProvider time)
    {
        lock (_gate)
            return _hosts ??= new HostTable(time, _options.Mesos?.Refresh ?? TimeSpan.FromSeconds(60));
    }

    /// <summary>A master has told something: takes it in, and remembers that it is there.</summary>
    internal void Change(Action<MesosFeed> change)
    {
        lock (_gate)
        {
            change(_mesos!);
            _mesosSeen = Ticks;
        }
        _wake.Writer.TryWrite(true);
    }

    /// <summary>Somebody else than a master has told something of them.</summary>
    internal void Rename(Action<MesosFeed> change)
    {
        lock (_gate)
            change(_mesos!);
        _wake.Writer.TryWrite(true);
    }

    /// <summary>Runs until stopped; then the TrafficReport is deleted.</summary>
    /// <param name="api">Null: only Mesos is followed, and no TrafficReport is written.</param>
    /// <param name="time">Clock.</param>
    /// <param name="random">For the pauses after failures.</param>
    /// <param name="stop">Ends it.</param>
    public async Task Run(IApi? api, TimeProvider time, Random random, CancellationToken stop)
    {
        _started = time.GetTimestamp();
        _clock = time;
        lock (_gate)
        {
            _contents = new ZoneContents(_authorities, (uint)time.GetUtcNow().ToUnixTimeSeconds()) { KeepsChanges = _options.TransferTo.Count > 0 };
            _contents.Put("cluster", ZoneBuilder.OfCluster(_names));
            _contents.Put("server", ZoneBuilder.OfServer(ServerAddresses, _authorities));
            if (api is not null)
                _feed = new ZoneFeed(_contents, _names);
            if (_options.Mesos is not null)
                _mesos = new MesosFeed(_contents, _names, api is null ? null : _options.Framework, Hosts(time).Find);
        }
        using var aging = _options.Mesos is null ? null : time.CreateTimer(static state => ((ChannelWriter<bool>)state!).TryWrite(true), _wake.Writer,
            TimeSpan.FromSeconds(DnsLimits.AgeCheckSeconds), TimeSpan.FromSeconds(DnsLimits.AgeCheckSeconds));
        if (api is null)
        {
            await Publish([], time, stop);
            return;
        }
        var pods = Follow(api, Kind.Pod, Pod.Read, time, random, (f, key, pod) => f.Apply(key, pod), pod => pod.Metadata.IsDeleting);
        var services = Follow(api, Kind.Service, Service.Read, time, random, (f, key, service) => f.Apply(key, service), _ => false);
        var slices = Follow(api, Kind.EndpointSlice, EndpointSlice.Read, time, random, (f, key, slice) => f.Apply(key, slice),
            slice => slice.Endpoints.Any(e => e.Conditions.IsTerminating));
        await Task.WhenAll(
            pods.Run(stop), services.Run(stop), slices.Run(stop), _reporter.Run(api, time, stop), Publish([pods, slices, services], time, stop));
    }

    /// <summary>The addresses under which this server is found: what the zones say of their name server.</summary>
    internal IReadOnlyList<IPAddress> ServerAddresses { get; set; }

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
    /// <param name="informers">Of pods, slices and services; none where there is no API.</param>
    /// <param name="time">Clock.</param>
    /// <param name="stop">Ends it.</param>
    private async Task Publish(Informer[] informers, TimeProvider time, CancellationToken stop)
    {
        using var timer = time.CreateTimer(static state => ((ChannelWriter<bool>)state!).TryWrite(true), _wake.Writer, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        try
        {
            await Task.WhenAll(informers.Select(i => i.Synced)).WaitAsync(stop);
            var endpoints = informers.Where(i => !i.Kind.Equals(Kind.Service)).ToArray();
            _wake.Writer.TryWrite(true);
            while (await _wake.Reader.WaitToReadAsync(stop))
            {
                _wake.Reader.TryRead(out _);
                // Without an API there is nothing to answer before Mesos has told its state.
                if (informers.Length == 0 && MesosAge is null)
                    continue;
                var (observed, withdrawn, more) = MakeSnapshot(endpoints);
                if (_synced.TrySetResult())
                    Log.Synced(_logger, Cell.Current.Names.Count);
                while (withdrawn && !Cell.IsQuiet)
                    await Task.Delay(TimeSpan.FromMilliseconds(1), time, stop);
                var next = Report(observed);
                // A change that comes meanwhile waits for neither of these.
                var again = next is { } end ? TimeSpan.FromSeconds((double)Math.Max(1, end - Ticks) / AnswerMark.TicksPerSecond) : Timeout.InfiniteTimeSpan;
                if (more)
                    again = TimeSpan.FromMilliseconds(DnsLimits.CatchUpMilliseconds);
                timer.Change(again, Timeout.InfiniteTimeSpan);
                await Task.Delay(TimeSpan.FromMilliseconds(DnsLimits.CoalesceMilliseconds), time, stop);
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
            var observed = endpoints.Select(i => i.Revision).DefaultIfEmpty(0).Min();
            if (_mesos is not null)
                LookAtAge();
            var withdrawals = _contents!.Publish(Ticks);
            _drains.Add(withdrawals);
            if (!ReferenceEquals(Cell.Current, _contents.Current))
            {
                Cell.Publish(_contents.Current);
                Interlocked.Exchange(ref _published, Completion.New()).SetResult();
            }
            return (observed, withdrawals.Count > 0, _changed > observed);
        }
    }

    private void LookAtAge()
    {
        var age = MesosAge;
        var stale = age >= (long)_options.StaleAfter.TotalSeconds;
        if (stale && !_stale)
            Log.Stale(_logger, age!.Value, _options.Stale);
        else if (_stale && !stale)
            Log.Fresh(_logger);
        _stale = stale;
        _contents!.Trust(_names.Mesos, age is null ? ZoneTrust.Incomplete : stale && _options.Stale == StalePolicy.ServFail ? ZoneTrust.Expired : ZoneTrust.Full);
    }

    private long? Report(long observed)
    {
        lock (_gate)
        {
            if (_feed is null)
                return null;
            var now = Ticks;
            _drains.Prune(now);
            var (draining, next) = _drains.Report(_feed.Leaving, now);
            _reporter.Report(observed, draining, _awaited);
            return next;
        }
    }
}

/// <summary>A framework and its tasks as they are published.</summary>
internal sealed record PublishedFramework(string Name, IReadOnlyList<PublishedTask> Tasks);

internal sealed record PublishedTask(string Name, string Id, IReadOnlyList<Record> Records);
