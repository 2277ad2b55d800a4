using System.Collections.Frozen;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Client.Traffic;
using Declarative.Lb.Routes;
using Declarative.Lb.Tls;
using Microsoft.Extensions.Logging;
using Limits = Declarative.Lb.Settings.Limits;

namespace Declarative.Lb.Acme;

/// <summary>
/// Certificates by ACME for the Ingresses that ask for them. Every balancer answers challenges: the answer is made of the token and the account's
/// key, which all of them read from its Secret. The one that holds Lease <c>kube-system/lb-acme</c> orders.
/// </summary>
internal sealed class AcmePart(LbOptions options, ILogger logger)
{
    /// <summary>RFC 8555 section 8.3.</summary>
    public const string Path = "/.well-known/acme-challenge/";

    /// <summary>At most; the authority may hand out shorter or longer ones, all of base64url.</summary>
    private const int TokenCharsMax = 256;

    private FrozenSet<string> _hosts = [];
    private volatile string _thumbprint = "";

    /// <summary>The key authorization (RFC 8555 section 8.1) for a challenge of a host that a certificate is wanted for; null = this is none.</summary>
    public string? Answer(string host, string path)
    {
        if (_thumbprint.Length == 0 || !path.StartsWith(Path, StringComparison.Ordinal)) return null;
        var token = path[Path.Length..];
        var isToken = token.Length is > 0 and <= TokenCharsMax && token.All(static x => char.IsAsciiLetterOrDigit(x) || x is '-' or '_');
        return isToken && Volatile.Read(ref _hosts).Contains(host.ToLowerInvariant()) ? $"{token}.{_thumbprint}" : null;
    }

    public async Task Run(IApi api, TimeProvider time, Random random, CancellationToken stop)
    {
        using var signal = new Signal(time);
        var accounts = new AcmeAccounts(api, options.AcmeDirectory);
        var ingresses = new Informer<Ingress>(api, Kind.Ingress, Ingress.Read, time, random) { Logger = logger };
        var classes = new Informer<IngressClass>(api, Kind.IngressClass, IngressClass.Read, time, random) { Logger = logger };
        var secrets = new Informer<Secret>(api, Kind.Secret, Secret.Read, time, random) { Fields = FieldSelector.Of("type", SecretReader.Type), Logger = logger };
        var keys = new Informer<Secret>(api, Kind.Secret, Secret.Read, time, random) { Namespace = AcmeAccounts.Namespace, Fields = FieldSelector.Of("type", AcmeAccounts.Type), Logger = logger };
        ingresses.OnChange(_ => signal.Set());
        classes.OnChange(_ => signal.Set());
        secrets.OnChange(_ => signal.Set());
        keys.OnChange(x => Learn(x, accounts.Name));
        var events = new EventRecorder(api, "lb", time, random) { Logger = logger };
        var lease = new LeaderLease(api, "kube-system", "lb-acme", $"lb-{options.Id}", time, random) { Logger = logger };
        using var stopping = stop.Register(signal.Set);
        Task[] loops = [ingresses.Run(stop), classes.Run(stop), secrets.Run(stop), keys.Run(stop), events.Run(stop)];
        try
        {
            foreach (var view in (Informer[])[ingresses, classes, secrets, keys]) await view.Synced.WaitAsync(stop);
            using var orders = new AcmeOrders(api, accounts, options, time, events, logger);
            var lead = lease.Run(term => Lead(orders, term), stop);
            while (!stop.IsCancellationRequested)
            {
                var wishes = AcmeWishes.Of(ingresses.List().Where(x => LbRoutes.IsOurs(x, classes)));
                Volatile.Write(ref _hosts, wishes.SelectMany(x => x.Hosts).ToFrozenSet(StringComparer.Ordinal));
                orders.Want(wishes, key => secrets.Get(key.Namespace, key.Name), keys);
                if (await Task.WhenAny(signal.Wait(DateTimeOffset.MaxValue), lead) == lead) break;
            }
            await lead;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Before the views were there: nothing has been ordered.
            _thumbprint = "";
        }
        foreach (var loop in loops) await loop;
    }

    private static async Task Lead(AcmeOrders orders, CancellationToken term)
    {
        while (!term.IsCancellationRequested) await orders.Next(term);
    }

    private void Learn(Change<Secret> change, string name)
    {
        if (change.Object.Name != name) return;
        using var key = change.New is { } secret ? AcmeAccounts.Read(secret)?.Key : null;
        _thumbprint = key?.Thumbprint ?? "";
    }

    /// <summary>Trusts the system's authorities, or the given ones alone.</summary>
    public static HttpClient Client(LbOptions options)
    {
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1) };
        if (options.AcmeRoots.Count > 0)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
            policy.CustomTrustStore.AddRange(options.AcmeRoots);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }
        return new(handler) { Timeout = Limits.AcmeRequestMax, MaxResponseContentBufferSize = Limits.AcmeAnswerBytesMax };
    }
}
