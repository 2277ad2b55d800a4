using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Admission.Webhooks;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.ApiServer;

/// <summary>
/// The resource API server in process. <see cref="As"/> gives the API as one user sees it; the HTTPS face stands on the same.
/// A request goes authorization → decoding → admission → strategy → store, in <see cref="Registry.Registry"/>.
/// </summary>
public sealed class ApiServer
{
    private readonly Registry.Registry _registry;
    private readonly RevisionLog _log;
    private readonly TimeProvider _time;
    private readonly CustomResources.DefinitionUpkeep _definitions;
    private readonly CustomResources.LocalServices _services;
    private readonly Authorization.AggregatedRoles _roles;

    private ApiServer(RevisionLog log, ApiServerOptions options, TimeProvider time, Random random)
    {
        _log = log;
        _time = time;
        Options = options;
        _registry = new(log, options, time, random);
        _roles = new(log, time);
        _services = new(log, _registry.Kinds, (key, json, stopped) => As(User.ApiServer).Create(key, json, stop: stopped), (key, stopped) => _registry.Delete(User.ApiServer, key, new(), stopped), time);
        _definitions = new(log, _registry.Kinds, (key, stopped) => _registry.Delete(User.ApiServer, key, new(), stopped), time);
    }

    public ApiServerOptions Options { get; }

    /// <summary>The newest durable revision.</summary>
    public long Revision => _log.Revision;

    /// <summary>What is served now: the built-in table and what CustomResourceDefinitions add. The same list until one of these changes.</summary>
    public IReadOnlyList<Kind> Kinds() => _registry.Kinds.All;

    /// <summary>Reads the journal. <see cref="Run"/> must be running before the first write.</summary>
    public static async Task<ApiServer> Open(IJournal journal, ApiServerOptions options, TimeProvider time, Random random, CancellationToken stop)
    {
        var log = await RevisionLog.Open(journal, stop, options.WatchPace);
        return new(log, options, time, random);
    }

    /// <summary>The writer loop and the housekeeping; ends when <paramref name="stop"/> is set. Its owner awaits it.</summary>
    public Task Run(CancellationToken stop) => Completion.OfAll(_log.Run(stop), _registry.KeepHouse(stop), _definitions.Run(stop), _services.Run(stop), _roles.Run(stop));

    /// <summary>Creates what every cluster has: the four namespaces, what the options ask for, and an APIService for each group and version. Roles and bindings that are there get what they lack.</summary>
    public async Task Bootstrap(CancellationToken stop)
    {
        // Namespaces before what lies in them. Of each kind of step none needs another: together they are a few batches on the disk.
        await Task.WhenAll(Admission.Bootstrap.Objects().Select(x => Make(x.Key, x.Json, stop)));
        await Task.WhenAll(Options.BootstrapObjects.Concat(CustomResources.LocalServices.OfTable()).Select(x => Make(x.Key, x.Json, stop)));
    }

    private async Task Make(ResourceKey key, ReadOnlyMemory<byte> json, CancellationToken stop)
    {
        if (_log.Get(key) is null)
        {
            try
            {
                await As(User.ApiServer).Create(key, json, stop: stop);
                return;
            }
            catch (ApiException e) when (e.Status.Reason == Api.Objects.StatusReason.AlreadyExists)
            {
                await _log.Fresh(stop); // Another server that starts has been quicker.
            }
        }
        // From an earlier start, and perhaps changed since.
        var wanted = Registry.Canonical.Parse(json);
        if (_log.Get(key) is { } found && Authorization.BootstrapRights.IsOfAnotherRole(key, Registry.Canonical.Parse(found.Stored.Json), wanted)) await MakeAnew(key, found.Stored.Uid, json, stop);
        else await Complete(key, wanted, stop);
    }

    /// <summary>What another server does of this at the same time is done.</summary>
    private async Task MakeAnew(ResourceKey key, string uid, ReadOnlyMemory<byte> json, CancellationToken stop)
    {
        try
        {
            await _registry.Delete(User.ApiServer, key, new() { Uid = uid }, stop);
        }
        catch (ApiException other) when (other.IsNotFound || other.IsConflict)
        {
            await _log.Fresh(stop); // The other server may have stopped before it created the object.
        }
        try
        {
            await As(User.ApiServer).Create(key, json, stop: stop);
        }
        catch (ApiException other) when (other.Status.Reason == Api.Objects.StatusReason.AlreadyExists)
        {
            await _log.Fresh(stop);
        }
    }

    private async Task Complete(ResourceKey key, System.Text.Json.Nodes.JsonObject wanted, CancellationToken stop)
    {
        if (_log.Get(key) is not { } found || Completed(found.Stored) is null) return;
        await _registry.Change(User.ApiServer, key, new(), x => Completed(x) ?? Registry.Canonical.Parse(x.Json), stop);

        System.Text.Json.Nodes.JsonObject? Completed(Stored stored) => Authorization.BootstrapRights.Completed(key, Registry.Canonical.Parse(stored.Json), wanted);
    }

    /// <summary>The changes of an object, there or deleted, the latest first. Throws 403 for who may not read it, 405 where the journal keeps none.</summary>
    /// <param name="before">Only changes of a lower revision; 0 = all.</param>
    public Task<IReadOnlyList<HistoryRecord>> History(User user, ResourceKey key, int limit, long before, CancellationToken stop) => _registry.ReadHistory(user, key, limit, before, stop);

    /// <summary>Shows a connection to a pod, service or node to webhooks and policies. Throws what denies it.</summary>
    /// <param name="options">Its parameters, a core/v1 object such as PodExecOptions.</param>
    public Task Connect(User user, ResourceKey key, System.Text.Json.Nodes.JsonObject options, WriteOptions write, CancellationToken stop) => _registry.Connect(user, key, options, write, stop);

    /// <summary>Writes every object as of one revision; see <see cref="Storage.Backup"/>. Nothing waits for it.</summary>
    public Task Backup(Stream to, string version, CancellationToken stop)
    {
        var (objects, revision) = _log.SnapshotAll();
        return Storage.Backup.Write(to, objects, revision, new(version, _time.GetUtcNow()), stop);
    }

    /// <summary>The API bound to a user: every call is authorized as that user.</summary>
    public IApi As(User user) => _log.IsShared ? new FreshApi(_log, new UserApi(_registry, user)) : new UserApi(_registry, user);
}

public sealed record ApiServerOptions
{
    /// <summary>Answers null (allowed) or the 403 that the user gets; the default allows everything.</summary>
    public Authorize Authorize { get; init; } = static (_, _, _, _, _, _) => null;

    /// <summary>The same question about what may be no kind of this server, or about a path; the default allows everything.</summary>
    public Func<User, AccessQuestion, bool> Allows { get; init; } = static (_, _) => true;

    /// <summary>Calls webhooks; the default can not, for servers without a network.</summary>
    public CallHook Hook { get; init; } = static (_, _, _, _) => throw new HookException("this API server can not call webhooks");

    /// <summary>Answers null, or the 403 for a role or binding that grants what the user does not hold; the default allows everything.</summary>
    public CheckGrant CheckGrant { get; init; } = static (_, _, _, _) => null;

    /// <summary>Lists what is never stored, the kinds of metrics.k8s.io; by default nobody tells of any usage.</summary>
    public Func<ListRequest, CancellationToken, Task<StoredList>> Usage { get; init; } = static (_, _) => Task.FromResult(new StoredList([], 0, "", null));

    /// <summary>Cluster IPs of Services (architecture.md, decision 13).</summary>
    public string ServiceClusterIpRange { get; init; } = "127.64.0.0/12";

    /// <summary>Node ports of Services, first and last.</summary>
    public (int First, int Last) ServiceNodePortRange { get; init; } = (30000, 30999);

    /// <summary>
    /// Moves where in both ranges the first free one is looked for. Platforms that share a machine share the default ranges; with different
    /// numbers they give out different addresses until one has very many Services.
    /// </summary>
    public int ServiceRangesFrom { get; init; }

    /// <summary>Events are removed after this time (Kubernetes: 1 h).</summary>
    public TimeSpan EventsKeptFor { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Old states of objects are forgotten after this time, but of each object that is there the last before it.</summary>
    public TimeSpan HistoryKeptFor { get; init; } = TimeSpan.FromDays(30);

    /// <summary>And the oldest of all beyond so many bytes.</summary>
    public long HistoryBytesMax { get; init; } = 1L << 30;

    /// <summary>The clock by which the waking of very many watchers leaves time for what else there is to do; null = they are woken without a rest.</summary>
    public TimeProvider? WatchPace { get; init; }

    /// <summary>Told what is kept but can not be served.</summary>
    public ILogger Log { get; init; } = NullLogger.Instance;

    /// <summary>Objects created at the first start, after the namespaces, and completed at later ones: bootstrap roles and bindings.</summary>
    public IReadOnlyList<(ResourceKey Key, ReadOnlyMemory<byte> Json)> BootstrapObjects { get; init; } = [];
}

/// <summary>One question to authorization (authorization.k8s.io/v1, ResourceAttributes or NonResourceAttributes).</summary>
/// <param name="Resource">The plural.</param>
public sealed record AccessQuestion(string Verb, string Group, string Resource)
{
    public string Subresource { get; init; } = "";

    /// <summary>"" = cluster-scoped, or all namespaces.</summary>
    public string Namespace { get; init; } = "";
    public string Name { get; init; } = "";

    /// <summary>Of what is no resource, such as <c>/metrics</c>; "" for resources.</summary>
    public string Path { get; init; } = "";
}

/// <param name="verb">get, list, watch, create, update, patch, delete, deletecollection or a special verb.</param>
public delegate ApiException? Authorize(User user, string verb, Kind kind, string subresource, string ns, string name);

/// <param name="old">The object before the write, null for a creation.</param>
public delegate ApiException? CheckGrant(User user, ResourceKey key, System.Text.Json.Nodes.JsonObject wanted, System.Text.Json.Nodes.JsonObject? old);
