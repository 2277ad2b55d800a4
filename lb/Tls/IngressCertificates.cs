using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Lb.Routes;
using Microsoft.Extensions.Logging;

namespace Declarative.Lb.Tls;

/// <summary>The certificates of all Ingresses, and what there is to say of those that cannot be served. One writer, any number of readers.</summary>
internal sealed class IngressCertificates(ILogger logger)
{
    // By the object in the informer's view: a Secret is read once, however many Ingresses name it, and forgotten when it changes.
    private readonly ConditionalWeakTable<Secret, TlsReading> _readings = [];
    private readonly ConcurrentDictionary<ServiceKey, Standing> _standings = new();
    private readonly ConcurrentDictionary<ServiceKey, Standing> _told = new();
    private CertificateTable _table = CertificateTable.Empty;

    /// <summary>The certificate for a server name; null = the default one.</summary>
    public TlsCertificate? Find(string name) => Volatile.Read(ref _table).Find(name);

    /// <param name="ingress">null = gone, or another controller's.</param>
    public void Apply(ServiceKey key, Ingress? ingress, Informer<Secret> secrets, DateTimeOffset now)
    {
        var claims = ingress is null ? TlsClaims.Nothing : TlsClaims.Of(ingress, name => Reading(secrets, key.Namespace, name), now);
        Volatile.Write(ref _table, _table.With(key, claims.Usable));
        if (ingress is null || ingress.Spec.Tls.Count == 0)
        {
            _standings.TryRemove(key, out _);
            _told.TryRemove(key, out _);
            return;
        }
        var standing = new Standing(ingress.Uid, string.Join("; ", claims.Problems));
        var before = _standings.GetValueOrDefault(key);
        _standings[key] = standing;
        if (standing.Problem.Length > 0 && standing != before) Log.TlsProblem(logger, key.ToString(), standing.Problem);
    }

    /// <summary>The event that the user has not been given yet; null = none.</summary>
    public EventNote? News(Ingress ingress)
    {
        var key = new ServiceKey(ingress.Namespace, ingress.Name);
        if (_standings.GetValueOrDefault(key) is not { } standing || standing.Uid != ingress.Uid) return null;
        var before = _told.GetValueOrDefault(key);
        _told[key] = standing;
        if (standing == before) return null;
        var about = Body.Reference(Kind.Ingress, ingress);
        if (standing.Problem.Length > 0) return EventNote.Warning(about, "TlsCertificateUnavailable", standing.Problem);
        return before is { Problem.Length: > 0 } && before.Uid == standing.Uid ? EventNote.Normal(about, "TlsCertificateServed", "All hosts of spec.tls are served with their certificates") : null;
    }

    private TlsReading Reading(Informer<Secret> secrets, string ns, string name)
    {
        if (secrets.Get(ns, name) is { } secret) return _readings.GetValue(secret, SecretReader.Read);
        return new(null, secrets.HasSynced ? $"of type {SecretReader.Type} does not exist" : "cannot be read yet");
    }

    /// <param name="Problem">"" = all is well.</param>
    private sealed record Standing(string Uid, string Problem);
}
