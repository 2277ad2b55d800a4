using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Declarative.Dns;
using Declarative.Dns.Server;
using Declarative.Dns.Wire;
using Xunit;

namespace Declarative.Tests.Dns;

/// <summary>Transfers, cookies, TLS, HTTPS, forwarding and the limits, as dig and kdig see them.</summary>
public class WireFeatureTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static readonly DnsOptions Open = new() { TransferTo = [IPNetwork.Parse("127.0.0.0/8")] };

    [Fact]
    public async Task ZonesAreCopiedByThoseWhoMay()
    {
        await using var dns = await RunningDns.Start(Open);
        await dns.Apply(Service("web", "127.64.0.20"));
        await dns.Until("web.default.svc.cluster.local", RecordType.A, 1);
        var whole = await Dig(dns, "cluster.local AXFR +noall +answer");
        var lines = whole.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains(" SOA ", Flat(lines[0]), StringComparison.Ordinal);
        Assert.Equal(lines[0], lines[^1]);
        Assert.Contains(lines, l => Flat(l) == "web.default.svc.cluster.local. 5 IN A 127.64.0.20");
        Assert.Contains("Transfer failed", await Dig(dns, "example.org AXFR"), StringComparison.Ordinal);

        // What changed since a version, then nothing, then a version that nobody remembers: the whole.
        var serial = Flat(lines[0]).Split(' ')[6];
        await dns.Apply(Service("api", "127.64.0.21"));
        await dns.Until("api.default.svc.cluster.local", RecordType.A, 1);
        var changes = Flat(await Dig(dns, $"cluster.local IXFR={serial} +noall +answer"));
        Assert.Contains("api.default.svc.cluster.local. 5 IN A 127.64.0.21", changes, StringComparison.Ordinal);
        Assert.DoesNotContain("web.default", changes, StringComparison.Ordinal);
        Assert.True(changes.Split('\n').Count(l => l.Contains(" SOA ", StringComparison.Ordinal)) >= 4);
        var now = Flat(changes).Split('\n')[0].Split(' ')[6];
        Assert.Single(Flat(await Dig(dns, $"cluster.local IXFR={now} +noall +answer")).Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("web.default", await Dig(dns, "cluster.local IXFR=1 +noall +answer"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task NobodyElseCopiesAZone()
    {
        await using var dns = await RunningDns.Start();
        Assert.Contains("Transfer failed", await Dig(dns, "mesos AXFR"), StringComparison.Ordinal);
        Assert.Equal(ResponseCode.Refused, (await dns.Ask("mesos", RecordType.Axfr))!.Code);
    }

    /// <summary>A copy kept by IXFR is the zone at every version, however it changes.</summary>
    [Fact]
    public async Task CopiesKeptByChangesAreTheZone()
    {
        await using var dns = await RunningDns.Start(Open);
        var random = new Random(5);
        var copy = (await Transfer(dns, "cluster.local", null)).Skip(1).SkipLast(1).ToHashSet();
        var serial = SerialOf((await Transfer(dns, "cluster.local", null))[0]);
        for (var round = 0; round < 10; round++)
        {
            for (var i = 0; i < 3; i++)
                await dns.Apply(random.Next(6) is var n && random.Next(2) == 0 ? Service($"s{n}", null, port: random.Next(1, 9)) : Service($"n{round}-{i}", null));
            var records = await Transfer(dns, "cluster.local", serial);
            var whole = await Transfer(dns, "cluster.local", null);
            if (SerialOf(records[0]) != SerialOf(whole[0]))
                continue; // a change fell between the two questions: the next round sees both
            var removing = false;
            foreach (var record in records.Skip(1).SkipLast(records.Count > 1 ? 1 : 0))
            {
                if (record.Type == RecordType.Soa)
                    removing = !removing;
                else if (removing)
                    Assert.True(copy.Remove(record), $"{record} was not there");
                else
                    Assert.True(copy.Add(record), $"{record} was there");
            }
            serial = SerialOf(records[0]);
            Assert.Equal(whole.Skip(1).SkipLast(1).Select(r => r.ToString()).Order(), copy.Select(r => r.ToString()).Order());
        }
    }

    [Fact]
    public async Task SecondariesAreToldOfChanges()
    {
        using var secondary = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        await using var dns = await RunningDns.Start(new DnsOptions { Notify = [(IPEndPoint)secondary.Client.LocalEndPoint!] });
        await dns.Apply(Service("web", "127.64.0.20"));
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var seen = new HashSet<string>();
        while (!seen.Contains("cluster.local.") || !seen.Contains("mesos."))
        {
            var packet = await secondary.ReceiveAsync(limit.Token);
            var message = Message.Read(packet.Buffer)!;
            Assert.Equal((4, RecordType.Soa), (message.Header.Opcode, message.Type));
            seen.Add(message.Question.ToString());
            packet.Buffer[2] |= 0x80;
            await secondary.SendAsync(packet.Buffer, packet.RemoteEndPoint, limit.Token);
        }
    }

    [Fact]
    public async Task CookiesAreGivenAndKnownAgain()
    {
        await using var dns = await RunningDns.Start();
        Assert.Matches("COOKIE: [0-9a-f]{48} \\(good\\)", await Dig(dns, "mesos SOA +cookie=0123456789abcdef"));
        Assert.DoesNotContain("COOKIE", await Dig(dns, "mesos SOA +nocookie"), StringComparison.Ordinal);
        var jar = new CookieJar(new byte[16], 1000);
        var cookie = new byte[CookieJar.Size];
        byte[] client = [1, 2, 3, 4, 5, 6, 7, 8], address = [127, 0, 0, 1];
        jar.Write(cookie, client, address, 5000);
        Assert.True(jar.IsOurs(cookie, address, 5100));
        Assert.False(jar.IsOurs(cookie, [127, 0, 0, 2], 5100));
        Assert.False(jar.IsOurs(cookie, address, 9000));
        cookie[3] ^= 1;
        Assert.False(jar.IsOurs(cookie, address, 5100));
    }

    /// <summary>The reference vector of SipHash-2-4's authors: key and text are 00 01 02 …</summary>
    [Fact]
    public void SipHashIsSipHash() =>
        Assert.Equal(0xa129ca6149be45e5, CookieJar.SipHash([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], 0x0706050403020100, 0x0f0e0d0c0b0a0908));

    /// <summary>RFC 9018, appendix A.1.</summary>
    [Fact]
    public void CookiesAreThoseOfTheStandard()
    {
        var jar = new CookieJar(Convert.FromHexString("e5e973e5a6b2a43f48e7dc849e37bfcf"), 0);
        var cookie = new byte[CookieJar.Size];
        jar.Write(cookie, Convert.FromHexString("2464c4abcf10c957"), [198, 51, 100, 100], 1559731985);
        Assert.Equal("2464c4abcf10c957010000005cf79f111f8130c3eee29480", Convert.ToHexString(cookie), ignoreCase: true);
    }

    [Fact]
    public async Task FloodsAreLimitedButCookiesAndTcpGetThrough()
    {
        await using var dns = await RunningDns.Start(new DnsOptions { RatePerSecond = 20, UdpThreads = 1 });
        var query = new byte[300];
        var length = Query.Write(query, 7, DnsName.Parse("mesos").Wire, RecordType.Soa, 1232);
        using var flood = new UdpClient();
        flood.Connect(dns.Address);
        for (var i = 0; i < 2000; i++)
            await flood.SendAsync(query.AsMemory(0, length), Stop);
        using var http = new HttpClient();
        await Until(async () => Metric(await http.GetStringAsync(dns.Part.HttpAddress + "/metrics", Stop), "declarative_dns_limited_total") > 1000, "limited answers");
        Assert.Contains("status: NOERROR", await Dig(dns, "mesos SOA +tcp"), StringComparison.Ordinal);
        // Half of what is over the limit is answered with TC: who is real comes over TCP.
        var truncated = 0;
        await Until(async () =>
        {
            await flood.SendAsync(query.AsMemory(0, length), Stop);
            truncated += Message.Read((await flood.ReceiveAsync(Stop)).Buffer) is { Truncated: true } ? 1 : 0;
            return truncated > 10;
        }, "truncated answers");
        // A cookie of ours is free of the limit.
        using var known = new UdpClient();
        known.Connect(dns.Address);
        byte[]? cookie = null;
        await Until(async () =>
        {
            cookie = await known.Asked(WithCookie(query, length, new byte[8])) is { } answer && Message.Read(answer) is { Truncated: false } ? answer[^CookieJar.Size..] : null;
            return cookie is not null;
        }, "a cookie");
        for (var i = 0; i < 200; i++)
        {
            var answer = await known.Asked(WithCookie(query, length, cookie!));
            Assert.False(answer is not null && Message.Read(answer)!.Truncated);
        }
    }

    private static byte[] WithCookie(byte[] query, int length, byte[] cookie)
    {
        var all = new byte[length + Opt.OptionHead + cookie.Length];
        query.AsSpan(0, length).CopyTo(all);
        cookie.CopyTo(Opt.AddOption(all.AsSpan(length - Opt.Size), CookieJar.Option, cookie.Length));
        return all;
    }

    [Fact]
    public async Task OverTlsAndHttpsTheSameIsAnswered()
    {
        var folder = Directory.CreateTempSubdirectory();
        var (certificate, key) = (Path.Combine(folder.FullName, "cert.pem"), Path.Combine(folder.FullName, "key.pem"));
        using (var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256))
        {
            var request = new CertificateRequest("CN=localhost", ecdsa, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddIpAddress(IPAddress.Loopback);
            request.CertificateExtensions.Add(names.Build());
            using var signed = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            await File.WriteAllTextAsync(certificate, signed.ExportCertificatePem(), Stop);
            await File.WriteAllTextAsync(key, ecdsa.ExportPkcs8PrivateKeyPem(), Stop);
        }
        await using var dns = await RunningDns.Start(new DnsOptions
        {
            Tls = new TlsOptions { CertificateFile = certificate, KeyFile = key, Listen = new(IPAddress.Loopback, 0), Https = new(IPAddress.Loopback, 0) },
        });
        var tls = await ServerTests.Run("kdig", $"@127.0.0.1 -p {dns.Part.TlsAddress!.Port} +tls dns-version.cluster.local TXT");
        Assert.Contains("\"1.1.0\"", tls, StringComparison.Ordinal);
        Assert.Contains("TLS session", tls, StringComparison.Ordinal);
        var https = new Uri(dns.Part.HttpsAddress!).Port;
        foreach (var how in new[] { "+https", "+https-get" })
            Assert.Contains("\"1.1.0\"", await ServerTests.Run("kdig", $"@127.0.0.1 -p {https} {how} dns-version.cluster.local TXT"), StringComparison.Ordinal);
        var trust = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        trust.CustomTrustStore.ImportFromPemFile(certificate);
        using var handler = new SocketsHttpHandler { SslOptions = { CertificateChainPolicy = trust } };
        using var http = new HttpClient(handler);
        Assert.Equal(HttpStatusCode.BadRequest, (await http.GetAsync($"{dns.Part.HttpsAddress}/dns-query?dns=AAAA", Stop)).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await http.GetAsync($"{dns.Part.HttpsAddress}/dns-query", Stop)).StatusCode);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await http.PostAsync($"{dns.Part.HttpsAddress}/dns-query", new StringContent("x"), Stop)).StatusCode);
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task OtherZonesAreAskedForElsewhereAndRemembered()
    {
        using var deaf = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        using var upstream = new Upstream();
        await using var dns = await RunningDns.Start(new DnsOptions
        {
            Forward = new ForwardOptions { Resolvers = [(IPEndPoint)deaf.Client.LocalEndPoint!, upstream.Address], Timeout = TimeSpan.FromSeconds(1) },
        });
        var first = await Dig(dns, "www.example.org A +time=10");
        Assert.Contains("flags: qr rd ra;", first, StringComparison.Ordinal);
        Assert.Contains("www.example.org. 30 IN A 192.0.2.1", Flat(first), StringComparison.Ordinal);
        var asked = upstream.Asked;
        Assert.Contains("192.0.2.1", await Dig(dns, "WWW.example.org A +tcp"), StringComparison.Ordinal);
        Assert.Equal(asked, upstream.Asked);
        Assert.Contains("NXDOMAIN", await Dig(dns, "missing.example.org A +time=10"), StringComparison.Ordinal);
        Assert.Contains("NXDOMAIN", await Dig(dns, "missing.example.org A"), StringComparison.Ordinal);
        Assert.Equal(asked + 1, upstream.Asked);
        // Cut over UDP: fetched over TCP; mail exchangers keep their names.
        Assert.Contains("10 mail.example.org.", await Dig(dns, "big.example.org MX +time=10"), StringComparison.Ordinal);
        // Our own names never leave.
        Assert.Contains("NXDOMAIN", await Dig(dns, "nothing.mesos A"), StringComparison.Ordinal);
        Assert.DoesNotContain(upstream.Names, n => n.EndsWith("mesos.", StringComparison.Ordinal));
        // Without the wish for recursion, and for nobody who answers.
        Assert.Contains("REFUSED", await Dig(dns, "www.example.com A +norecurse"), StringComparison.Ordinal);
        Assert.Contains("SERVFAIL", await Dig(dns, "fails.example.org A +time=10"), StringComparison.Ordinal);
        // An alias out of our zones is followed.
        await dns.Apply("apiVersion: v1\nkind: Service\nmetadata: {name: ext}\nspec: {type: ExternalName, externalName: www.example.org}");
        await dns.Until("ext.default.svc.cluster.local", RecordType.Cname, 1);
        Assert.Contains("192.0.2.1", await Dig(dns, "ext.default.svc.cluster.local A +short +time=10"), StringComparison.Ordinal);
    }

    /// <summary>The longest zone that fits says who is asked; there is no way around it to the servers of all others.</summary>
    [Fact]
    public async Task ZonesHaveServersOfTheirOwn()
    {
        using var general = new Upstream();
        using var special = new Upstream();
        using var deeper = new Upstream();
        await using var dns = await RunningDns.Start(new DnsOptions
        {
            Forward = new ForwardOptions
            {
                Resolvers = [general.Address],
                Zones = new Dictionary<string, IReadOnlyList<IPEndPoint>> { ["example.org"] = [special.Address], ["deep.example.org"] = [deeper.Address] },
                Timeout = TimeSpan.FromSeconds(5),
            },
        });
        foreach (var name in new[] { "www.example.org", "x.deep.example.org", "www.example.com", "fails.example.org" })
            await Dig(dns, $"{name} A +time=10");
        Assert.Equal(["www.example.com."], general.Names);
        Assert.Equal(["fails.example.org.", "www.example.org."], special.Names.Order());
        Assert.Equal(["x.deep.example.org."], deeper.Names);
    }

    /// <summary>A zone of many messages: each is within its size, and together they are the zone, in the records' own order of start and end.</summary>
    [Fact]
    public void LargeZonesAreCopiedInManyMessages()
    {
        var contents = ZoneCase.NewContents();
        for (var i = 0; i < 5000; i++)
            contents.Put($"s{i}", [Declarative.Dns.Wire.Record.OfAddress(DnsName.Parse($"n{i}.x.mesos"), 5, new IPAddress([10, 0, (byte)(i >> 8), (byte)i]))]);
        contents.Publish(1);
        var query = new byte[100];
        var packet = query[..Query.Write(query, 77, DnsName.Parse("mesos").Wire, RecordType.Axfr)];
        var transfer = new ZoneTransfer(new ServerParts(Open, TimeProvider.System), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        var all = new List<Declarative.Dns.Wire.Record>();
        var messages = 0;
        foreach (var bytes in transfer.Messages(packet, contents.Current, IPAddress.Loopback, 1))
        {
            var message = Message.Read(bytes.Span)!;
            Assert.Equal((77, true), (message.Header.Id, message.Authoritative));
            Assert.InRange(bytes.Length, 100, 16 * 1024);
            all.AddRange(message.Answers);
            messages++;
        }
        Assert.InRange(messages, 5, 30);
        Assert.Equal((RecordType.Soa, RecordType.Soa), (all[0].Type, all[^1].Type));
        Assert.Equal(5000, all.Where(r => r.Type == RecordType.A).Select(r => r.Name).Distinct().Count());
        Assert.Single(transfer.Messages(packet, contents.Current, IPAddress.Parse("192.0.2.1"), 1), m => Message.Read(m.Span)!.Code == ResponseCode.Refused);
    }

    /// <summary>What is known does not wait behind what has to be asked for (RFC 7766, 6.2.1.1), and of many who ask the same one asks outside.</summary>
    [Fact]
    public async Task AnswersOverTcpComeWhenTheyAreThere()
    {
        using var upstream = new Upstream { Hold = true };
        await using var dns = await RunningDns.Start(new DnsOptions { Forward = new ForwardOptions { Resolvers = [upstream.Address], Timeout = TimeSpan.FromSeconds(60) } });
        using var client = new TcpClient();
        await client.ConnectAsync(dns.Address, Stop);
        var stream = client.GetStream();
        for (ushort id = 1; id <= 3; id++)
            await stream.WriteAsync(Framed(id, id == 3 ? "mesos" : "www.example.org", id == 3 ? RecordType.Soa : RecordType.A), Stop);
        Assert.Equal(3, (await Read(stream)).Header.Id);
        await Until(() => Task.FromResult(upstream.Asked == 1), "one question");
        upstream.Hold = false;
        var rest = new[] { await Read(stream), await Read(stream) };
        Assert.Equal([1, 2], rest.Select(m => (int)m.Header.Id).Order());
        Assert.All(rest, m => Assert.Single(m.Answers));
        Assert.Equal(1, upstream.Asked);
    }

    [Fact]
    public async Task ChangesAreStreamedOverHttp()
    {
        await using var dns = await RunningDns.Start();
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(60) };
        await using var stream = await http.GetStreamAsync(dns.Part.HttpAddress + "/v1/watch?name=web.default.svc.cluster.local", Stop);
        using var reader = new StreamReader(stream);
        Assert.Contains("\"records\":[]", await NextData(reader), StringComparison.Ordinal);
        await dns.Apply(Service("other", "127.64.0.30"));
        await dns.Apply(Service("web", "127.64.0.20"));
        Assert.Contains("web.default.svc.cluster.local. 5 IN A 127.64.0.20", await NextData(reader), StringComparison.Ordinal);
    }

    internal static string Service(string name, string? address, int port = 80) =>
        $"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{(address is null ? "" : $"clusterIP: {address}, ")}ports: [{{name: http, port: {port}, protocol: TCP}}]}}";

    private static async Task<string> NextData(StreamReader reader)
    {
        while (await reader.ReadLineAsync(Stop) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                return line;
        }
        throw new IOException("the stream ended");
    }

    private static uint SerialOf(Declarative.Dns.Wire.Record soa) => BinaryPrimitives.ReadUInt32BigEndian(soa.Rdata.Span[^20..]);

    private static async Task<IReadOnlyList<Declarative.Dns.Wire.Record>> Transfer(RunningDns dns, string zone, uint? since)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(dns.Address, Stop);
        var name = DnsName.Parse(zone);
        var query = new byte[1024];
        var writer = new MessageWriter(query);
        var question = new byte[name.Wire.Length + 4];
        name.Wire.CopyTo(question);
        BinaryPrimitives.WriteUInt16BigEndian(question.AsSpan(name.Wire.Length), (ushort)(since is null ? RecordType.Axfr : RecordType.Ixfr));
        question[^1] = 1;
        writer.Question(question);
        if (since is { } serial)
            writer.Record(Declarative.Dns.Wire.Record.OfSoa(name, 0, name, name, serial, 0, 0, 0, 0));
        new Header(9, 0, 1, 0, (ushort)(since is null ? 0 : 1), 0).Write(query);
        var framed = new byte[2 + writer.Position];
        BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)writer.Position);
        query.AsSpan(0, writer.Position).CopyTo(framed.AsSpan(2));
        await client.GetStream().WriteAsync(framed, Stop);
        var all = new List<Declarative.Dns.Wire.Record>();
        do
            all.AddRange((await Read(client.GetStream())).Answers);
        while (all.Count > 1 && !all[^1].Equals(all[0]));
        return all;
    }

    private static byte[] Framed(ushort id, string name, RecordType type)
    {
        var query = new byte[300];
        var length = Query.Write(query.AsSpan(2), id, DnsName.Parse(name).Wire, type);
        BinaryPrimitives.WriteUInt16BigEndian(query, (ushort)length);
        return query[..(length + 2)];
    }

    private static async Task<Message> Read(Stream stream)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var size = new byte[2];
        await stream.ReadExactlyAsync(size, limit.Token);
        var bytes = new byte[BinaryPrimitives.ReadUInt16BigEndian(size)];
        await stream.ReadExactlyAsync(bytes, limit.Token);
        return Message.Read(bytes)!;
    }

    private static Task<string> Dig(RunningDns dns, string question) => ServerTests.Run("dig", $"@127.0.0.1 -p {dns.Address.Port} {question}");

    private static string Flat(string text) => System.Text.RegularExpressions.Regex.Replace(text, "[\t ]+", " ");

    private static long Metric(string text, string name) =>
        long.Parse(text.Split('\n').First(l => l.StartsWith(name + " ", StringComparison.Ordinal)).Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);

    internal static async Task Until(Func<Task<bool>> condition, string what)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await condition())
        {
            Assert.False(limit.IsCancellationRequested, $"it never came to this: {what}");
            await Task.Delay(5, Stop);
        }
    }

    /// <summary>A server of another zone, over UDP and TCP.</summary>
    private sealed class Upstream : IDisposable
    {
        private readonly UdpClient _udp;
        private readonly TcpListener _tcp;
        private readonly CancellationTokenSource _stop = new();
        private readonly Task[] _serving;

        public Upstream()
        {
            (_udp, _tcp) = Bound();
            _serving = [ServeUdp(), ServeTcp()];
        }

        public IPEndPoint Address => (IPEndPoint)_udp.Client.LocalEndPoint!;

        // One port for both: the one that UDP was given may be somebody else's in TCP.
        private static (UdpClient, TcpListener) Bound()
        {
            while (true)
            {
                var udp = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
                var tcp = new TcpListener((IPEndPoint)udp.Client.LocalEndPoint!);
                try
                {
                    tcp.Start();
                    return (udp, tcp);
                }
                catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
                {
                    udp.Dispose();
                }
            }
        }

        public int Asked { get; private set; }
        public List<string> Names { get; } = [];
        public volatile bool Hold;

        public void Dispose()
        {
            _stop.Cancel();
            _udp.Dispose();
            _tcp.Dispose();
            Task.WhenAll(_serving).Wait(TimeSpan.FromSeconds(60));
        }

        private async Task ServeUdp()
        {
            try
            {
                while (true)
                {
                    var packet = await _udp.ReceiveAsync(_stop.Token);
                    Asked++;
                    while (Hold)
                        await Task.Delay(1, _stop.Token);
                    await _udp.SendAsync(Answered(packet.Buffer, stream: false), packet.RemoteEndPoint, _stop.Token);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }
        }

        private async Task ServeTcp()
        {
            try
            {
                while (true)
                {
                    using var client = await _tcp.AcceptTcpClientAsync(_stop.Token);
                    var size = new byte[2];
                    await client.GetStream().ReadExactlyAsync(size, _stop.Token);
                    var query = new byte[BinaryPrimitives.ReadUInt16BigEndian(size)];
                    await client.GetStream().ReadExactlyAsync(query, _stop.Token);
                    var answer = Answered(query, stream: true);
                    BinaryPrimitives.WriteUInt16BigEndian(size, (ushort)answer.Length);
                    await client.GetStream().WriteAsync((byte[])[.. size, .. answer], _stop.Token);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }
        }

        private byte[] Answered(byte[] query, bool stream)
        {
            var message = Message.Read(query)!;
            var name = message.Question.ToString();
            lock (Names)
                Names.Add(name);
            var buffer = new byte[4096];
            var writer = new MessageWriter(buffer);
            writer.Question(query.AsSpan(Header.Size, message.QuestionWire.Length + 4));
            var (flags, answers, authorities) = (Header.Response | Header.RecursionAvailable, 0, 0);
            if (name.StartsWith("fails", StringComparison.Ordinal))
            {
                flags |= (int)ResponseCode.ServFail;
            }
            else if (name.StartsWith("missing", StringComparison.Ordinal))
            {
                flags |= (int)ResponseCode.NxDomain;
                authorities = 1;
                var zone = DnsName.Parse("example.org");
                writer.Record(Declarative.Dns.Wire.Record.OfSoa(zone, 60, zone, zone, 1, 1, 1, 1, 60));
            }
            else if (message.Type == RecordType.Mx && !stream)
            {
                flags |= Header.Truncated;
            }
            else
            {
                answers = 1;
                writer.Record(message.Type == RecordType.Mx
                    ? new Declarative.Dns.Wire.Record(message.Question, RecordType.Mx, 30, (byte[])[0, 10, .. DnsName.Parse("mail.example.org").Wire])
                    : Declarative.Dns.Wire.Record.OfAddress(message.Question, 30, IPAddress.Parse("192.0.2.1")));
            }
            new Header(message.Header.Id, (ushort)flags, 1, (ushort)answers, (ushort)authorities, 0).Write(buffer);
            return buffer[..writer.Position];
        }
    }
}

internal static class UdpQuestions
{
    /// <summary>One packet there and one back; null when none comes within a second.</summary>
    public static async Task<byte[]?> Asked(this UdpClient client, byte[] packet)
    {
        await client.SendAsync(packet);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        try
        {
            return (await client.ReceiveAsync(limit.Token)).Buffer;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }
}
