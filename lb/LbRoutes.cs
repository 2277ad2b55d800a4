using System.Collections.Concurrent;
using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Client.Traffic;
using Declarative.Lb.Drain;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Declarative.Lb.Status;
using Declarative.Lb.Tls;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Lb;

/// <summary>
/// The balancer without its sockets: follows Services, EndpointSlices, Ingresses and their certificates, keeps the <see cref="RouteTable"/>, stops traffic to pods
/// that go away and reports their requests in flight (architecture.md, decision 12), and writes statuses while it holds Lease
/// <c>kube-system/lb-status</c>. Runs on real threads under <see cref="LbPart"/> and in the simulated world alone.
/// </summary>
public sealed class LbRoutes
{
    /// <summary>So long the balancer waits for the Secrets before it serves: without them it can do all but show certificates.</summary>
    private static readonly TimeSpan SecretsWait = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan BindAgainEvery = TimeSpan.FromSeconds(2);

    /// <summary>Counts that change without reaching zero, and revisions that nobody waits for, are brought up to date this often.</summary>
    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(1);

    /// <summary>Objects of the start that are routed while the sockets of those before them are opened.</summary>
    private const int FirstTogether = 500;

    private readonly LbOptions _options;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly DrainBook _drain = new();
    private readonly LeavingPods _leaving = new();
    private readonly Lock _gate = new();
    private readonly HashSet<ResourceKey> _dirtySeen = [];
    private readonly List<ResourceKey> _dirty = [];
    private readonly SortedDictionary<ListenerKey, BindFailure> _failures = [];
    private readonly ConcurrentDictionary<ServiceKey, Standing> _standings = new();
    private RouteTable _table = RouteTable.Empty;
    private Signal? _signal;
    private long _awaited;
    private long _applied;
    private volatile bool _serving;

    public LbRoutes(LbOptions options, ILoggerFactory? loggers = null)
    {
        _options = options;
        _loggers = loggers ?? NullLoggerFactory.Instance;
        _logger = _loggers.CreateLogger("lb");
        Certificates = new(_logger);
        Reporter = new("lb", options.Id) { Logger = _logger };
    }

    public TrafficReporter Reporter { get; }

    public RouteTable Table => Volatile.Read(ref _table);

    /// <summary>True once everything that was there at the start is routed.</summary>
    public bool IsServing => _serving;

    /// <summary>Highest revision of a Service or an Ingress that stands in the table.</summary>
    public long Applied => Volatile.Read(ref _applied);

    /// <summary>Users of the Secrets that settings name.</summary>
    internal Credentials Credentials { get; } = new();

    /// <summary>What there is to say of the annotations of Ingresses.</summary>
    private readonly ObjectNews _ingressNews = new("InvalidSetting", "SettingsRead", "All annotations can be read");

    /// <summary>Followed only where Ingress is served over TLS.</summary>
    internal IngressCertificates Certificates { get; }

    internal ClientAuthorities ClientAuthorities { get; } = new();

    /// <summary>Opens a listener, or points an open one to its new holder; null = it listens. Without sockets every address is free.</summary>
    internal Func<Listener, BindFailure?> Bind { get; init; } = static _ => null;

    internal Action<ListenerKey> Unbind { get; init; } = static _ => { };

    /// <summary>Is told of each endpoint that takes no requests any longer, once or more often.</summary>
    internal Action<Destination> Closed { get; init; } = static _ => { };

    /// <summary>Where an Ingress is served, offset included.</summary>
    internal Func<Ingress, IReadOnlyList<int>> IngressPorts { get; init; } = static _ => [];

    /// <summary>Starts what may go on beside everything else: with sockets, on threads of its own; without it on the caller's.</summary>
    internal Func<Func<Task>, Task> Start { get; init; } = static x => x();

    /// <summary>Runs after the last change was taken in and before the TrafficReport is deleted: lets requests in flight end.</summary>
    internal Func<TimeProvider, Task> Leave { get; init; } = static _ => Task.CompletedTask;

    /// <summary>
    /// What a client that connects to this address would reach, with the request counted on it; null where nothing listens or no endpoint is
    /// ready. To be given back by <see cref="Destination.Release"/>.
    /// </summary>
    public Destination? Pick(string address, int port) =>
        Table.Listeners.TryGetValue(new(address, port), out var listener) ? listener.Cluster.Pick() : null;

    /// <summary>Runs until stopped. Events, statuses and the report are written as the user that <paramref name="api"/> is bound to.</summary>
    public async Task Run(IApi api, TimeProvider time, Random random, CancellationToken stop)
    {
        using var signal = new Signal(time);
        Volatile.Write(ref _signal, signal);
        using var reporting = new CancellationTokenSource();
        var reports = Reporter.Run(api, time, reporting.Token);
        try
        {
            // Registered before the first look at the slices: whatever is marked from now on waits until this instance has seen it.
            Reporter.Report(0, []);
            await Reporter.Registered.WaitAsync(stop);
            await Follow(api, signal, time, random, stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Log.Stopping(_logger, _options.Id);
        }
        await Leave(time);
        reporting.Cancel();
        await reports;
    }

    private async Task Follow(IApi api, Signal signal, TimeProvider time, Random random, CancellationToken stop)
    {
        var services = new Informer<Service>(api, Kind.Service, Service.Read, time, random) { Logger = _logger };
        var slices = new Informer<EndpointSlice>(api, Kind.EndpointSlice, EndpointSlice.Read, time, random) { Logger = _logger };
        var ingresses = new Informer<Ingress>(api, Kind.Ingress, Ingress.Read, time, random) { Logger = _logger };
        var classes = new Informer<IngressClass>(api, Kind.IngressClass, IngressClass.Read, time, random) { Logger = _logger };
        // Only those of the type: no other secret comes near the balancer.
        var secrets = _options.HttpsPort == 0 ? null
            : new Informer<Secret>(api, Kind.Secret, Secret.Read, time, random) { Fields = FieldSelector.Of("type", SecretReader.Type), Logger = _logger };
        var users = new Informer<Secret>(api, Kind.Secret, Secret.Read, time, random) { Fields = FieldSelector.Of("type", Credentials.Type), Logger = _logger };
        // At once and not in turn: a password that was changed must not open anything any longer.
        users.OnChange(x => Credentials.Apply(new(x.Object.Namespace, x.Object.Name), x.New));
        services.OnChange(x => Touch(Kind.Service, x.Object.Namespace, x.Object.Name));
        slices.AddIndex("service", static x => x.ServiceName.Length == 0 ? [] : [$"{x.Namespace}/{x.ServiceName}"])
            .AddIndex("pod", static x => x.Endpoints.Select(y => y.TargetRef?.Uid ?? "").Where(y => y.Length > 0)).OnChange(x => TouchSlice(x, slices));
        ingresses.AddIndex("secret", static x => x.Spec.Tls.Select(y => $"{x.Namespace}/{y.SecretName}").Distinct()).OnChange(x => Touch(Kind.Ingress, x.Object.Namespace, x.Object.Name));
        classes.OnChange(_ =>
        {
            foreach (var ingress in ingresses.List()) Touch(Kind.Ingress, ingress.Namespace, ingress.Name);
        });
        secrets?.OnChange(x =>
        {
            ClientAuthorities.Apply(new(x.Object.Namespace, x.Object.Name), x.New);
            foreach (var ingress in ingresses.ByIndex("secret", $"{x.Object.Namespace}/{x.Object.Name}")) Touch(Kind.Ingress, ingress.Namespace, ingress.Name);
        });
        LeaderLease lease = new(api, "kube-system", "lb-status", $"lb-{_options.Id}", time, random) { Logger = _logger };
        var statuses = new Controller<ResourceKey>("lb", api, time, (key, _) => ValueTask.FromResult(lease.MayAct ? StatusOf(key, services, ingresses, classes, time) : Plan.Nothing))
        {
            Views = [services, ingresses],
            Events = new(api, "lb", time, random) { Logger = _logger },
            Workers = 2,
            Logger = _logger,
        };
        using var stopping = stop.Register(signal.Set);
        var served = Completion.New();
        Task[] loops =
        [
            // These two may be long; they are read side by side.
            Start(() => slices.Run(stop)),
            Start(() => statuses.Run(stop)),
            classes.Run(stop),
            secrets?.Run(stop) ?? Task.CompletedTask,
            users.Run(stop),
            // What a balancer does not serve yet it has nothing to say of.
            AfterStart(served.Task, () => lease.Run(term => Lead(statuses, term), stop), stop),
        ];
        try
        {
            foreach (var view in (Informer[])[services, slices, ingresses, classes]) await view.Synced.WaitAsync(stop);
            var withSecrets = secrets is null || await HasSynced(secrets, time, stop);
            var bindAgain = DateTimeOffset.MaxValue;
            while (!stop.IsCancellationRequested)
            {
                long awaited;
                lock (_gate) awaited = _awaited;
                // The informer says that it has seen a change after it has told of it.
                await slices.WaitFor(awaited, stop);
                // Read before the keys are taken: every change up to it has been noted by then.
                var revision = slices.Revision;
                var now = time.GetUtcNow();
                if (!withSecrets && secrets!.HasSynced)
                {
                    withSecrets = true;
                    foreach (var ingress in ingresses.List()) Touch(Kind.Ingress, ingress.Namespace, ingress.Name);
                }
                if (_serving) Apply(TakeDirty(), services, slices, ingresses, classes, secrets, statuses, time, null);
                else await ApplyFirst(TakeDirty(), (keys, first) => Apply(keys, services, slices, ingresses, classes, secrets, statuses, time, first), statuses);
                if (now >= bindAgain) BindAgain(statuses);
                if (_failures.Count == 0) bindAgain = DateTimeOffset.MaxValue;
                else if (now >= bindAgain || bindAgain == DateTimeOffset.MaxValue) bindAgain = now + BindAgainEvery;
                Reporter.Report(revision, _drain.Report(), awaited);
                if (!_serving)
                {
                    _serving = true;
                    served.TrySetResult();
                    Log.Serving(_logger, _options.Id, Table.Services.Count(), Table.Listeners.Count);
                }
                await signal.Wait(now + ReportEvery);
            }
            stop.ThrowIfCancellationRequested();
        }
        finally
        {
            _serving = false;
            foreach (var loop in loops) await loop;
        }
    }

    private static async Task AfterStart(Task started, Func<Task> run, CancellationToken stop)
    {
        var stopped = Completion.New();
        using var stopping = stop.Register(() => stopped.TrySetResult());
        if (await Task.WhenAny(started, stopped.Task) == started) await run();
    }

    private async Task<bool> HasSynced(Informer<Secret> secrets, TimeProvider time, CancellationToken stop)
    {
        using var enough = new CancellationTokenSource(SecretsWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, enough.Token);
        try
        {
            await secrets.Synced.WaitAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            Log.WithoutSecrets(_logger);
            return false;
        }
    }

    private void TouchSlice(Change<EndpointSlice> change, Informer<EndpointSlice> slices)
    {
        foreach (var uid in _leaving.Apply(change))
        {
            foreach (var slice in slices.ByIndex("pod", uid)) Touch(Kind.Service, slice.Namespace, slice.ServiceName);
        }
        lock (_gate)
        {
            if (change.New is { } slice && slice.Endpoints.Any(x => x.Conditions.IsTerminating)) _awaited = Math.Max(_awaited, change.Revision);
        }
        if (change.Old is { } old) Touch(Kind.Service, old.Namespace, old.ServiceName);
        if (change.New is { } now && now.ServiceName != change.Old?.ServiceName) Touch(Kind.Service, now.Namespace, now.ServiceName);
    }

    private void Touch(Kind kind, string ns, string name)
    {
        lock (_gate)
        {
            var key = new ResourceKey(kind, ns, name);
            if (_dirtySeen.Add(key)) _dirty.Add(key);
        }
        _signal?.Set();
    }

    private ResourceKey[] TakeDirty()
    {
        lock (_gate)
        {
            ResourceKey[] taken = [.. _dirty];
            _dirty.Clear();
            _dirtySeen.Clear();
            return taken;
        }
    }

    /// <summary>Thousands may be there at the start: their sockets are opened beside the making of the routes, in the same order.</summary>
    private async Task ApplyFirst(ResourceKey[] keys, Action<ResourceKey[], FirstLoad> apply, Controller<ResourceKey> statuses)
    {
        var binding = Task.CompletedTask;
        var concerned = new SortedSet<ServiceKey>();
        foreach (var some in keys.Chunk(FirstTogether))
        {
            var first = new FirstLoad([], concerned);
            apply(some, first);
            await binding;
            binding = Start(() =>
            {
                foreach (var listener in first.Listeners) BindFirst(listener);
                return Task.CompletedTask;
            });
        }
        await binding;
        foreach (var service in concerned) Stand(service, statuses);
    }

    /// <summary>As <see cref="Apply"/>, the bulkhead of one object.</summary>
    private void BindFirst(Listener listener)
    {
        try
        {
            TryBind(listener);
        }
        catch (Exception e)
        {
            Log.LeftOut(_logger, "listener", listener.Key.ToString(), e);
        }
    }

    /// <param name="Listeners">To be opened.</param>
    /// <param name="Concerned">Whose claims stand differently then.</param>
    private sealed record FirstLoad(List<Listener> Listeners, SortedSet<ServiceKey> Concerned);

    /// <param name="first">Is told what is left to do; null = nothing is.</param>
    private void Apply(
        ResourceKey[] keys, Informer<Service> services, Informer<EndpointSlice> slices, Informer<Ingress> ingresses, Informer<IngressClass> classes, Informer<Secret>? secrets,
        Controller<ResourceKey> statuses, TimeProvider time, FirstLoad? first)
    {
        foreach (var key in keys)
        {
            var service = new ServiceKey(key.Namespace, key.Name);
            try
            {
                if (key.Kind.Equals(Kind.Ingress))
                {
                    ApplyIngress(service, ingresses.Get(key.Namespace, key.Name), classes, secrets, time.GetUtcNow());
                    statuses.Queue.Add(key);
                }
                else ApplyService(service, services.Get(key.Namespace, key.Name), slices.ByIndex("service", service.ToString()), statuses, time, first);
            }
            catch (Exception e) // the bulkhead of one object: the others go on
            {
                Log.LeftOut(_logger, key.Kind.Name, service.ToString(), e);
            }
        }
    }

    private void ApplyService(ServiceKey key, Service? service, IReadOnlyList<EndpointSlice> slices, Controller<ResourceKey> statuses, TimeProvider time, FirstLoad? first)
    {
        var changes = new RouteChanges(Drained, time);
        var table = service is null ? Table.Without(key, changes) : Table.With(RouteBuilder.Build(service, slices, _options, _leaving.Contains), changes);
        Volatile.Write(ref _table, table);
        _drain.Apply(changes);
        foreach (var destination in changes.Closed) Closed(destination);
        foreach (var destination in changes.Gone) Closed(destination);
        changes.StatusOf.Add(key);
        if (first is not null)
        {
            // Nothing is open yet that could be closed.
            Stands(service);
            first.Listeners.AddRange(changes.Set);
            first.Concerned.UnionWith(changes.StatusOf);
            return;
        }
        foreach (var gone in changes.Removed)
        {
            _failures.Remove(gone);
            Unbind(gone);
        }
        foreach (var listener in changes.Set) TryBind(listener);
        Stands(service);
        foreach (var other in changes.StatusOf) Stand(other, statuses);
    }

    private void ApplyIngress(ServiceKey key, Ingress? ingress, Informer<IngressClass> classes, Informer<Secret>? secrets, DateTimeOffset now)
    {
        if (ingress is not null && !IsOurs(ingress, classes)) ingress = null;
        var settings = ingress is null ? PortSettings.Default : SettingsReader.Read(ingress);
        _ingressNews.Set(key, ingress?.Uid, string.Join("; ", settings.Problems));
        Volatile.Write(ref _table, Table.With(Table.Hosts.With(key, ingress is null ? [] : HostRules.Read(ingress, settings.Edge?.Continue(Table.Hosts.EdgeOf(key))))));
        if (secrets is not null) Certificates.Apply(key, ingress, secrets, now);
        Stands(ingress);
    }

    private void Stands(ApiObject? thing)
    {
        if (thing is not null && long.TryParse(thing.Metadata.ResourceVersion, NumberStyles.None, CultureInfo.InvariantCulture, out var revision)) Volatile.Write(ref _applied, Math.Max(_applied, revision));
    }

    /// <summary>An Ingress without a class is served, as by a default class; one with a class only where the class is this balancer's.</summary>
    internal static bool IsOurs(Ingress ingress, Informer<IngressClass> classes) =>
        ingress.Spec.IngressClassName.Length == 0 || classes.Get("", ingress.Spec.IngressClassName)?.Spec.Controller == RouteBuilder.Class;

    private bool TryBind(Listener listener)
    {
        var failure = Bind(listener);
        var before = _failures.GetValueOrDefault(listener.Key);
        if (failure is null) _failures.Remove(listener.Key);
        else _failures[listener.Key] = failure;
        if (failure is not null && failure != before) Log.NotListening(_logger, listener.Key.ToString(), failure.Message);
        return failure != before;
    }

    /// <summary>Ports that others held may be free by now.</summary>
    private void BindAgain(Controller<ResourceKey> statuses)
    {
        foreach (var key in _failures.Keys.ToList())
        {
            if (!Table.Listeners.TryGetValue(key, out var listener) || !TryBind(listener)) continue;
            foreach (var contender in listener.Contenders) Stand(contender.Service, statuses);
        }
    }

    private void Stand(ServiceKey key, Controller<ResourceKey> statuses)
    {
        if (Table.Routes(key) is { } routes) _standings[key] = Standing.Of(routes, Table, _failures);
        else _standings.TryRemove(key, out _);
        // Whoever begins to lead looks at everything.
        if (_serving) statuses.Queue.Add(new(Kind.Service, key.Namespace, key.Name));
    }

    private Plan StatusOf(ResourceKey key, Informer<Service> services, Informer<Ingress> ingresses, Informer<IngressClass> classes, TimeProvider time)
    {
        if (key.Kind.Equals(Kind.Ingress))
        {
            if (ingresses.Get(key.Namespace, key.Name) is not { } ingress || !IsOurs(ingress, classes)) return Plan.Nothing;
            var plan = StatusPlan.Compute(ingress, IngressPorts(ingress), _options);
            // A write may fail and take its events along: they are told when the change of the Ingress has brought it here again.
            if (plan.Changes.Count > 0) return plan;
            EventNote?[] news = [Certificates.News(ingress), _ingressNews.Take(ingress, Kind.Ingress)];
            return news.All(x => x is null) ? plan : plan with { Events = [.. news.OfType<EventNote>()] };
        }
        if (services.Get(key.Namespace, key.Name) is not { } service || service.Metadata.IsDeleting) return Plan.Nothing;
        var standing = _standings.GetValueOrDefault(new(key.Namespace, key.Name)) ?? new(service.Uid, [], []);
        return standing.Uid == service.Uid ? StatusPlan.Compute(service, standing, _options, time.GetUtcNow()) : Plan.Nothing;
    }

    /// <summary>What another balancer wrote may be older than this one's view: everything is looked at once.</summary>
    private async Task Lead(Controller<ResourceKey> statuses, CancellationToken term)
    {
        foreach (var service in Table.Services) statuses.Queue.Add(new(Kind.Service, service.Namespace, service.Name));
        foreach (var ingress in Table.Hosts.Ingresses) statuses.Queue.Add(new(Kind.Ingress, ingress.Namespace, ingress.Name));
        var ended = Completion.New();
        using var ending = term.Register(ended.SetResult);
        await ended.Task;
    }

    private void Drained(Destination destination) => _signal?.Set();
}
