using System.Net;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Authentication.Oidc;
using Declarative.ApiServer.Http.Audit;
using Declarative.ApiServer.Storage;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.ApiServer.Http;

/// <summary>How the API server shows itself.</summary>
public sealed record HttpOptions
{
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>0 = any free port; see <see cref="HttpFace.Port"/>.</summary>
    public int Port { get; init; } = 6443;

    /// <summary>Where <c>pki/</c> and <c>kubeconfig</c> are kept.</summary>
    public required string Directory { get; init; }

    /// <summary>DNS names of the serving certificate beside localhost and those of the Service default/kubernetes.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>Addresses of the serving certificate beside the loopback ones: most of all the cluster IP of default/kubernetes.</summary>
    public IReadOnlyList<IPAddress> ServiceAddresses { get; init; } = [];

    /// <summary>Keeps what clients inside tasks need: Service default/kubernetes, and in each namespace ServiceAccount default and ConfigMap kube-root-ca.crt.</summary>
    public bool ServesTasks { get; init; }

    /// <summary>What ServiceAccount tokens name as their issuer, and their audience by default.</summary>
    public string AccountIssuer { get; init; } = "https://kubernetes.default.svc.cluster.local";

    /// <summary>More bearer tokens, in Kubernetes' form: a line <c>token,user,uid,"group,group"</c> each; "" = none. Read at start.</summary>
    public string TokenFile { get; init; } = "";

    /// <summary>An issuer whose ID tokens are bearer tokens too; null = none.</summary>
    public OidcOptions? Oidc { get; init; }

    /// <summary>The product's version, without a v: <c>/version</c> answers <c>v1.33.0+declarative.VERSION</c>.</summary>
    public string Version { get; init; } = "0.1.0";

    /// <summary>What is served now: <see cref="ApiServer.Kinds"/>; by default the built-in table alone.</summary>
    public Func<IReadOnlyList<Kind>> Kinds { get; init; } = static () => Kind.All;

    /// <summary>What answers <c>…/NAME/history</c>: <see cref="ApiServer.History"/>.</summary>
    public ReadHistory? History { get; init; }

    /// <summary>What shows connections to admission: <see cref="ApiServer.Connect"/>; null = nothing does.</summary>
    public AdmitConnection? Connect { get; init; }

    /// <summary>What answers <c>/backup</c>: <see cref="ApiServer.Backup"/>.</summary>
    public Func<Stream, CancellationToken, Task>? Backup { get; init; }

    /// <summary>Where requests are recorded; null = nowhere.</summary>
    public AuditOptions? Audit { get; init; }

    /// <summary>A watch that names no time ends after this one or up to twice it; its client goes on where it was (kube-apiserver's --min-request-timeout).</summary>
    public TimeSpan WatchTimeMin { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>Spreads the ends of such watches.</summary>
    public Random Random { get; init; } = Random.Shared;

    /// <summary>The checks of <c>/readyz</c> in their order.</summary>
    public IReadOnlyList<HealthCheck> Readiness { get; init; } = [];

    public ILoggerFactory Log { get; init; } = NullLoggerFactory.Instance;
}

/// <param name="before">Only changes of a lower revision; 0 = all.</param>
public delegate Task<IReadOnlyList<HistoryRecord>> ReadHistory(User user, ResourceKey key, int limit, long before, CancellationToken stop);

public delegate Task AdmitConnection(User user, ResourceKey key, System.Text.Json.Nodes.JsonObject options, WriteOptions write, CancellationToken stop);

/// <summary>One named check of <c>/readyz</c>.</summary>
/// <param name="Failure">null = well, else what is wrong, for people.</param>
public sealed record HealthCheck(string Name, Func<CancellationToken, ValueTask<string?>> Failure);
