using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using Xunit;

namespace Declarative.Tests.Dns;

/// <summary>Clients that are slow, greedy, simple or unlucky.</summary>
public class HostileClientTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>One that sends without reading is dropped, one that sends a byte at a time is closed when idle; others are answered meanwhile.</summary>
    [Fact]
    public async Task Slow_clients_hold_up_nobody()
    {
        await using var dns = await RunningDns.Start();
        var big = string.Join(", ", Enumerable.Range(1, 200).Select(i => $"{{addresses: [10.0.0.{i}], conditions: {{ready: true}}}}"));
        await dns.Apply("apiVersion: v1\nkind: Service\nmetadata: {name: big}\nspec: {clusterIP: None, ports: [{port: 80}]}");
        await dns.Apply($"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: big-a, labels: {{kubernetes.io/service-name: big}}}}\naddressType: IPv4\nendpoints: [{big}]\nports: [{{port: 80, protocol: TCP}}]");
        await dns.Until("10-0-0-200.big.default.svc.cluster.local", RecordType.A, 1);
        using var greedy = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await greedy.ConnectAsync(dns.Address, Stop);
        var query = Framed("big.default.svc.cluster.local");
        var sending = Task.Run(async () =>
        {
            // Until the server gives up on it: its answers fill every buffer on the way.
            try
            {
                while (true)
                    await greedy.SendAsync(query, Stop);
            }
            catch (SocketException)
            {
                return true;
            }
        }, Stop);
        using var crumbs = new TcpClient();
        await crumbs.ConnectAsync(dns.Address, Stop);
        await crumbs.GetStream().WriteAsync(query.AsMemory(0, 3), Stop);
        for (var i = 0; i < 50; i++)
            Assert.NotNull(await dns.Ask("ns1.mesos", RecordType.A));
        Assert.True(await sending.WaitAsync(TimeSpan.FromSeconds(60), Stop));
        Assert.Equal(0, await crumbs.GetStream().ReadAsync(new byte[1], Stop).AsTask().WaitAsync(TimeSpan.FromSeconds(60), Stop));
    }

    [Fact]
    public async Task Connections_of_one_client_are_limited()
    {
        await using var dns = await RunningDns.Start();
        var clients = new List<TcpClient>();
        for (var i = 0; i < DnsLimits.TcpConnectionsPerClientMax + 20; i++)
        {
            clients.Add(new TcpClient());
            await clients[^1].ConnectAsync(dns.Address, Stop);
        }
        using var http = new HttpClient();
        await WireFeatureTests.Until(async () => (await http.GetStringAsync(dns.Part.HttpAddress + "/metrics", Stop)).Contains("declarative_dns_tcp_refused_total 20", StringComparison.Ordinal), "twenty refusals");
        Assert.NotNull(await dns.Ask("ns1.mesos", RecordType.A));
        clients.ForEach(c => c.Dispose());
        await WireFeatureTests.Until(async () => (await http.GetStringAsync(dns.Part.HttpAddress + "/metrics", Stop)).Contains("declarative_dns_tcp_connections 0", StringComparison.Ordinal), "all are gone");
    }

    /// <summary>Names that nobody has, each another one: the zones' memory does not grow by a byte, and what exists is answered.</summary>
    [Fact]
    public async Task Floods_of_random_names_leave_nothing_behind()
    {
        await using var dns = await RunningDns.Start();
        await dns.Apply(WireFeatureTests.Service("web", "127.64.0.20"));
        await dns.Until("web.default.svc.cluster.local", RecordType.A, 1);
        var names = dns.Part.Zones.Cell.Current.Names.Count;
        using var flood = new UdpClient();
        flood.Connect(dns.Address);
        var random = new Random(3);
        var query = new byte[300];
        for (var i = 0; i < 20_000; i++)
        {
            var length = Query.Write(query, (ushort)i, DnsName.Parse($"{random.NextInt64():x}.default.svc.cluster.local").Wire, RecordType.A, 1232);
            await flood.SendAsync(query.AsMemory(0, length), Stop);
            if (i % 1000 == 0)
                Assert.Single((await Retried(dns, "web.default.svc.cluster.local", RecordType.A)).Answers);
        }
        Assert.Equal(names, dns.Part.Zones.Cell.Current.Names.Count);
    }

    /// <summary>Every tenth packet is lost on the way there or back; a client that asks again gets every answer, and only right ones.</summary>
    [Fact]
    public async Task A_tenth_of_the_packets_may_be_lost()
    {
        await using var dns = await RunningDns.Start();
        for (var i = 0; i < 20; i++)
            await dns.Apply(WireFeatureTests.Service($"s{i}", $"127.64.7.{i + 1}"));
        await dns.Until("s19.default.svc.cluster.local", RecordType.A, 1);
        await using var lossy = new LossyPath(dns.Address, new Random(11));
        using var client = new UdpClient();
        client.Connect(lossy.Address);
        var query = new byte[300];
        for (var i = 0; i < 100; i++)
        {
            var length = Query.Write(query, (ushort)i, DnsName.Parse($"s{i % 20}.default.svc.cluster.local").Wire, RecordType.A);
            Message? answer = null;
            for (var attempt = 0; answer is null || answer.Header.Id != i; attempt++)
            {
                Assert.True(attempt < 20, "the twentieth try was lost too");
                answer = await client.Asked(query[..length]) is { } bytes ? Message.Read(bytes) : null;
            }
            Assert.Equal($"127.64.7.{i % 20 + 1}", Assert.Single(answer.Answers).Address.ToString());
        }
        Assert.True(lossy.Lost > 0);
    }

    /// <summary>musl's stub: A and AAAA at once from one socket, no EDNS, no TCP; TC makes it use what it has.</summary>
    [Fact]
    public async Task A_stub_without_edns_and_tcp_finds_names()
    {
        await using var dns = await RunningDns.Start();
        await dns.Apply(WireFeatureTests.Service("web", "127.64.0.20"));
        await dns.Until("web.default.svc.cluster.local", RecordType.A, 1);
        using var stub = new UdpClient();
        stub.Connect(dns.Address);
        // The search list of a pod in "default", as ndots:5 makes it be tried.
        foreach (var (name, exists) in new[] { ("web.default.svc.cluster.local", true), ("web.svc.cluster.local", false), ("web.cluster.local", false) })
        {
            var query = new byte[300];
            await stub.SendAsync(query.AsMemory(0, Query.Write(query, 1, DnsName.Parse(name).Wire, RecordType.A)), Stop);
            await stub.SendAsync(query.AsMemory(0, Query.Write(query, 2, DnsName.Parse(name).Wire, RecordType.Aaaa)), Stop);
            var answers = new Dictionary<ushort, Message>();
            while (answers.Count < 2)
            {
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
                var packet = (await stub.ReceiveAsync(limit.Token)).Buffer;
                Assert.InRange(packet.Length, 12, 512);
                var message = Message.Read(packet)!;
                answers[message.Header.Id] = message;
            }
            Assert.Equal(exists ? 1 : 0, answers[1].Answers.Count);
            // NODATA where the name has an address of the other family, never NXDOMAIN: that would end the search for both.
            Assert.Equal(exists ? ResponseCode.NoError : ResponseCode.NxDomain, answers[2].Code);
        }
    }

    /// <summary>Prometheus' dns_sd_configs: SRV over UDP, the answer's targets and ports; again over TCP where it was cut.</summary>
    [Fact]
    public async Task Discovery_by_srv_finds_all_targets()
    {
        await using var dns = await RunningDns.Start();
        var endpoints = string.Join(", ", Enumerable.Range(1, 60).Select(i => $"{{addresses: [10.0.0.{i}], conditions: {{ready: true}}}}"));
        await dns.Apply("apiVersion: v1\nkind: Service\nmetadata: {name: app, annotations: {declarative.mesos/srv-priority: '7', declarative.mesos/srv-weight: '9', declarative.mesos/dns-ttl: '33'}}\nspec: {clusterIP: None, ports: [{name: metrics, port: 9100}]}");
        await dns.Apply($"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: app-a, labels: {{kubernetes.io/service-name: app}}}}\naddressType: IPv4\nendpoints: [{endpoints}]\nports: [{{name: metrics, port: 9100, protocol: TCP}}]");
        await dns.Until("10-0-0-60.app.default.svc.cluster.local", RecordType.A, 1);
        Assert.True((await dns.Ask("_metrics._tcp.app.default.svc.cluster.local", RecordType.Srv))!.Truncated);
        using var client = new TcpClient();
        await client.ConnectAsync(dns.Address, Stop);
        await client.GetStream().WriteAsync(Framed("_metrics._tcp.app.default.svc.cluster.local", RecordType.Srv), Stop);
        var size = new byte[2];
        await client.GetStream().ReadExactlyAsync(size, Stop);
        var bytes = new byte[BinaryPrimitives.ReadUInt16BigEndian(size)];
        await client.GetStream().ReadExactlyAsync(bytes, Stop);
        var message = Message.Read(bytes)!;
        Assert.Equal(60, message.Answers.Select(r => r.Target).Distinct().Count());
        Assert.All(message.Answers, r => Assert.StartsWith("_metrics._tcp.app.default.svc.cluster.local. 33 IN SRV 7 9 9100 ", r.ToString(), StringComparison.Ordinal));
    }

    /// <summary>Every name that is answered is in the model, with just the model's data; every name of the model is answered.</summary>
    [Fact]
    public void What_is_answered_is_what_was_put()
    {
        var random = new Random(17);
        var contents = ZoneCase.NewContents();
        var model = new Dictionary<string, HashSet<string>>(StringComparer.Ordinal);
        var sources = new Dictionary<string, List<(string Name, IPAddress Address)>>(StringComparer.Ordinal);
        var (query, response) = (new byte[300], new byte[65535]);
        for (var round = 0; round < 300; round++)
        {
            var source = $"s{random.Next(20)}";
            sources[source] = [.. Enumerable.Range(0, random.Next(4)).Select(_ => ($"{(char)('a' + random.Next(4))}.{(char)('a' + random.Next(4))}.mesos.", new IPAddress([10, 0, 0, (byte)random.Next(5)])))];
            contents.Put(source, [.. sources[source].Select(r => Declarative.Dns.Wire.Record.OfAddress(DnsName.Parse(r.Name), 5, r.Address))]);
            contents.Publish(1);
            model = sources.Values.SelectMany(r => r).GroupBy(r => r.Name, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Select(r => r.Address.ToString()).ToHashSet(), StringComparer.Ordinal);
            for (var first = 'a'; first < 'e'; first++)
            {
                for (var second = 'a'; second < 'e'; second++)
                {
                    var name = $"{first}.{second}.mesos.";
                    var answer = Ask(name);
                    Assert.Equal(model.GetValueOrDefault(name, []).Order(), answer.Answers.Select(r => r.Address.ToString()).Order());
                    Assert.Equal(model.ContainsKey(name) ? ResponseCode.NoError : ResponseCode.NxDomain, answer.Code);
                }
                // A name with others below it exists, though it has no records (RFC 8020).
                Assert.Equal(model.Keys.Any(k => k.EndsWith($".{first}.mesos.", StringComparison.Ordinal)) ? ResponseCode.NoError : ResponseCode.NxDomain, Ask($"{first}.mesos.").Code);
            }
        }

        Message Ask(string name)
        {
            var length = Query.Write(query, 1, DnsName.Parse(name).Wire, RecordType.A);
            return Message.Read(response.AsSpan(0, Answer.Write(contents.Current, query.AsSpan(0, length), response, new AnswerTurn(true, 0, 1))))!;
        }
    }

    private static async Task<Message> Retried(RunningDns dns, string name, RecordType type)
    {
        Message? answer = null;
        await WireFeatureTests.Until(async () => (answer = await dns.Ask(name, type)) is not null, $"an answer for {name}");
        return answer!;
    }

    private static byte[] Framed(string name, RecordType type = RecordType.A)
    {
        var query = new byte[300];
        var length = Query.Write(query.AsSpan(2), 7, DnsName.Parse(name).Wire, type);
        BinaryPrimitives.WriteUInt16BigEndian(query, (ushort)length);
        return query[..(length + 2)];
    }

    /// <summary>Hands packets on to a server and back, but for every tenth.</summary>
    private sealed class LossyPath : IAsyncDisposable
    {
        private readonly UdpClient _client = new(new IPEndPoint(IPAddress.Loopback, 0));
        private readonly UdpClient _server = new();
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;
        private IPEndPoint? _sender;

        public LossyPath(IPEndPoint server, Random random)
        {
            _server.Connect(server);
            _running = Task.WhenAll(Pass(_client, random), Back(random));
        }

        public IPEndPoint Address => (IPEndPoint)_client.Client.LocalEndPoint!;
        public int Lost { get; private set; }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _client.Dispose();
            _server.Dispose();
            _stop.Dispose();
        }

        private async Task Pass(UdpClient from, Random random)
        {
            try
            {
                while (true)
                {
                    var packet = await from.ReceiveAsync(_stop.Token);
                    _sender = packet.RemoteEndPoint;
                    if (IsLost(random))
                        continue;
                    await _server.SendAsync(packet.Buffer, _stop.Token);
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }

        private async Task Back(Random random)
        {
            try
            {
                while (true)
                {
                    var packet = await _server.ReceiveAsync(_stop.Token);
                    if (!IsLost(random))
                        await _client.SendAsync(packet.Buffer, _sender!, _stop.Token);
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }

        private bool IsLost(Random random)
        {
            lock (random)
            {
                if (random.Next(10) > 0)
                    return false;
                Lost++;
                return true;
            }
        }
    }
}
