using System.Net;
using System.Net.Sockets;
using System.Text;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

public sealed class TcpTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("tcp", false)]
    [InlineData("", false)] // found by the first bytes
    [InlineData("", true)] // found by the client's silence: the server speaks first
    [InlineData("mysql", true)]
    public async Task ConnectionsPassThroughWithHalfClose(string appProtocol, bool serverFirst)
    {
        await using var world = await LbWorld.Start();
        using var server = new EchoServer(serverFirst ? "hello " : "");
        var port = await Publish(world, server.Port, appProtocol);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Stop);
        var stream = client.GetStream();
        if (serverFirst) Assert.Equal("hello ", await Read(stream, 6));
        await stream.WriteAsync("\u0001\u0002 not HTTP\n"u8.ToArray(), Stop);
        Assert.Equal("\u0001\u0002 not HTTP\n", await Read(stream, 12));
        var destination = world.Lb.Routes.Table.Clusters.Single().Destinations.Single();
        Assert.Equal(1, destination.InFlight);
        client.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal("end of input", await Read(stream, 12)); // the answer to our end arrives after it
        Assert.Equal(0, await stream.ReadAsync(new byte[1], Stop));
        await Eventually.True(() => destination.InFlight == 0, "the count returns to zero");
    }

    [Fact]
    public async Task ManyBytesPassInBothDirectionsAtOnce()
    {
        await using var world = await LbWorld.Start();
        using var server = new EchoServer("");
        var port = await Publish(world, server.Port, "tcp");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Stop);
        var sent = new byte[5_000_000];
        new Random(2).NextBytes(sent);
        var writing = client.GetStream().WriteAsync(sent, Stop).AsTask();
        var got = new byte[sent.Length];
        await client.GetStream().ReadExactlyAsync(got, Stop);
        await writing;
        Assert.True(sent.AsSpan().SequenceEqual(got));
    }

    [Fact]
    public async Task ATerminatingPodGetsNoNewConnectionAndKeepsTheOpenOne()
    {
        await using var world = await LbWorld.Start();
        using var a = new EchoServer("a");
        using var b = new EchoServer("b");
        var port = await Publish(world, a.Port, "tcp");
        using var first = new TcpClient();
        await first.ConnectAsync(IPAddress.Loopback, port, Stop);
        Assert.Equal("a", await Read(first.GetStream(), 1));
        await world.Slice("db", [new("a", a.Port, Ready: false, Terminating: true), new("b", b.Port)]);
        await LbWorld.Until(world.Report, x => x.Status.Draining is [{ PodUID: "uid-a", InFlight: 1 }], "the connection is reported");
        await world.Routed("db", 1);
        using var second = new TcpClient();
        await second.ConnectAsync(IPAddress.Loopback, port, Stop);
        Assert.Equal("b", await Read(second.GetStream(), 1));
        await first.GetStream().WriteAsync("still"u8.ToArray(), Stop);
        Assert.Equal("still", await Read(first.GetStream(), 5));
        first.Close();
        await LbWorld.Until(world.Report, x => x.Status.Draining is [{ InFlight: 0 }], "its end is reported");
    }

    /// <summary>A client that connects in reserve (browsers, connection pools) must not pin a pod, nor lose its connection with it.</summary>
    [Fact]
    public async Task AConnectionInReserveDelaysNoDrainAndIsHttpLater()
    {
        await using var world = await LbWorld.Start(x => x with { SniffTimeout = TimeSpan.FromMilliseconds(1) });
        var a = await world.Backend("a");
        var b = await world.Backend("b");
        var port = await world.Publish("hello", [a]);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Stop);
        await Task.Delay(50, Stop); // longer than the balancer waits for a first word
        var marked = await world.Slice("hello", [new("a", a.Port, Ready: false, Terminating: true), new("b", b.Port)]);
        await LbWorld.Until(world.Report, x => x.Status.ObservedRevision >= marked && x.Status.Draining is [{ PodUID: "uid-a", InFlight: 0 }], "nothing is in flight");
        await a.DisposeAsync();
        await client.GetStream().WriteAsync("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray(), Stop);
        using var reader = new StreamReader(client.GetStream());
        var answer = await reader.ReadToEndAsync(Stop);
        Assert.StartsWith("HTTP/1.1 200", answer, StringComparison.Ordinal);
        Assert.Equal(1, b.Requests);
    }

    [Fact]
    public async Task ADeadEndpointIsPassedOver()
    {
        await using var world = await LbWorld.Start();
        using var a = new EchoServer("a");
        var port = await Publish(world, a.Port, "tcp");
        await world.Slice("db", [new("a", a.Port), new("dead", LbWorld.FreePort())]);
        await world.Routed("db", 2);
        for (var i = 0; i < 6; i++)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, port, Stop);
            Assert.Equal("a", await Read(client.GetStream(), 1));
        }
    }

    [Fact]
    public async Task TheEndpointWithTheFewestConnectionsGetsTheNextOne()
    {
        await using var world = await LbWorld.Start();
        using var a = new EchoServer("a");
        using var b = new EchoServer("b");
        var port = await Publish(world, a.Port, "tcp");
        await world.Slice("db", [new("a", a.Port), new("b", b.Port)]);
        await world.Routed("db", 2);
        await world.Settings("db", ("balance", "least-requests"));
        var open = new List<TcpClient>();
        for (var i = 0; i < 6; i++) open.Add(await Greeted(port));
        Assert.Equal([3, 3], world.Lb.Routes.Table.Clusters.Single().Destinations.Select(x => x.InFlight));
        foreach (var client in open.FindAll(x => Greeting(x) == "a").Take(2).ToList()) client.Dispose();
        var left = world.Lb.Routes.Table.Clusters.Single().Destinations.Single(x => x.Port == a.Port);
        await Eventually.True(() => left.InFlight == 1, "two connections of one endpoint have ended");
        for (var i = 0; i < 2; i++)
        {
            open.Add(await Greeted(port));
            Assert.Equal("a", Greeting(open[^1]));
        }
        foreach (var client in open) client.Dispose();
    }

    /// <summary>By its address and whatever its port.</summary>
    [Fact]
    public async Task AClientKeepsItsEndpointAndClientsAreSpread()
    {
        await using var world = await LbWorld.Start();
        using var a = new EchoServer("a");
        using var b = new EchoServer("b");
        var port = await Publish(world, a.Port, "tcp");
        await world.Slice("db", [new("a", a.Port), new("b", b.Port)]);
        await world.Routed("db", 2);
        await world.Settings("db", ("balance", "source"));
        var greetings = new SortedSet<string>(StringComparer.Ordinal);
        for (byte from = 1; from <= 20; from++)
        {
            var own = new SortedSet<string>(StringComparer.Ordinal);
            for (var i = 0; i < 3; i++)
            {
                using var client = await Greeted(port, new IPAddress([127, 0, 1, from]));
                own.Add(Greeting(client));
            }
            Assert.Single(own);
            greetings.UnionWith(own);
        }
        Assert.Equal(["a", "b"], greetings);
    }

    [Theory]
    [InlineData("timeout-idle")]
    [InlineData("timeout-tunnel")]
    public async Task AConnectionThatIsIdleOrLastsTooLongIsEnded(string setting)
    {
        await using var world = await LbWorld.Start();
        using var a = new EchoServer("a");
        var port = await Publish(world, a.Port, "tcp");
        await world.Settings("db", (setting, "300ms"));
        using var client = await Greeted(port);
        Assert.Equal(0, await client.GetStream().ReadAsync(new byte[1], Stop));
        var destination = world.Lb.Routes.Table.Clusters.Single().Destinations.Single();
        await Eventually.True(() => destination.InFlight == 0, "nothing is in flight");
    }

    private static readonly System.Runtime.CompilerServices.ConditionalWeakTable<TcpClient, string> Greetings = [];

    private static string Greeting(TcpClient client) => Greetings.TryGetValue(client, out var text) ? text : "";

    /// <summary>A connection whose endpoint has said who it is.</summary>
    private static async Task<TcpClient> Greeted(int port, IPAddress? from = null)
    {
        var client = from is null ? new TcpClient() : new TcpClient(new IPEndPoint(from, 0));
        await client.ConnectAsync(IPAddress.Loopback, port, Stop);
        Greetings.Add(client, await Read(client.GetStream(), 1));
        return client;
    }

    private static async Task<int> Publish(LbWorld world, int endpoint, string appProtocol)
    {
        var port = LbWorld.FreePort();
        await world.Listening("db", port, appProtocol);
        await world.Slice("db", [new("a", endpoint)]);
        await world.Routed("db", 1);
        return port;
    }

    private static async Task<string> Read(NetworkStream stream, int count)
    {
        var buffer = new byte[count];
        await stream.ReadExactlyAsync(buffer, Stop);
        return Encoding.ASCII.GetString(buffer);
    }

    /// <summary>Sends a greeting, echoes, and says "end of input" when the client has finished sending.</summary>
    private sealed class EchoServer : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly Task _loop;

        public EchoServer(string greeting)
        {
            _listener.Start();
            _loop = Loop(greeting);
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void Dispose() => _listener.Dispose();

        private async Task Loop(string greeting)
        {
            while (true)
            {
                TcpClient client;
                try
                {
                    client = await _listener.AcceptTcpClientAsync();
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    return;
                }
                _ = Serve(client, greeting);
            }
        }

        private static async Task Serve(TcpClient client, string greeting)
        {
            using var mine = client;
            var stream = client.GetStream();
            if (greeting.Length > 0) await stream.WriteAsync(Encoding.ASCII.GetBytes(greeting));
            var buffer = new byte[65536];
            try
            {
                while (await stream.ReadAsync(buffer) is > 0 and var count) await stream.WriteAsync(buffer.AsMemory(0, count));
                await stream.WriteAsync("end of input"u8.ToArray());
            }
            catch (IOException)
            {
                return; // reset by the test's end
            }
        }
    }
}
