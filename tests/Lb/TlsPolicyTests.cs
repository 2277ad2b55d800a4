using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Declarative.Api.Kinds;
using Declarative.Lb.Proxy;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Client certificates, TLS versions and TLS that is passed through, with real TLS clients.</summary>
public sealed class TlsPolicyTests
{
    private const string Host = "shop.example";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OnlyClientsWithACertificateOfTheAuthorityAreLetIn()
    {
        using var authority = new TestAuthority();
        using var stranger = new TestAuthority();
        await using var world = await LbWorld.Start();
        await Site(world, await world.Backend("a"));
        var (certificates, key) = authority.Issue(Host);
        await world.Create(Kind.Secret, "ca", TestAuthority.Secret("ca", certificates, key).Replace("\"tls.crt\"", $"\"ca.crt\":\"{TestAuthority.Base64(authority.Root.ExportCertificatePem())}\",\"tls.crt\"", StringComparison.Ordinal));
        await world.Settings(Kind.Ingress, "site", ("tls-client-ca", "ca"));
        await Eventually.True(() => world.Lb.Routes.ClientAuthorities.Policy(new("default", "ca")).CustomTrustStore.Count == 1, "the authority is read");

        Assert.Equal("200 a", await Get(world, Host, authority.Issue("client")));
        await Assert.ThrowsAnyAsync<Exception>(() => Get(world, Host, null));
        await Assert.ThrowsAnyAsync<Exception>(() => Get(world, Host, stranger.Issue("client")));
        // A connection that was made for another host has shown nothing.
        Assert.StartsWith("421 Host shop.example needs a TLS connection of its own", await Get(world, "other.example", null), StringComparison.Ordinal);
        Assert.StartsWith("421 ", await world.Ask(world.Options.HttpPort, "/", x => x.Headers.Host = Host), StringComparison.Ordinal);
        // An authority that is not there lets nobody in.
        await world.Delete(Kind.Secret, "ca");
        await Eventually.True(() => world.Lb.Routes.ClientAuthorities.Policy(new("default", "ca")).CustomTrustStore.Count == 0, "the authority is gone");
        await Assert.ThrowsAnyAsync<Exception>(() => Get(world, Host, authority.Issue("client")));
    }

    [Fact]
    public async Task AConnectionFromBeforeThePolicyIsNotGoodAnyLonger()
    {
        using var authority = new TestAuthority();
        await using var world = await LbWorld.Start();
        await Site(world, await world.Backend("a"));
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, world.Options.HttpsPort, Stop);
        await using var stream = new SslStream(client.GetStream());
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = Host, RemoteCertificateValidationCallback = static (_, _, _, _) => true }, Stop);
        Assert.Equal("HTTP/1.1 200 OK", await Status());
        var (certificates, key) = authority.Issue(Host);
        await world.Create(Kind.Secret, "ca", TestAuthority.Secret("ca", certificates, key));
        await world.Settings(Kind.Ingress, "site", ("tls-client-ca", "ca"));
        Assert.StartsWith("HTTP/1.1 421 ", await Status(), StringComparison.Ordinal);

        async Task<string> Status()
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HEAD / HTTP/1.1\r\nHost: {Host}\r\n\r\n"), Stop);
            var buffer = new byte[16_384];
            var text = "";
            while (!text.Contains("\r\n\r\n", StringComparison.Ordinal))
            {
                var count = await stream.ReadAsync(buffer, Stop);
                Assert.NotEqual(0, count);
                text += Encoding.ASCII.GetString(buffer, 0, count);
            }
            return text.Split("\r\n")[0];
        }
    }

    /// <summary>A handshake knows no path: the settings of the host's rules count whatever theirs is.</summary>
    [Fact]
    public void AHandshakeGoesByTheRulesOfTheHost()
    {
        var hosts = HostRules.Empty;
        Add("api", "a.example", "/api", new() { TlsClientCa = new("default", "ca") });
        Add("root", "b.example", "/", new() { Tls13Only = true });
        Add("deep", "b.example", "/deep", new() { TlsClientCa = new("default", "ca") });
        Add("all", "*.example", "/", new() { TlsClientCa = new("default", "wild") });
        Add("open", "c.example", "/", null);
        Add("through", "c.example", "/through", new() { TlsPassthrough = true });
        Add("through-alone", "d.example", "/through", new() { TlsPassthrough = true });
        Assert.Equal(("ca", false, false), Of("A.example"));
        Assert.Equal(("ca", true, false), Of("b.example"));
        Assert.Equal((null, false, false), Of("c.example"));
        Assert.Equal(("wild", false, true), Of("d.example"));
        Assert.Equal(("wild", false, false), Of("e.example"));
        Assert.Equal((null, false, false), Of(""));

        void Add(string name, string host, string path, EdgeSettings? edge) => hosts = hosts.With(
            new("default", name), HostRules.Read(Declarative.Api.Kinds.Ingress.Read(LbWorld.Bytes(Ingress(name, host, "hello", 80).Replace("\"path\":\"/\"", $"\"path\":\"{path}\"", StringComparison.Ordinal))), edge));

        (string? Ca, bool Newest, bool Through) Of(string host) => (
            hosts.TlsOf(host, static x => x.TlsClientCa is not null)?.Edge!.TlsClientCa!.Value.Name, hosts.TlsOf(host, static x => x.Tls13Only) is not null,
            hosts.TlsOf(host, static x => x.TlsPassthrough) is not null);
    }

    [Fact]
    public async Task AHostOfOnePathMayWantCertificates()
    {
        using var authority = new TestAuthority();
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        await world.Create(Kind.Ingress, "site", Ingress("site", Host, "hello", port).Replace("\"path\":\"/\"", "\"path\":\"/api\"", StringComparison.Ordinal));
        var (certificates, key) = authority.Issue(Host);
        await world.Create(Kind.Secret, "ca", TestAuthority.Secret("ca", certificates, key).Replace("\"tls.crt\"", $"\"ca.crt\":\"{TestAuthority.Base64(authority.Root.ExportCertificatePem())}\",\"tls.crt\"", StringComparison.Ordinal));
        await world.Settings(Kind.Ingress, "site", ("tls-client-ca", "ca"));
        await Eventually.True(() => world.Lb.Routes.ClientAuthorities.Policy(new("default", "ca")).CustomTrustStore.Count == 1, "the authority is read");
        Assert.StartsWith("200 ", await Get(world, Host, authority.Issue("client"), "/api"), StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<Exception>(() => Get(world, Host, null, "/api"));
    }

    [Fact]
    public async Task PathsOfOneHostMayWantCertificatesOfDifferentAuthorities()
    {
        using var one = new TestAuthority();
        using var two = new TestAuthority();
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        foreach (var (name, authority) in ((string, TestAuthority)[])[("one", one), ("two", two)])
        {
            await world.Create(Kind.Ingress, name, Ingress(name, Host, "hello", port).Replace("\"path\":\"/\"", $"\"path\":\"/{name}\"", StringComparison.Ordinal));
            var (certificates, key) = authority.Issue(Host);
            await world.Create(Kind.Secret, name, TestAuthority.Secret(name, certificates, key).Replace("\"tls.crt\"", $"\"ca.crt\":\"{TestAuthority.Base64(authority.Root.ExportCertificatePem())}\",\"tls.crt\"", StringComparison.Ordinal));
            await world.Settings(Kind.Ingress, name, ("tls-client-ca", name));
            await Eventually.True(() => world.Lb.Routes.ClientAuthorities.Policy(new("default", name)).CustomTrustStore.Count == 1, "the authority is read");
        }
        Assert.StartsWith("200 ", await Get(world, Host, one.Issue("client"), "/one"), StringComparison.Ordinal);
        Assert.StartsWith("200 ", await Get(world, Host, two.Issue("client"), "/two"), StringComparison.Ordinal);
        Assert.StartsWith("421 ", await Get(world, Host, one.Issue("client"), "/two"), StringComparison.Ordinal);
        Assert.StartsWith("421 ", await Get(world, Host, two.Issue("client"), "/one"), StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<Exception>(() => Get(world, Host, null, "/one"));
    }

    [Fact]
    public async Task AHostMayWantTheNewestVersionAlone()
    {
        await using var world = await LbWorld.Start();
        await Site(world, await world.Backend("a"));
        await world.Settings(Kind.Ingress, "site", ("tls-min", "1.3"));
        using var client = new TlsClient(world.Options.HttpsPort);
        using (var shown = (await client.Handshake(Host, SslProtocols.Tls13)).Certificate) Assert.NotNull(shown);
        await Assert.ThrowsAnyAsync<Exception>(() => client.Handshake(Host, SslProtocols.Tls12));
        using var other = (await client.Handshake("other.example", SslProtocols.Tls12)).Certificate;
        Assert.NotNull(other);
    }

    [Fact]
    public async Task TlsIsPassedThroughByServerNameAndOthersAreServedHere()
    {
        using var authority = new TestAuthority();
        await using var world = await LbWorld.Start();
        using var server = new TlsEcho(Pfx(authority.Issue(Host)));
        await world.Publish("hello", [await world.Backend("a")]);
        await world.Service("secure", LbWorld.FreePort(), "https");
        await world.Slice("secure", [new("s", server.Port)]);
        await world.Routed("secure", 1);
        var port = world.Lb.Routes.Table.Clusters.Single(x => x.Service.Name == "secure").Number;
        await world.Create(Kind.Ingress, "site", Ingress("site", Host, "secure", port));
        await world.Settings(Kind.Ingress, "site", ("tls-passthrough", "true"));
        using var client = new TlsClient(world.Options.HttpsPort);
        Assert.Equal(Host, await client.Subject(Host)); // the endpoint's own certificate
        Assert.Equal("declarative-lb", await client.Subject("other.example"));
        await world.Settings(Kind.Ingress, "site", ("allow", "192.0.2.0/24"));
        await Assert.ThrowsAnyAsync<Exception>(() => client.Subject(Host));
    }

    /// <summary>Hellos that a real client made, cut and split in every way.</summary>
    [Fact]
    public async Task TheServerNameIsFoundInAHelloHoweverItComes()
    {
        var hello = await Hello(Host);
        for (var count = 0; count < hello.Length; count++) Assert.Equal(("", true), ClientHello.Read(hello.AsSpan(0, count)));
        Assert.Equal((Host, false), ClientHello.Read(hello));
        // In two records.
        byte[] split = [.. hello.AsSpan(0, 3), 0, 10, .. hello.AsSpan(5, 10), .. hello.AsSpan(0, 3), (byte)(hello.Length - 15 >> 8), (byte)(hello.Length - 15), .. hello.AsSpan(15)];
        Assert.Equal((Host, false), ClientHello.Read(split));
        Assert.Equal(("", false), ClientHello.Read(await Hello("")));
        Assert.Equal(("", false), ClientHello.Read("GET / HTTP/1.1\r\n"u8));
        var random = new Random(1);
        for (var i = 0; i < 5000; i++)
        {
            var broken = (byte[])hello.Clone();
            broken[random.Next(broken.Length)] = (byte)random.Next(256);
            ClientHello.Read(broken.AsSpan(0, random.Next(broken.Length + 1))); // throws nothing
        }
    }

    private static async Task<byte[]> Hello(string name)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, Stop);
        using var server = await listener.AcceptSocketAsync(Stop);
        await using var stream = new SslStream(client.GetStream());
        var shaking = stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = name }, Stop);
        var bytes = new byte[16_384];
        var count = await server.ReceiveAsync(bytes.AsMemory(0, 5), SocketFlags.None, Stop);
        var whole = 5 + (bytes[3] << 8 | bytes[4]);
        while (count < whole) count += await server.ReceiveAsync(bytes.AsMemory(count, whole - count), SocketFlags.None, Stop);
        server.Close();
        await Assert.ThrowsAnyAsync<IOException>(() => shaking);
        return bytes[..whole];
    }

    private static async Task Site(LbWorld world, Backend backend)
    {
        var port = await world.Publish("hello", [backend]);
        await world.Create(Kind.Ingress, "site", Ingress("site", Host, "hello", port));
        await world.Create(Kind.Ingress, "other", Ingress("other", "other.example", "hello", port));
        await Eventually.True(() => world.Lb.Routes.Table.Hosts.ByHost.Count == 2, "both are routed");
    }

    private static string Ingress(string name, string host, string service, int port) => $$"""
        {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"{{name}}","namespace":"default"},
         "spec":{"rules":[{"host":"{{host}}","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"{{service}}","port":{"number":{{port}} } } } }]} }]} }
        """;

    private static X509Certificate2 Pfx((string Certificates, string Key) pem)
    {
        using var certificate = X509Certificate2.CreateFromPem(pem.Certificates, pem.Key);
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null);
    }

    /// <summary>Asks for <see cref="Host"/> on a connection whose handshake named another host, perhaps.</summary>
    private static async Task<string> Get(LbWorld world, string serverName, (string Certificates, string Key)? issued, string path = "/")
    {
        using var certificate = issued is { } pem ? Pfx(pem) : null;
        var chain = new X509Certificate2Collection();
        if (issued is { } with) chain.ImportFromPem(with.Certificates);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, world.Options.HttpsPort, Stop);
        await using var stream = new SslStream(client.GetStream());
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = serverName,
            ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, chain, offline: true),
            RemoteCertificateValidationCallback = static (_, _, _, _) => true,
        }, Stop);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.0\r\nHost: {Host}\r\nConnection: close\r\n\r\n"), Stop);
        var answer = await new StreamReader(stream, Encoding.ASCII).ReadToEndAsync(Stop);
        if (answer.Length == 0) throw new IOException("closed without an answer");
        return answer.Split(' ')[1] + " " + answer.Split("\r\n\r\n")[1].TrimEnd();
    }

    /// <summary>Ends TLS itself.</summary>
    private sealed class TlsEcho : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly X509Certificate2 _certificate;
        private readonly Task _loop;

        public TlsEcho(X509Certificate2 certificate)
        {
            _certificate = certificate;
            _listener.Start();
            _loop = Loop();
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void Dispose()
        {
            _listener.Dispose();
            Assert.True(_loop.Wait(TimeSpan.FromSeconds(10)), "the loop ends");
        }

        private async Task Loop()
        {
            try
            {
                while (true)
                {
                    using var client = await _listener.AcceptTcpClientAsync();
                    await using var stream = new SslStream(client.GetStream());
                    await stream.AuthenticateAsServerAsync(_certificate);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException or AuthenticationException)
            {
                return;
            }
        }
    }
}
