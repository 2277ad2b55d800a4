using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.Client;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Ingress over HTTPS with real TLS clients.</summary>
public sealed class TlsTests
{
    private const string Default = "declarative-lb";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task TheServerNameChoosesTheCertificateAndOthersGetTheDefaultOne()
    {
        using var authority = new TestAuthority();
        await using var world = await LbWorld.Start();
        await Site(world, "shop", await world.Backend("shop"), ["shop.example", "*.shop.example"]);
        using var client = new TlsClient(world.Options.HttpsPort, authority.Root);
        var (exact, exactKey) = authority.Issue("shop.example", rsa: true);
        var (wildcard, wildcardKey) = authority.Issue("*.shop.example");
        await world.Create(Kind.Secret, "exact", TestAuthority.Secret("exact", exact, exactKey));
        await world.Create(Kind.Secret, "wildcard", TestAuthority.Secret("wildcard", wildcard, wildcardKey));
        await world.Patch(Kind.Ingress, "shop", """{"spec":{"tls":[{"hosts":["shop.example"],"secretName":"exact"},{"hosts":["*.shop.example"],"secretName":"wildcard"}]}}""");
        await Shown(client, "shop.example", "shop.example");
        (string Name, string Subject)[] cases =
        [
            ("shop.example", "shop.example"), ("SHOP.example", "shop.example"), ("www.shop.example", "any.shop.example"),
            ("a.b.shop.example", Default), ("other.example", Default), ("", Default),
        ];
        foreach (var (name, subject) in cases) Assert.Equal((name, subject), (name, await client.Subject(name)));

        // The chain leads a client that trusts the root alone to it, and the request reaches the Service of the host.
        Assert.Equal("shop", await client.Http.GetStringAsync("https://shop.example/", Stop));
        Assert.Equal("shop", await client.Http.GetStringAsync("https://www.shop.example/", Stop));
        await Assert.ThrowsAsync<HttpRequestException>(() => client.Http.GetStringAsync("https://other.example/", Stop));
        var ingress = await LbWorld.Until(() => Ingress(world, "shop"), x => x.Status.LoadBalancer.Ingress is [{ Ports.Count: 2 }], "the status names both ports");
        Assert.Equal([world.Options.HttpPort, world.Options.HttpsPort], ingress.Status.LoadBalancer.Ingress[0].Ports.Select(x => x.Port));
        Assert.Empty(await Warnings(world, "shop"));

        await world.Delete(Kind.Ingress, "shop");
        await Shown(client, "shop.example", Default);
    }

    [Fact]
    public async Task TheDefaultCertificateIsOfTheStartAndValidForAYear()
    {
        var before = DateTime.UtcNow.AddSeconds(-1);
        await using var world = await LbWorld.Start();
        using var client = new TlsClient(world.Options.HttpsPort);
        using var certificate = (await client.Handshake("any.example")).Certificate;
        Assert.Equal("CN=" + Default, certificate.Subject);
        using var key = System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions.GetECDsaPublicKey(certificate)!;
        Assert.Equal(256, key.KeySize);
        Assert.InRange(certificate.NotBefore.ToUniversalTime(), before, DateTime.UtcNow);
        Assert.Equal(certificate.NotBefore.ToUniversalTime().AddYears(1), certificate.NotAfter.ToUniversalTime());
    }

    [Fact]
    public async Task BothVersionsAndBothProtocolsAreNegotiated()
    {
        await using var world = await LbWorld.Start();
        using var client = new TlsClient(world.Options.HttpsPort);
        foreach (var version in (SslProtocols[])[SslProtocols.Tls12, SslProtocols.Tls13])
        {
            foreach (var protocol in (SslApplicationProtocol[])[SslApplicationProtocol.Http2, SslApplicationProtocol.Http11])
            {
                var (certificate, spoken, chosen) = await client.Handshake("any.example", version, protocol);
                certificate.Dispose();
                Assert.Equal((version, protocol), (spoken, chosen));
            }
        }
        var both = await client.Handshake("any.example", SslProtocols.None, SslApplicationProtocol.Http11, SslApplicationProtocol.Http2);
        both.Certificate.Dispose();
        Assert.Equal(SslApplicationProtocol.Http2, both.Protocol);
    }

    [Fact]
    public async Task RequestsComeByBothProtocolsAndTheEndpointLearnsOfHttps()
    {
        await using var world = await LbWorld.Start();
        await Site(world, "shop", await world.Backend("shop"), ["shop.example"]);
        await Site(world, "grpc", await world.Backend("grpc", HttpProtocols.Http2), ["grpc.example"], "kubernetes.io/h2c");
        using var client = new TlsClient(world.Options.HttpsPort);
        foreach (var version in (Version[])[HttpVersion.Version20, HttpVersion.Version11])
        {
            var seen = await Ask("shop.example", version);
            Assert.Equal("HTTP/1.1 shop.example /seen", seen[0]);
            Assert.Contains("X-Forwarded-Proto: https", seen);
            Assert.Contains($"X-Forwarded-Port: {world.Options.HttpsPort}", seen);
            Assert.Equal("HTTP/2 grpc.example /seen", (await Ask("grpc.example", version))[0]);
        }
        using var plain = await world.Http.GetAsync($"http://127.0.0.1:{world.Options.HttpsPort}/cart", Stop);
        Assert.Equal(HttpStatusCode.BadRequest, plain.StatusCode);
        Assert.Equal($"Port {world.Options.HttpsPort} speaks TLS: ask for https://127.0.0.1:{world.Options.HttpsPort}/cart\n", await plain.Content.ReadAsStringAsync(Stop));

        async Task<string[]> Ask(string host, Version version)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"https://{host}/seen") { Version = version, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            using var answer = await client.Http.SendAsync(request, Stop);
            Assert.Equal(version, answer.Version);
            return (await answer.Content.ReadAsStringAsync(Stop)).Split('\n');
        }
    }

    [Fact]
    public async Task AChangedSecretServesNewConnectionsAndCutsNoOldOne()
    {
        using var authority = new TestAuthority();
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("shop");
        await Site(world, "shop", backend, ["shop.example"]);
        var (certificates, key) = authority.Issue("shop.example");
        await world.Create(Kind.Secret, "cert", TestAuthority.Secret("cert", certificates, key));
        await world.Patch(Kind.Ingress, "shop", """{"spec":{"tls":[{"secretName":"cert"}]}}"""); // for the hosts of its rules
        using var client = new TlsClient(world.Options.HttpsPort, authority.Root);
        await Shown(client, "shop.example", "shop.example");
        var first = await Thumbprint();

        using var download = await client.Http.GetAsync("https://shop.example/download", HttpCompletionOption.ResponseHeadersRead, Stop);
        (certificates, key) = authority.Issue("shop.example", rsa: true);
        await world.Patch(Kind.Secret, "cert", $$"""{"data":{"tls.crt":"{{TestAuthority.Base64(certificates)}}","tls.key":"{{TestAuthority.Base64(key)}}"} }""");
        await Eventually.Async(async () => await Thumbprint() != first, "new connections are shown the new certificate");
        await world.Delete(Kind.Secret, "cert");
        await Shown(client, "shop.example", Default);

        backend.Release();
        Assert.Equal(2_000_000, (await download.Content.ReadAsByteArrayAsync(Stop)).Length);
        Assert.Equal("shop", await client.Http.GetStringAsync("https://shop.example/", Stop));
        Assert.Equal(1, client.Connections);

        async Task<string> Thumbprint()
        {
            using var certificate = (await client.Handshake("shop.example")).Certificate;
            return certificate.Thumbprint;
        }
    }

    [Fact]
    public async Task ABadSecretLeavesTheDefaultCertificateAndAReasonAndTouchesNoOther()
    {
        using var authority = new TestAuthority();
        using var lines = new Lines();
        await using var world = await LbWorld.Start(loggers: lines);
        using var client = new TlsClient(world.Options.HttpsPort);
        await Site(world, "good", await world.Backend("good"), ["good.example"]);
        await Site(world, "bad", await world.Backend("bad"), ["bad.example"]);
        var good = authority.Issue("good.example");
        await world.Create(Kind.Secret, "good", TestAuthority.Secret("good", good.Certificates, good.Key));
        await world.Patch(Kind.Ingress, "good", """{"spec":{"tls":[{"hosts":["good.example"],"secretName":"good"}]}}""");
        await Shown(client, "good.example", "good.example");

        const string Broken = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0";
        var own = authority.Issue("bad.example");
        await world.Create(Kind.Secret, "mismatch", TestAuthority.Secret("mismatch", own.Certificates, good.Key));
        await world.Create(Kind.Secret, "broken", TestAuthority.Secret("broken", own.Certificates, $"-----BEGIN PRIVATE KEY-----\n{Broken}\n-----END PRIVATE KEY-----\n"));
        await world.Create(Kind.Secret, "text", TestAuthority.Secret("text", "no PEM at all", own.Key));
        await world.Create(Kind.Secret, "half", TestAuthority.Secret("half", own.Certificates, ""));
        await world.Create(Kind.Secret, "opaque", TestAuthority.Secret("opaque", own.Certificates, own.Key).Replace("kubernetes.io/tls", "Opaque", StringComparison.Ordinal));
        const string NoKey = "data.tls.key is no unencrypted private key in PEM that belongs to the first certificate of data.tls.crt";
        (string Secret, string Why)[] cases =
        [
            ("missing", "of type kubernetes.io/tls does not exist"), ("opaque", "of type kubernetes.io/tls does not exist"),
            ("mismatch", NoKey), ("broken", NoKey), ("text", "data.tls.crt is no certificate in PEM"), ("half", "has no data.tls.key"),
        ];
        foreach (var (secret, why) in cases)
        {
            await world.Patch(Kind.Ingress, "bad", $$"""{"spec":{"tls":[{"hosts":["bad.example"],"secretName":"{{secret}}"}]} }""");
            var told = $"spec.tls[0].secretName: Secret default/{secret} {why}: the default certificate is served for bad.example";
            await LbWorld.Until(() => Warnings(world, "bad"), x => x.Contains(told), told);
            Assert.Equal(Default, await client.Subject("bad.example"));
            Assert.Equal("bad", await client.Http.GetStringAsync("https://bad.example/", Stop));
            Assert.Equal("good.example", await client.Subject("good.example"));
        }
        var texts = string.Join('\n', [.. lines.Seen, .. await Warnings(world, "bad")]);
        Assert.Contains("Ingress default/bad: spec.tls[0].secretName: Secret default/broken", texts, StringComparison.Ordinal);
        foreach (var secret in (string[])[Broken, good.Key, own.Key, own.Key.Split('\n')[1], good.Key.Split('\n')[1], "BEGIN"]) Assert.DoesNotContain(secret, texts, StringComparison.Ordinal);

        // Mended, and said so.
        await world.Create(Kind.Secret, "missing", TestAuthority.Secret("missing", own.Certificates, own.Key));
        await world.Patch(Kind.Ingress, "bad", """{"spec":{"tls":[{"hosts":["bad.example"],"secretName":"missing"}]}}""");
        await Shown(client, "bad.example", "bad.example");
        await LbWorld.Until(() => Events(world, "bad"), x => x.Any(y => y.Reason == "TlsCertificateServed"), "that all is well again is told");
    }

    [Fact]
    public async Task OfTwoIngressesWithOneHostTheOlderOneWithAUsableCertificateIsServed()
    {
        using var authority = new TestAuthority();
        await using var world = await LbWorld.Start();
        using var client = new TlsClient(world.Options.HttpsPort);
        var (certificates, key) = authority.Issue("late.example"); // not of the host: it is served as the user wants it, with a warning
        await world.Create(Kind.Secret, "late", TestAuthority.Secret("late", certificates, key));
        await Site(world, "older", await world.Backend("older"), ["shop.example"]);
        await world.Patch(Kind.Ingress, "older", """{"spec":{"tls":[{"hosts":["shop.example"],"secretName":"early"}]}}""");
        await Task.Delay(1100, Stop); // creationTimestamp counts whole seconds: the second is to be younger
        await Site(world, "younger", await world.Backend("younger"), ["shop.example"]);
        await world.Patch(Kind.Ingress, "younger", """{"spec":{"tls":[{"hosts":["shop.example"],"secretName":"late"}]}}""");
        await Shown(client, "shop.example", "late.example");
        await LbWorld.Until(() => Warnings(world, "younger"), x => x is ["spec.tls[0].secretName: Secret default/late holds a certificate that does not name shop.example: it is served nevertheless"], "it is told");
        (certificates, key) = authority.Issue("shop.example");
        await world.Create(Kind.Secret, "early", TestAuthority.Secret("early", certificates, key));
        await Shown(client, "shop.example", "shop.example");
    }

    [Fact]
    public async Task WithoutAPortThereIsNoTlsAndTheStatusNamesNone()
    {
        await using var world = await LbWorld.Start(x => x with { HttpsPort = 0 });
        await Site(world, "shop", await world.Backend("shop"), ["shop.example"]);
        await world.Patch(Kind.Ingress, "shop", """{"spec":{"tls":[{"hosts":["shop.example"],"secretName":"none"}]}}""");
        var ingress = await LbWorld.Until(() => Ingress(world, "shop"), x => x.Status.LoadBalancer.Ingress.Count == 1, "the status is written");
        Assert.Equal([world.Options.HttpPort], ingress.Status.LoadBalancer.Ingress[0].Ports.Select(x => x.Port));
    }

    /// <summary>A Service with one endpoint and an Ingress that sends these hosts to it.</summary>
    private static async Task Site(LbWorld world, string name, Backend backend, string[] hosts, string appProtocol = "")
    {
        var port = await world.Publish(name, [backend], appProtocol);
        var rules = string.Join(',', hosts.Select(x => $$$"""{"host":"{{{x}}}","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"{{{name}}}","port":{"number":{{{port}}} } } } }]} }"""));
        await world.Create(Kind.Ingress, name, $$"""{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"{{name}}","namespace":"default"},"spec":{"rules":[{{rules}}]} }""");
        await Eventually.True(() => hosts.All(world.Lb.Routes.Table.Hosts.ByHost.ContainsKey), $"the hosts of {name} are routed");
    }

    /// <summary>Until a new connection for this name is shown the certificate of that one.</summary>
    private static Task Shown(TlsClient client, string name, string subject) =>
        LbWorld.Until(() => client.Subject(name), x => x == subject, $"{name} is shown the certificate of {subject}");

    private static async Task<Ingress> Ingress(LbWorld world, string name) => Declarative.Api.Kinds.Ingress.Read((await world.Api.Get(ResourceKey.Of(Kind.Ingress, "default", name))).Json);

    private static async Task<List<Event>> Events(LbWorld world, string ingress) =>
        [.. (await world.Api.List(new(Kind.Event, "default"))).Items.Select(x => Event.Read(x.Json)).Where(x => x.InvolvedObject is { Kind: "Ingress" } about && about.Name == ingress)];

    private static async Task<List<string>> Warnings(LbWorld world, string ingress) =>
        [.. (await Events(world, ingress)).Where(x => x is { Type: "Warning", Reason: "TlsCertificateUnavailable" }).Select(x => x.Message)];

    /// <summary>Everything that is logged, at any level.</summary>
    private sealed class Lines : ILoggerFactory, ILogger
    {
        private readonly ConcurrentQueue<string> _lines = new();

        public string[] Seen => [.. _lines];

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _lines.Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
