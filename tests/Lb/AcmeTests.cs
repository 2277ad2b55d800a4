using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Lb;
using Declarative.Lb.Acme;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Certificates ordered by ACME from a small authority with real sockets.</summary>
public sealed class AcmeTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ACertificateIsOrderedShownAndRenewedBeforeItsEnd()
    {
        var (time, http) = (new ShiftedTime(), LbWorld.FreePort());
        await using var authority = await AcmeAuthority.Start(time, http);
        authority.NoncesToForget = 2;
        await using var world = await LbWorld.Start(With(authority, http), time: time);
        using var client = new TlsClient(world.Options.HttpsPort, authority.Root);
        await Site(world, "shop", """["shop.example","www.shop.example"]""", redirect: true);

        var first = await Shown(client, "shop.example");
        Assert.Equal(["shop.example", "www.shop.example"], first.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single().EnumerateDnsNames());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.Http.GetAsync("https://www.shop.example/", Stop)).StatusCode); // trusted; the Service does not exist
        var secret = await Secret(world, "default", "shop-tls");
        Assert.Equal((SecretType, "certificate"), (secret.Type, secret.Metadata.Labels["declarative.mesos/acme"]));
        var account = await Secret(world, "kube-system", (await world.Api.List(new(Kind.Secret, "kube-system"), Stop)).Items.Single(x => x.Key.Name.StartsWith("acme-", StringComparison.Ordinal)).Key.Name);
        Assert.Equal((AcmeAccounts.Type, "account"), (account.Type, account.Metadata.Labels["declarative.mesos/acme"]));
        await Told(world, "shop", "CertificateIssued", "shop-tls");

        // Two thirds of its life on it is left alone a moment longer, and then renewed with the same account, which the authority has lost meanwhile.
        authority.ForgetAccounts();
        time.Advance(TimeSpan.FromDays(59));
        await Touch(world, "shop");
        Assert.Equal(1, authority.Orders);
        time.Advance(TimeSpan.FromDays(2));
        await Touch(world, "shop");
        await Eventually.Async(async () => (await Shown(client, "shop.example", any: true)).Thumbprint != first.Thumbprint, "a second certificate is shown");
        Assert.Equal((2, 1), (authority.Orders, authority.Accounts));
        Assert.Empty(authority.Violations);
    }

    [Fact]
    public async Task WhatAnAuthorityRefusesIsToldAndTriedAgainWhenItSays()
    {
        var (time, http) = (new ShiftedTime(), LbWorld.FreePort());
        await using var authority = await AcmeAuthority.Start(time, http);
        authority.RateLimitedSeconds = 7200;
        await using var world = await LbWorld.Start(With(authority, http), time: time);
        using var client = new TlsClient(world.Options.HttpsPort, authority.Root);
        await Site(world, "shop", """["shop.example"]""");
        var told = await Told(world, "shop", "CertificateNotIssued", "rateLimited: too many certificates already issued");
        var again = DateTimeOffset.Parse(told[^20..], System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange(again, time.GetUtcNow().AddMinutes(115), time.GetUtcNow().AddMinutes(120));

        authority.RateLimitedSeconds = 0;
        await Touch(world, "shop");
        Assert.Equal(0, authority.Orders);
        time.Advance(TimeSpan.FromHours(2));
        await Touch(world, "shop");
        await Shown(client, "shop.example");

        // Another name at once, whenever the last one was issued; what cannot be proved in this way is told.
        await world.Patch(Kind.Ingress, "shop", """{"spec":{"tls":[{"secretName":"shop-tls","hosts":["shop.example","new.example"]}]}}""");
        await Shown(client, "new.example");
        await world.Patch(Kind.Ingress, "shop", """{"spec":{"tls":[{"secretName":"all-tls","hosts":["*.shop.example"]}]}}""");
        await Told(world, "shop", "CertificateNotIssued", "spec.tls[0].hosts: \"*.shop.example\", expected a name without a wildcard");
        Assert.Empty(authority.Violations);
    }

    [Fact]
    public async Task ASecretOfSomebodyElseIsNeverWritten()
    {
        var http = LbWorld.FreePort();
        using var other = new TestAuthority();
        await using var authority = await AcmeAuthority.Start(TimeProvider.System, http);
        await using var world = await LbWorld.Start(With(authority, http));
        var (certificates, key) = other.Issue("bought.example");
        await world.Create(Kind.Secret, "shop-tls", TestAuthority.Secret("shop-tls", certificates, key));
        var before = await world.Api.Get(ResourceKey.Of(Kind.Secret, "default", "shop-tls"), stop: Stop);
        await Site(world, "shop", """["shop.example"]""");
        await Told(world, "shop", "CertificateNotIssued", "Secret default/shop-tls is there and not labelled declarative.mesos/acme=certificate");
        Assert.Equal(before.Revision, (await world.Api.Get(before.Key, stop: Stop)).Revision);
        Assert.Equal(0, authority.Orders);
    }

    [Fact]
    public async Task TwoBalancersAnswerForOneAccountAndOrderOnce()
    {
        var (one, two) = (LbWorld.FreePort(), LbWorld.FreePort());
        await using var authority = await AcmeAuthority.Start(TimeProvider.System, one, two);
        await using var world = await LbWorld.Start(With(authority, one));
        var second = world.Options with { Id = "second", HttpPort = two, H2cPort = 0, HttpsPort = LbWorld.FreePort(), AdminPort = 0 };
        using var stop = new CancellationTokenSource();
        using var part = new LbPart(second);
        var running = Task.Run(() => part.Run(world.Server.Server.As(User.Lb), TimeProvider.System, new Random(2), stop.Token), Stop);
        try
        {
            await Eventually.True(() => part.IsReady, "the second balancer is ready");
            await Site(world, "shop", """["shop.example","www.shop.example","a.shop.example","b.shop.example"]""");
            foreach (var port in (int[])[world.Options.HttpsPort, second.HttpsPort])
            {
                using var client = new TlsClient(port, authority.Root);
                await Shown(client, "b.shop.example");
            }
            Assert.Equal((1, 1), (authority.Orders, authority.Accounts));
            Assert.Empty(authority.Violations);

            // A host that no certificate is wanted for, and what is no token, are the endpoint's.
            foreach (var (host, token) in ((string, string)[])[("other.example", "abc"), ("shop.example", "a.b"), ("shop.example", "")])
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{two}{AcmePart.Path}{token}");
                request.Headers.Host = host;
                using var answer = await world.Http.SendAsync(request, Stop);
                Assert.NotEqual(HttpStatusCode.OK, answer.StatusCode);
            }
        }
        finally
        {
            await stop.CancelAsync();
            await running;
        }
    }

    [Fact]
    public async Task AnAccountIsBoundToTheCustomerThatTheAuthorityKnows()
    {
        var http = LbWorld.FreePort();
        await using var authority = await AcmeAuthority.Start(TimeProvider.System, http);
        byte[] key = [1, 2, 3, 4, 5, 6, 7, 8];
        authority.Customers["customer-1"] = key;
        await using (var world = await LbWorld.Start(With(authority, http)))
        {
            await Site(world, "shop", """["shop.example"]""");
            await Told(world, "shop", "CertificateNotIssued", "externalAccountRequired");
        }
        var second = LbWorld.FreePort();
        await using (var authority2 = await AcmeAuthority.Start(TimeProvider.System, second))
        {
            authority2.Customers["customer-1"] = key;
            await using var bound = await LbWorld.Start(x => With(authority2, second)(x) with { AcmeBinding = new("customer-1", key) });
            using var client = new TlsClient(bound.Options.HttpsPort, authority2.Root);
            await Site(bound, "shop", """["shop.example"]""");
            await Shown(client, "shop.example");
            Assert.Equal((1, 1), (authority2.Orders, authority2.Accounts));
            Assert.Empty(authority2.Violations);
        }
    }

    private const string SecretType = "kubernetes.io/tls";

    private static Func<LbOptions, LbOptions> With(AcmeAuthority authority, int http) =>
        x => x with { HttpPort = http, AcmeDirectory = authority.Directory, AcmeContact = "me@shop.example", AcmeRoots = [authority.Root] };

    private static Task Site(LbWorld world, string name, string hosts, bool redirect = false) =>
        world.Create(Kind.Ingress, name, $$$"""
            {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"{{{name}}}","namespace":"default",
              "annotations":{"declarative.mesos/lb-acme":"true"{{{(redirect ? ",\"declarative.mesos/lb-redirect-https\":\"true\"" : "")}}} } },
             "spec":{"tls":[{"secretName":"{{{name}}}-tls","hosts":{{{hosts}}} }],"defaultBackend":{"service":{"name":"none","port":{"number":80} } } } }
            """);

    /// <summary>The certificate for a name, once it is not the default one.</summary>
    private static async Task<X509Certificate2> Shown(TlsClient client, string name, bool any = false) =>
        await LbWorld.Until(async () => (await client.Handshake(name)).Certificate, x => any || x.MatchesHostname(name), $"{name} is shown its certificate");

    private static async Task<Secret> Secret(LbWorld world, string ns, string name) => Declarative.Api.Kinds.Secret.Read((await world.Api.Get(ResourceKey.Of(Kind.Secret, ns, name))).Json);

    private static async Task<string> Told(LbWorld world, string ingress, string reason, string text)
    {
        var events = await LbWorld.Until(
            async () => (await world.Api.List(new(Kind.Event, "default"))).Items.Select(x => Event.Read(x.Json)).Where(x => x.InvolvedObject.Name == ingress && x.Reason == reason).Select(x => x.Message).ToList(),
            x => x.Exists(y => y.Contains(text, StringComparison.Ordinal)), $"an event says {text}");
        return events.First(x => x.Contains(text, StringComparison.Ordinal));
    }

    /// <summary>A change that makes the balancer look at the Ingress again, and the balancer has looked.</summary>
    private static async Task Touch(LbWorld world, string name) => await world.Settings(Kind.Ingress, name, ("hsts", $"{Random.Shared.Next(1, 1000)}d"));

    /// <summary>The real time, later.</summary>
    private sealed class ShiftedTime : TimeProvider
    {
        private long _ticks;

        public void Advance(TimeSpan by) => Interlocked.Add(ref _ticks, by.Ticks);

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddTicks(Interlocked.Read(ref _ticks));
    }
}
