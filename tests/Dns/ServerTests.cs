using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Declarative.Dns;
using Declarative.Dns.Server;
using Declarative.Dns.Wire;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Dns;

public class ServerTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static string Hello => File.ReadAllText(Path.Combine(GoldenTests.Folder(), "hello", "in.yaml"));

    [Theory]
    [InlineData("hello.declarative.mesos A", "127.0.0.1")]
    [InlineData("hello.default.svc.cluster.local A", "127.64.0.17")]
    [InlineData("hello.default.svc.cluster.local A +tcp", "127.64.0.17")]
    [InlineData("_http._tcp.hello.default.svc.cluster.local SRV", "0 1 9001 hello.default.svc.cluster.local.")]
    [InlineData("mesos NS", "ns1.mesos.")]
    [InlineData("ns1.mesos A +noedns", "127.0.0.1")]
    [InlineData("dns-version.cluster.local TXT", "\"1.1.0\"")]
    public async Task DigFindsWhatUsersAskFor(string question, string expected)
    {
        await using var dns = await RunningDns.Start();
        await dns.Apply(Hello);
        await Eventually(dns, "hello.declarative.mesos", RecordType.A, 1);
        await Eventually(dns, "hello.default.svc.cluster.local", RecordType.A, 1);
        foreach (var client in new[] { "dig", "kdig" })
            Assert.Equal(expected, (await Run(client, $"@127.0.0.1 -p {dns.Address.Port} {question} +short")).Trim());
    }

    /// <summary>BIND's validating client takes what is unsigned for what it is: the answers have no fault that it would find.</summary>
    [Fact]
    public async Task DelvTakesTheAnswers()
    {
        await using var dns = await RunningDns.Start();
        await dns.Apply(Hello);
        await Eventually(dns, "hello.default.svc.cluster.local", RecordType.A, 1);
        foreach (var (question, expected) in new[]
        {
            ("hello.default.svc.cluster.local A", "hello.default.svc.cluster.local. 5 IN A 127.64.0.17"),
            ("_http._tcp.hello.default.svc.cluster.local SRV", "_http._tcp.hello.default.svc.cluster.local. 5 IN SRV 0 1 9001 hello.default.svc.cluster.local."),
            ("hello.default.svc.cluster.local AAAA", ";-$NXRRSET"),
            ("nothing.default.svc.cluster.local A", ";-$NXDOMAIN"),
        })
        {
            var said = System.Text.RegularExpressions.Regex.Replace(await Run("delv", $"-i @127.0.0.1 -p {dns.Address.Port} {question}"), "[\t ]+", " ");
            Assert.True(said.Contains(expected, StringComparison.Ordinal), $"{question}: {said}");
        }
    }

    /// <summary>Each zone has a TTL of its own, its negative answers too; a service's annotation says otherwise for its names.</summary>
    [Fact]
    public async Task TtlsAreThoseOfZoneAndService()
    {
        await using var dns = await RunningDns.Start(new DnsOptions { Times = new(30, 30), ClusterTimes = new(7, 7) });
        await dns.Apply(Hello);
        await dns.Apply("apiVersion: v1\nkind: Service\nmetadata: {name: slow, annotations: {declarative.mesos/dns-ttl: '600'}}\nspec: {clusterIP: 127.64.0.30, ports: [{name: http, port: 80}]}");
        await Eventually(dns, "hello.declarative.mesos", RecordType.A, 1);
        await Eventually(dns, "slow.default.svc.cluster.local", RecordType.A, 1);
        foreach (var (name, type, ttl) in new[]
        {
            ("hello.declarative.mesos", RecordType.A, 30u), ("hello.default.svc.cluster.local", RecordType.A, 7u), ("slow.default.svc.cluster.local", RecordType.A, 600u),
            ("_http._tcp.slow.default.svc.cluster.local", RecordType.Srv, 600u), ("30.0.64.127.in-addr.arpa", RecordType.Ptr, 600u),
        })
            Assert.Equal(ttl, Assert.Single((await dns.Ask(name, type))!.Answers).Ttl);
        Assert.Equal(30u, Assert.Single((await dns.Ask("none.mesos", RecordType.A))!.Authorities).Ttl);
        Assert.Equal(7u, Assert.Single((await dns.Ask("none.cluster.local", RecordType.A))!.Authorities).Ttl);
    }

    /// <summary>The switch back to Mesos-DNS' ways: whatever runs is named, ready or not.</summary>
    [Fact]
    public async Task UnreadyTasksAreNamedWhereAllRunningOnesAreWanted()
    {
        foreach (var healthAware in new[] { true, false })
        {
            await using var dns = await RunningDns.Start(new DnsOptions { HealthAware = healthAware });
            await dns.Apply("""
                apiVersion: v1
                kind: Pod
                metadata: {name: sick, annotations: {declarative.mesos/task: '{"id":"u.0","agent":"x-S0","ports":{}}'}}
                spec: {nodeName: agent-0, containers: [{name: sick, command: [x]}]}
                status: {phase: Running, hostIP: 127.0.0.1, podIP: 127.0.0.1, conditions: [{type: Ready, status: "False"}]}
                """);
            await dns.Apply(WireFeatureTests.Service("after", "127.64.0.31"));
            await Eventually(dns, "after.default.svc.cluster.local", RecordType.A, 1);
            await Eventually(dns, "sick.declarative.mesos", RecordType.A, healthAware ? 0 : 1);
        }
    }

    [Fact]
    public async Task ServicesOfTasksComeWithTargetsInTurn()
    {
        await using var dns = await RunningDns.Start();
        await dns.Apply(Hello);
        await Eventually(dns, "_hello._tcp.declarative.mesos", RecordType.Srv, 3);
        foreach (var transport in new[] { "+notcp", "+tcp" })
        {
            var text = await Run("dig", $"@127.0.0.1 -p {dns.Address.Port} _hello._tcp.declarative.mesos SRV {transport}");
            Assert.Contains("status: NOERROR", text, StringComparison.Ordinal);
            Assert.Contains("flags: qr aa rd; QUERY: 1, ANSWER: 3, AUTHORITY: 0, ADDITIONAL: 4", text, StringComparison.Ordinal);
            Assert.DoesNotContain("WARNING: Message parser", text, StringComparison.OrdinalIgnoreCase);
        }
        var firsts = new HashSet<int>();
        for (var i = 0; i < 30; i++)
            firsts.Add((await dns.Ask("_hello._tcp.declarative.mesos", RecordType.Srv))!.Answers[0].Port);
        Assert.Equal([31001, 31002, 31003], firsts.Order());
    }

    [Fact]
    public async Task DigSeesNegativeAnswersAndRefusals()
    {
        await using var dns = await RunningDns.Start();
        var missing = await Run("dig", $"@127.0.0.1 -p {dns.Address.Port} nothing.declarative.mesos A");
        Assert.Contains("status: NXDOMAIN", missing, StringComparison.Ordinal);
        Assert.Matches(@"(?m)^mesos\.\s+5\s+IN\s+SOA\s+ns1\.mesos\. root\.ns1\.mesos\. ", missing);
        Assert.Contains("status: REFUSED", await Run("dig", $"@127.0.0.1 -p {dns.Address.Port} example.org A"), StringComparison.Ordinal);
        Assert.Contains("status: NOTIMP", await Run("dig", $"@127.0.0.1 -p {dns.Address.Port} +opcode=4 mesos"), StringComparison.Ordinal);
        Assert.Contains("status: BADVERS", await Run("dig", $"@127.0.0.1 -p {dns.Address.Port} +edns=1 +noednsnegotiation mesos"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ManyQueriesOnOneConnectionAreAllAnswered()
    {
        await using var dns = await RunningDns.Start();
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(dns.Address, Stop);
        const int count = 2000;
        var sending = Task.Run(async () =>
        {
            var all = new MemoryStream();
            var query = new byte[300];
            for (var i = 0; i < count; i++)
            {
                var length = Query.Write(query.AsSpan(2), (ushort)i, DnsName.Parse(i % 2 == 0 ? "ns1.mesos" : "missing.mesos").Wire, RecordType.A);
                BinaryPrimitives.WriteUInt16BigEndian(query, (ushort)length);
                all.Write(query, 0, length + 2);
            }
            // In pieces that cut messages anywhere, also inside a length.
            var bytes = all.ToArray();
            for (var at = 0; at < bytes.Length; at += 777)
                await socket.SendAsync(bytes.AsMemory(at, Math.Min(777, bytes.Length - at)), Stop);
        }, Stop);
        await using var stream = new NetworkStream(socket);
        for (var i = 0; i < count; i++)
        {
            var message = Message.Read(await ReadMessage(stream))!;
            Assert.Equal((i, i % 2 == 0 ? ResponseCode.NoError : ResponseCode.NxDomain), (message.Header.Id, message.Code));
        }
        await sending;
    }

    [Theory]
    [InlineData(new byte[] { 0, 0 })]
    [InlineData(new byte[] { 0, 5, 1, 2, 3, 4, 5 })]
    [InlineData(new byte[] { 0xFF, 0xFF, 1 })]
    public async Task WhatIsNoQueryEndsItsConnectionOnly(byte[] bytes)
    {
        await using var dns = await RunningDns.Start();
        using var other = new TcpClient();
        await other.ConnectAsync(dns.Address, Stop);
        using var client = new TcpClient();
        await client.ConnectAsync(dns.Address, Stop);
        await client.GetStream().WriteAsync(bytes, Stop);
        Assert.Equal(0, await client.GetStream().ReadAsync(new byte[10], Stop));
        var query = new byte[100];
        var length = Query.Write(query.AsSpan(2), 1, DnsName.Parse("ns1.mesos").Wire, RecordType.A);
        query[1] = (byte)length;
        await other.GetStream().WriteAsync(query.AsMemory(0, length + 2), Stop);
        Assert.Single(Message.Read(await ReadMessage(other.GetStream()))!.Answers);
    }

    [Fact]
    public async Task BadPacketsDoNotStopTheLoops()
    {
        await using var dns = await RunningDns.Start();
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(dns.Address, Stop);
        var random = new Random(7);
        for (var i = 0; i < 5000; i++)
        {
            var packet = new byte[i % 100 == 0 ? 9000 : random.Next(0, 300)];
            random.NextBytes(packet);
            await socket.SendAsync(packet, Stop);
        }
        // Every thread still answers: the kernel spreads clients over the sockets by their ports.
        for (var i = 0; i < 50; i++)
            await Eventually(dns, "ns1.mesos", RecordType.A, 1);
    }

    [Fact]
    public async Task PlainLoopAnswersToo()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var address = (IPEndPoint)socket.LocalEndPoint!;
        using var loop = new UdpLoop(socket, new DnsZones(new DnsOptions()), new ServerParts(new DnsOptions(), TimeProvider.System), NullLogger.Instance, batched: false);
        using var client = new UdpClient();
        client.Connect(address);
        var query = new byte[100];
        var length = Query.Write(query, 5, DnsName.Parse("ns1.mesos").Wire, RecordType.A);
        await client.SendAsync(new byte[3], Stop);
        await client.SendAsync(query.AsMemory(0, length), Stop);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        // Zones that have not been read yet: SERVFAIL, which nobody caches as "no such name".
        Assert.Equal(ResponseCode.ServFail, Message.Read((await client.ReceiveAsync(limit.Token)).Buffer)!.Code);
    }

    /// <summary>A connected client takes answers only from the address it asked.</summary>
    [Fact]
    public async Task WildcardSocketAnswersFromTheAddressThatWasAsked()
    {
        await using var part = new DnsPart(new DnsOptions { Listen = new IPEndPoint(IPAddress.Any, 0), ClusterListen = null, Http = null });
        await part.Open();
        foreach (var address in new[] { "127.0.0.1", "127.0.0.5", "127.64.0.77" })
        {
            using var client = new UdpClient();
            client.Connect(new IPEndPoint(IPAddress.Parse(address), part.Address.Port));
            var query = new byte[100];
            await client.SendAsync(query.AsMemory(0, Query.Write(query, 5, DnsName.Parse("ns1.mesos").Wire, RecordType.A)), Stop);
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            Assert.Equal(ResponseCode.ServFail, Message.Read((await client.ReceiveAsync(limit.Token)).Buffer)!.Code);
        }
    }

    [Fact]
    public async Task LargeAnswersAreFetchedOverTcp()
    {
        await using var dns = await RunningDns.Start();
        var endpoints = string.Join(", ", Enumerable.Range(1, 100).Select(i => $"{{addresses: [10.0.0.{i}], conditions: {{ready: true}}}}"));
        await dns.Apply($"apiVersion: v1\nkind: Service\nmetadata: {{name: big}}\nspec: {{clusterIP: None, ports: [{{port: 80}}]}}");
        await dns.Apply($"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: big-a, labels: {{kubernetes.io/service-name: big}}}}\naddressType: IPv4\nendpoints: [{endpoints}]\nports: [{{port: 80, protocol: TCP}}]");
        await Eventually(dns, "10-0-0-100.big.default.svc.cluster.local", RecordType.A, 1);
        Assert.True((await dns.Ask("big.default.svc.cluster.local", RecordType.A))!.Truncated);
        var lines = await Run("dig", $"@127.0.0.1 -p {dns.Address.Port} big.default.svc.cluster.local +short");
        Assert.Equal(100, lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Distinct().Count());
    }

    [Fact]
    public async Task ClusterAddressIsServedWhereItMayBe()
    {
        await using var part = new DnsPart(new DnsOptions
        {
            Listen = new IPEndPoint(IPAddress.Loopback, 0),
            ClusterListen = new IPEndPoint(IPAddress.Parse("127.64.0.10"), 0),
            Http = null,
        });
        await part.Open();
        Assert.Contains("SERVFAIL", await Run("dig", $"@127.64.0.10 -p {part.ClusterAddress!.Port} mesos"), StringComparison.Ordinal);
        // One that is taken is left out and told, and the rest works.
        using var said = new SaidLogs();
        await using var second = new DnsPart(new DnsOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0), ClusterListen = part.ClusterAddress, Http = null }, said);
        await second.Open();
        Assert.Null(second.ClusterAddress);
        Assert.Contains(said.Lines, line => line.Contains(part.ClusterAddress!.ToString(), StringComparison.Ordinal) && line.Contains("Address already in use", StringComparison.Ordinal));
        Assert.Contains("SERVFAIL", await Run("dig", $"@127.0.0.1 -p {second.Address.Port} mesos"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TakenPortIsNamed()
    {
        await using var dns = await RunningDns.Start();
        await using var second = new DnsPart(new DnsOptions { Listen = dns.Address, ClusterListen = null, Http = null });
        var error = await Assert.ThrowsAsync<IOException>(second.Open);
        Assert.Contains(dns.Address.ToString(), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HttpApiAnswersAsMesosDns()
    {
        await using var dns = await RunningDns.Start();
        await dns.Apply(Hello);
        await Eventually(dns, "_hello._tcp.declarative.mesos", RecordType.Srv, 3);
        using var http = new HttpClient { BaseAddress = new Uri(dns.Part.HttpAddress!) };
        Assert.Equal("""[{"host":"hello.declarative.mesos.","ip":"127.0.0.1"}]""", await http.GetStringAsync("/v1/hosts/hello.declarative.mesos", Stop));
        Assert.Equal("""[{"host":"","ip":""}]""", await http.GetStringAsync("/v1/hosts/none.mesos.", Stop));
        Assert.Equal(HttpStatusCode.NotImplemented, (await http.GetAsync("/v1/hosts/x/ports", Stop)).StatusCode);
        var services = JsonDocument.Parse(await http.GetStringAsync("/v1/services/_hello._tcp.declarative.mesos.", Stop)).RootElement;
        Assert.Equal(3, services.GetArrayLength());
        Assert.Equal("31001", services[0].GetProperty("port").GetString());
        Assert.Equal("""[{"service":"","host":"","ip":"","port":""}]""", await http.GetStringAsync("/v1/services/_x._tcp.mesos", Stop));
        Assert.Equal("Mesos-DNS", JsonDocument.Parse(await http.GetStringAsync("/v1/version", Stop)).RootElement.GetProperty("Service").GetString());
        Assert.Equal("mesos", JsonDocument.Parse(await http.GetStringAsync("/v1/config", Stop)).RootElement.GetProperty("Domain").GetString());
        var framework = JsonDocument.Parse(await http.GetStringAsync("/v1/enumerate", Stop)).RootElement.GetProperty("frameworks")[0];
        Assert.Equal(("declarative", 3), (framework.GetProperty("name").GetString(), framework.GetProperty("tasks").GetArrayLength()));
        var records = JsonDocument.Parse(await http.GetStringAsync("/v1/axfr", Stop)).RootElement.GetProperty("Records");
        Assert.Equal("127.0.0.1", records.GetProperty("As").GetProperty("hello.declarative.mesos.")[0].GetString());
        Assert.EndsWith(".declarative.mesos.:31001", records.GetProperty("SRVs").GetProperty("_hello._tcp.declarative.mesos.")[0].GetString(), StringComparison.Ordinal);
        Assert.Contains("declarative_dns_synced 1\n", await http.GetStringAsync("/metrics", Stop), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("/v1/hosts", Stop)).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await http.PostAsync("/v1/version", null, Stop)).StatusCode);
    }

    internal static async Task Eventually(RunningDns dns, string name, RecordType type, int answers)
    {
        var end = DateTime.UtcNow.AddSeconds(30);
        while ((await dns.Ask(name, type))?.Answers.Count != answers)
            Assert.True(DateTime.UtcNow < end, $"{name} {type} never had {answers} answers");
    }

    private static async Task<byte[]> ReadMessage(Stream stream)
    {
        var length = new byte[2];
        await stream.ReadExactlyAsync(length, Stop);
        var message = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
        await stream.ReadExactlyAsync(message, Stop);
        return message;
    }

    internal static async Task<string> Run(string program, string arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments + program switch { "dig" => " +tries=1 +time=5", "kdig" => " +retry=0 +timeout=5", _ => "" }) { RedirectStandardOutput = true, UseShellExecute = false })!;
        var text = await process.StandardOutput.ReadToEndAsync(Stop);
        await process.WaitForExitAsync(Stop);
        return text;
    }

    /// <summary>Remembers what was logged.</summary>
    private sealed class SaidLogs : ILoggerFactory, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = [];
        public ILogger CreateLogger(string categoryName) => this;
        public bool IsEnabled(LogLevel logLevel) => true;
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Lines.Enqueue(formatter(state, exception));
        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();
        public void Dispose() => Lines.Clear();
    }
}
