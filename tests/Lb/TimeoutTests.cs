using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Who does not answer in time, or says nothing for too long; by the event loops and, where a setting asks for it, by Kestrel.</summary>
public sealed class TimeoutTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Its queue of connections is full: the kernel drops the next one's first packet, again and again.</summary>
    [Theory]
    [InlineData("http", false)]
    [InlineData("http", true)]
    [InlineData("tcp", false)]
    public async Task AnEndpointThatDoesNotAcceptInTimeIsPassedOver(string appProtocol, bool byKestrel)
    {
        await using var world = await LbWorld.Start();
        using var full = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        using var first = new TcpClient();
        await first.ConnectAsync((IPEndPoint)full.LocalEndPoint!, Stop);
        var good = await world.Backend("good");
        var port = await world.Publish("hello", [good], appProtocol);
        await world.Slice("hello", [new("good", good.Port), new("full", ((IPEndPoint)full.LocalEndPoint!).Port)]);
        await world.Routed("hello", 2);
        await Way(world, byKestrel, ("timeout-connect", "200ms"));
        for (var i = 0; i < 4; i++) Assert.Equal("200 good", await world.Ask(port, with: x => x.Headers.ConnectionClose = true));
        var cluster = world.Lb.Routes.Table.Clusters.Single();
        Assert.Equal((2, 0), (cluster.Counts.Retries, cluster.Counts.Failures));
    }

    [Theory]
    [InlineData("timeout-idle", false)]
    [InlineData("timeout-idle", true)]
    [InlineData("timeout-tunnel", false)]
    [InlineData("timeout-tunnel", true)]
    public async Task AWebSocketThatIsIdleOrLastsTooLongIsEnded(string setting, bool byKestrel)
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")], "http");
        await Way(world, byKestrel, (setting, "1s"));
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{port}/ws"), Stop);
        await Assert.ThrowsAnyAsync<WebSocketException>(() => socket.ReceiveAsync(new byte[10], Stop));
        var destination = world.Lb.Routes.Table.Clusters.Single().Destinations.Single();
        await Eventually.True(() => destination.InFlight == 0, "nothing is in flight");
    }

    /// <summary>The client must not take what it has for the whole.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AnAnswerThatStopsIsCut(bool byKestrel)
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")], "http");
        await Way(world, byKestrel, ("timeout-idle", "1s"));
        using var answer = await world.Http.GetAsync($"http://127.0.0.1:{port}/download", HttpCompletionOption.ResponseHeadersRead, Stop);
        await Assert.ThrowsAnyAsync<Exception>(() => answer.Content.ReadAsByteArrayAsync(Stop));
        var destination = world.Lb.Routes.Table.Clusters.Single().Destinations.Single();
        await Eventually.True(() => destination.InFlight == 0, "nothing is in flight");
    }

    /// <summary>What an endpoint does not read is not kept here: the client has to wait.</summary>
    [Theory]
    [InlineData("http")]
    [InlineData("tcp")]
    public async Task AnEndpointThatDoesNotReadHoldsUpItsClient(string appProtocol)
    {
        const int Length = 500_000_000;
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), Stop);
        await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes($"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: {Length}\r\n\r\n"), Stop);
        var sent = 0L;
        var piece = new byte[64 * 1024];
        var sending = Task.Run(async () =>
        {
            try
            {
                while (sent < Length) Interlocked.Add(ref sent, await socket.SendAsync(piece, Stop));
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                return; // closed below
            }
        }, Stop);
        await Eventually.True(() => backend.Inside == 1, "the endpoint has the request");
        for (var before = -1L; before != Interlocked.Read(ref sent); await Task.Delay(300, Stop)) before = Interlocked.Read(ref sent);
        Assert.InRange(sent, 1, Length / 4); // what the buffers of four sockets hold
        socket.Dispose();
        await sending;
    }

    private static Task Way(LbWorld world, bool byKestrel, (string, string?) setting) => world.Settings("hello", byKestrel ? [setting, ("forwarded", "none")] : [setting]);
}
