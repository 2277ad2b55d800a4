using System.Net;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer;
using Declarative.ApiServer.Authentication.Oidc;
using Declarative.ApiServer.Authorization;
using Declarative.ApiServer.Http;
using Declarative.ApiServer.Http.Audit;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Encryption;
using Declarative.ApiServer.Storage.Etcd;
using Declarative.ApiServer.Storage.Sqlite;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Roles;

/// <summary>The API server with its journal and its HTTPS face.</summary>
internal sealed class ApiServerRole : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly IJournal _journal;
    private readonly ApiServer.ApiServer _server;
    private readonly Task _running;
    private HttpFace? _face;

    private ApiServerRole(IJournal journal, ApiServer.ApiServer server, Authorizer authorizer, TimeProvider time)
    {
        (_journal, _server) = (journal, server);
        _running = Completion.OfAll(server.Run(_stop.Token), authorizer.Run(server.As(User.ApiServer), time, _stop.Token));
    }

    /// <summary>Completes when a loop ends, which it does only when stopped or by a bug.</summary>
    public Task Running => _running;

    public string Url => _face!.Url;

    public IApi As(User user) => _server.As(user);

    public static async Task<ApiServerRole> Start(ApiServerSettings settings, Machine machine, ILoggerFactory logs, IReadOnlyList<HealthCheck> readiness, CancellationToken stop)
    {
        var http = new HttpOptions
        {
            Address = IPAddress.Loopback,
            Port = settings.Ports.Api,
            Directory = settings.Data.Path,
            Version = Version.Number,
            ServesTasks = true,
            ServiceAddresses = [FirstAddress(settings.Ranges.ClusterIps)],
            TokenFile = settings.TokenFile,
            Oidc = settings.Oidc,
            Audit = settings.Audit,
            Readiness = readiness,
            Random = machine.NewRandom(),
            Log = logs,
        };
        // The store and what the face stands on are made at once: each takes about half of a start.
        HttpGround? ground = null;
        var grounding = machine.OnThread(() => ground = HttpGround.Make(http, machine.Time));
        try
        {
            return await Start(settings, http, async () => { await grounding; return ground!; }, machine, logs, stop);
        }
        catch
        {
            await Task.WhenAny(grounding);
            if (ground is not null) await ground.Discard();
            throw;
        }
    }

    private static async Task<ApiServerRole> Start(ApiServerSettings settings, HttpOptions http, Func<Task<HttpGround>> ground, Machine machine, ILoggerFactory logs, CancellationToken stop)
    {
        var keys = settings.KeyFile.Length == 0 ? null : EncryptionKeys.Read(settings.KeyFile, await File.ReadAllTextAsync(settings.KeyFile, stop));
        IJournal store = settings.Etcd is { } etcd ? await OnEtcd(etcd, settings.Data.History, logs.CreateLogger("apiserver.etcd"), stop) : await SqliteJournal.Open(settings.Data.Database, logs.CreateLogger("apiserver.sqlite"));
        var journal = new EncryptedJournal(store, keys);
        var authorizer = new Authorizer();
        ApiServer.ApiServer? server = null;
        ApiServerRole? role = null;
        server = await ApiServer.ApiServer.Open(journal, new ApiServerOptions
        {
            Hook = WebhookCaller.Over(user => server!.As(user), machine.Time),
            Usage = (request, asked) => role?._face?.Usage(request, asked) ?? throw Status.Unavailable("the API server is starting: it does not know the agents yet"),
            Authorize = authorizer.Check,
            CheckGrant = authorizer.CheckGrant,
            Allows = authorizer.Allows,
            ServiceClusterIpRange = settings.Ranges.ClusterIps,
            ServiceNodePortRange = settings.Ranges.NodePorts,
            ServiceRangesFrom = settings.Ports.Offset,
            BootstrapObjects = BootstrapPolicy.Objects,
            HistoryKeptFor = settings.HistoryKeptFor,
            HistoryBytesMax = settings.HistoryBytesMax,
            WatchPace = machine.Time,
            Log = logs.CreateLogger("apiserver"),
        }, machine.Time, machine.NewRandom(), stop);
        role = new ApiServerRole(journal, server, authorizer, machine.Time);
        try
        {
            await server.Bootstrap(stop);
            role._face = await HttpFace.Start(server.As, authorizer, http with
            {
                Kinds = server.Kinds,
                History = server.History,
                Connect = server.Connect,
                Backup = (to, ended) => server.Backup(to, Version.Number, ended),
                Readiness = journal.Shared is { } shared ? [EtcdCheck(shared), .. http.Readiness] : http.Readiness,
            }, machine.Time, stop, await ground());
            return role;
        }
        catch
        {
            await role.DisposeAsync();
            throw;
        }
    }

    private static async Task<IJournal> OnEtcd(EtcdOptions etcd, string history, ILogger log, CancellationToken stop)
    {
        var past = await JournalWithHistory.OpenPast(history, log);
        try
        {
            return new JournalWithHistory(await EtcdJournal.Open(etcd, log, stop), past, log);
        }
        catch
        {
            await past.DisposeAsync();
            throw;
        }
    }

    private static HealthCheck EtcdCheck(ISharedJournal shared) => new("etcd", async stop =>
    {
        try
        {
            await shared.NewestRevision(stop);
            return null;
        }
        catch (JournalException e)
        {
            return e.Message;
        }
    });

    /// <summary>The address of Service default/kubernetes, as in Kubernetes the first of the range.</summary>
    private static IPAddress FirstAddress(string range)
    {
        var bytes = IPNetwork.Parse(range).BaseAddress.GetAddressBytes();
        bytes[^1]++;
        return new(bytes);
    }

    public async ValueTask DisposeAsync()
    {
        if (_face is not null) await _face.DisposeAsync();
        _stop.Cancel();
        await _running;
        await _journal.DisposeAsync();
        _stop.Dispose();
    }
}

internal sealed record ApiServerSettings(DataDirectory Data, Ports Ports, ServiceRanges Ranges)
{
    /// <summary>More bearer tokens, in Kubernetes' form; "" = none.</summary>
    public string TokenFile { get; init; } = "";

    /// <summary>An issuer whose ID tokens are bearer tokens too; null = none.</summary>
    public OidcOptions? Oidc { get; init; }

    /// <summary>The keys that Secrets are encrypted with at rest; "" = none.</summary>
    public string KeyFile { get; init; } = "";

    /// <summary>Where objects are kept; null = in SQLite, in the data directory.</summary>
    public EtcdOptions? Etcd { get; init; }

    /// <summary>Where requests are recorded; null = nowhere.</summary>
    public AuditOptions? Audit { get; init; }

    /// <summary>Old states of objects are forgotten after this time.</summary>
    public TimeSpan HistoryKeptFor { get; init; } = TimeSpan.FromDays(30);

    /// <summary>And the oldest of all beyond so many bytes.</summary>
    public long HistoryBytesMax { get; init; } = 1L << 30;
}

/// <param name="ClusterIps">CIDR.</param>
internal sealed record ServiceRanges(string ClusterIps, (int First, int Last) NodePorts);
