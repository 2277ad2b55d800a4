using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Client.Traffic;
using Declarative.Lb.Routes;
using Declarative.Lb.Tls;
using Microsoft.Extensions.Logging;
using Limits = Declarative.Lb.Settings.Limits;

namespace Declarative.Lb.Acme;

/// <summary>Orders what is due, one certificate at a time, while this balancer holds the lease.</summary>
internal sealed class AcmeOrders(IApi api, AcmeAccounts accounts, LbOptions options, TimeProvider time, EventRecorder events, ILogger logger) : IDisposable
{
    /// <summary>Until a view shows what has been read past it.</summary>
    private static readonly TimeSpan ViewWait = TimeSpan.FromSeconds(1);

    private readonly HttpClient _http = AcmePart.Client(options);
    private readonly Signal _signal = new(time);
    private readonly Dictionary<ServiceKey, Attempt> _attempts = [];
    private IReadOnlyList<AcmeWish> _wishes = [];
    private Func<ServiceKey, Secret?> _secretOf = static _ => null;
    private Informer<Secret>? _keys;

    /// <summary>What is wanted from now on.</summary>
    public void Want(IReadOnlyList<AcmeWish> wishes, Func<ServiceKey, Secret?> secretOf, Informer<Secret> keys)
    {
        (_secretOf, _keys) = (secretOf, keys);
        Volatile.Write(ref _wishes, wishes);
        _signal.Set();
    }

    /// <summary>Orders the certificates that are due, and returns when there may be others. Throws where the term is over.</summary>
    public async Task Next(CancellationToken term)
    {
        using var ending = term.Register(_signal.Set);
        var next = DateTimeOffset.MaxValue;
        foreach (var wish in Volatile.Read(ref _wishes))
        {
            term.ThrowIfCancellationRequested();
            var due = Due(wish, _secretOf(wish.Secret));
            if (due <= time.GetUtcNow()) due = await Try(wish, term);
            if (due < next) next = due;
        }
        await _signal.Wait(next);
        term.ThrowIfCancellationRequested();
    }

    public void Dispose()
    {
        _http.Dispose();
        _signal.Dispose();
    }

    private DateTimeOffset Due(AcmeWish wish, Secret? secret)
    {
        var due = AcmeWishes.Due(wish, secret, time.GetUtcNow(), out var problem);
        var attempt = _attempts.GetValueOrDefault(wish.Secret);
        if (problem.Length > 0)
        {
            if (attempt?.Problem != problem) Tell(wish, problem);
            _attempts[wish.Secret] = new(DateTimeOffset.MinValue, 0, "", problem);
        }
        return attempt is not null && attempt.NotBefore > due && attempt.Hosts == Hosts(wish) ? attempt.NotBefore : due;
    }

    /// <returns>When it may be looked at again.</returns>
    private async Task<DateTimeOffset> Try(AcmeWish wish, CancellationToken term)
    {
        try
        {
            // The view may be older than what the balancer that held the lease before has written.
            var present = await Present(wish, term);
            if (Due(wish, present) is var due && due > time.GetUtcNow()) return due == DateTimeOffset.MaxValue ? due : time.GetUtcNow() + ViewWait;
            return await Order(wish, present, term);
        }
        catch (AcmeException e)
        {
            return Again(wish, e);
        }
        catch (ApiException e)
        {
            return Again(wish, new AcmeException("", $"the API refused: {e.Message}"));
        }
        catch (Exception e) when (!term.IsCancellationRequested) // one wish's bulkhead: a key or an answer that is none never stops the others
        {
            return Again(wish, new AcmeException("", $"{e.GetType().Name}: {e.Message}"));
        }
    }

    private async Task<Secret?> Present(AcmeWish wish, CancellationToken term)
    {
        try
        {
            return Secret.Read((await api.Get(ResourceKey.Of(Kind.Secret, wish.Secret.Namespace, wish.Secret.Name), stop: term)).Json);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return null;
        }
    }

    private async Task<DateTimeOffset> Order(AcmeWish wish, Secret? present, CancellationToken term)
    {
        var (key, url, revision) = await accounts.Open(term);
        using (key)
        {
            // The authority may ask this balancer at once.
            await _keys!.WaitFor(revision, term);
            var order = new AcmeOrder(new(_http, new(options.AcmeDirectory), key, time) { Account = url }, time);
            if (url.Length == 0) await accounts.Registered(await order.Register(options.AcmeContact, options.AcmeBinding, term), term);
            (string Pem, string Key) certificate;
            try
            {
                certificate = await order.Certificate(wish.Hosts, term);
            }
            catch (AcmeException e) when (e.Type == "accountDoesNotExist" && url.Length > 0)
            {
                // The authority has lost it; the same key has a new account.
                await accounts.Registered(await order.Register(options.AcmeContact, options.AcmeBinding, term), term);
                certificate = await order.Certificate(wish.Hosts, term);
            }
            await Keep(wish, present, certificate.Pem, certificate.Key, term);
        }
        Log.CertificateIssued(logger, wish.Secret.ToString(), string.Join(", ", wish.Hosts));
        events.Record(EventNote.Normal(Body.Reference(Kind.Ingress, wish.About), "CertificateIssued", $"Secret {wish.Secret.Name} holds a certificate of {new Uri(options.AcmeDirectory).Authority} for {string.Join(", ", wish.Hosts)}"));
        var again = time.GetUtcNow() + Limits.AcmeIssuedMin;
        _attempts[wish.Secret] = new(again, 0, Hosts(wish), "");
        return again;
    }

    private static string Hosts(AcmeWish wish) => string.Join(' ', wish.Hosts);

    private DateTimeOffset Again(AcmeWish wish, AcmeException why)
    {
        var failures = (_attempts.GetValueOrDefault(wish.Secret)?.Failures ?? 0) + 1;
        var pause = Limits.AcmeAgainFirst * Math.Pow(2, Math.Min(failures - 1, 16));
        if (why.After > pause) pause = why.After.Value;
        if (pause > Limits.AcmeAgainMax) pause = Limits.AcmeAgainMax;
        var at = time.GetUtcNow() + pause;
        Tell(wish, $"Secret {wish.Secret.Name}: no certificate for {string.Join(", ", wish.Hosts)}: {why.Message}; again at {Body.Time(at)}");
        _attempts[wish.Secret] = new(at, failures, Hosts(wish), "");
        return at;
    }

    private void Tell(AcmeWish wish, string message)
    {
        Log.NoCertificate(logger, wish.Secret.ToString(), message);
        events.Record(EventNote.Warning(Body.Reference(Kind.Ingress, wish.About), "CertificateNotIssued", message));
    }

    /// <param name="present">What is replaced, and only that; null = nothing.</param>
    private async Task Keep(AcmeWish wish, Secret? present, string certificates, string key, CancellationToken stop)
    {
        var resource = ResourceKey.Of(Kind.Secret, wish.Secret.Namespace, wish.Secret.Name);
        var body = Body.Of(json =>
        {
            json.TypeMeta(Kind.Secret);
            json.Object("metadata", x =>
            {
                x.WriteString("name"u8, resource.Name);
                x.WriteString("namespace"u8, resource.Namespace);
                if (present is not null) x.WriteString("resourceVersion"u8, present.Metadata.ResourceVersion);
                x.Map("labels", [new(AcmeWishes.Label, AcmeWishes.OfCertificate)]);
                x.Map("annotations", [new(AcmeWishes.Label + "-directory", options.AcmeDirectory)]);
            });
            json.WriteString("type"u8, SecretReader.Type);
            json.Object("data", x =>
            {
                x.WriteBase64String("tls.crt"u8, Encoding.ASCII.GetBytes(certificates));
                x.WriteBase64String("tls.key"u8, Encoding.ASCII.GetBytes(key));
            });
        });
        if (present is null) await api.Create(resource, body, stop: stop);
        else await api.Patch(resource, PatchKind.Merge, body, stop: stop);
    }

    /// <param name="Hosts">For other ones it says nothing.</param>
    /// <param name="Problem">That has been told.</param>
    private sealed record Attempt(DateTimeOffset NotBefore, int Failures, string Hosts, string Problem);
}
