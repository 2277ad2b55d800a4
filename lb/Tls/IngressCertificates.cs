using System.Runtime.CompilerServices;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Lb.Routes;
using Declarative.Lb.Status;
using Microsoft.Extensions.Logging;

namespace Declarative.Lb.Tls;

/// <summary>The certificates of all Ingresses, and what there is to say of those that cannot be served. One writer, any number of readers.</summary>
internal sealed class IngressCertificates(ILogger logger)
{
    // By the object in the informer's view: a Secret is read once, however many Ingresses name it, and forgotten when it changes.
    private readonly ConditionalWeakTable<Secret, TlsReading> _readings = [];
    private readonly ObjectNews _news = new("TlsCertificateUnavailable", "TlsCertificateServed", "All hosts of spec.tls are served with their certificates");
    private CertificateTable _table = CertificateTable.Empty;

    /// <summary>The certificate for a server name; null = the default one.</summary>
    public TlsCertificate? Find(string name) => Volatile.Read(ref _table).Find(name);

    /// <param name="ingress">null = gone, or another controller's.</param>
    public void Apply(ServiceKey key, Ingress? ingress, Informer<Secret> secrets, DateTimeOffset now)
    {
        var claims = ingress is null ? TlsClaims.Nothing : TlsClaims.Of(ingress, name => Reading(secrets, key.Namespace, name), now);
        Volatile.Write(ref _table, _table.With(key, claims.Usable));
        var problem = string.Join("; ", claims.Problems);
        if (_news.Set(key, ingress is null || ingress.Spec.Tls.Count == 0 ? null : ingress.Uid, problem) && problem.Length > 0) Log.TlsProblem(logger, key.ToString(), problem);
    }

    /// <summary>The event that the user has not been given yet; null = none.</summary>
    public EventNote? News(Ingress ingress) => _news.Take(ingress, Kind.Ingress);

    private TlsReading Reading(Informer<Secret> secrets, string ns, string name)
    {
        if (secrets.Get(ns, name) is { } secret) return _readings.GetValue(secret, SecretReader.Read);
        return new(null, secrets.HasSynced ? $"of type {SecretReader.Type} does not exist" : "cannot be read yet");
    }
}
