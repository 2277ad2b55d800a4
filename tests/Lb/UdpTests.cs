using System.Net;
using System.Net.Sockets;
using System.Text;
using Declarative.Api.Kinds;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>UDP Services, with real datagrams.</summary>
public sealed class UdpTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AFlowStaysAtItsEndpointAndFlowsTakeTurns()
    {
        await using var world = await LbWorld.Start();
        using var a = new UdpEcho("a");
        using var b = new UdpEcho("b");
        var port = await Publish(world, a, b);
        var answers = new List<string>();
        foreach (var client in Enumerable.Range(0, 4).Select(_ => new UdpClient()).ToList())
        {
            using (client)
            {
                client.Connect(IPAddress.Loopback, port);
                var first = await Ask(client, "1");
                Assert.Equal(first, await Ask(client, "1"));
                answers.Add(first);
            }
        }
        Assert.Equal(["a1", "a1", "b1", "b1"], answers.Order(StringComparer.Ordinal));
        // The largest datagram that loopback carries, and an empty one.
        using var large = new UdpClient();
        large.Connect(IPAddress.Loopback, port);
        Assert.Equal(60_001, (await Ask(large, new string('x', 60_000))).Length);
        Assert.Equal(1, (await Ask(large, "")).Length);
    }

    [Fact]
    public async Task TcpAndUdpShareANumber()
    {
        await using var world = await LbWorld.Start();
        using var udp = new UdpEcho("u");
        var port = await Publish(world, udp);
        var backend = await world.Backend("t");
        await world.Patch(Kind.Service, "dns", $$"""{"spec":{"ports":[{"name":"u","port":{{port}},"protocol":"UDP"},{"name":"t","port":{{port}},"protocol":"TCP"}]} }""");
        await world.Slice("dns", [new("t", backend.Port)], "t");
        await Eventually.Async(async () => world.Lb.Routes.Table.Clusters.Any(x => x.Name == "t" && x.ReadyCount == 1) && await world.Get(port) == "t", "TCP answers");
        var service = await LbWorld.Until(() => world.Service("dns"), x => x.Status.LoadBalancer.Ingress is [{ Ports.Count: 2 }], "both are in the status");
        Assert.All(service.Status.LoadBalancer.Ingress[0].Ports, x => Assert.Equal("", x.Error));
    }

    [Fact]
    public async Task ATerminatingPodsFlowMovesAndItsLastAnswerStillArrives()
    {
        await using var world = await LbWorld.Start();
        using var a = new UdpEcho("a");
        using var b = new UdpEcho("b");
        var port = await Publish(world, a);
        using var client = new UdpClient();
        client.Connect(IPAddress.Loopback, port);
        Assert.Equal("a1", await Ask(client, "1"));
        a.Hold = true;
        await client.SendAsync("held"u8.ToArray(), Stop);
        await Eventually.True(() => a.Held == 1, "a has a question");
        await world.Slice("dns", [new("a", a.Port, Ready: false, Terminating: true), new("b", b.Port)], "u", "UDP");
        await LbWorld.Until(world.Report, x => x.Status.Draining is [{ PodUID: "uid-a", InFlight: 1 }], "the flow is reported");
        a.Release();
        Assert.Equal("aheld", Encoding.ASCII.GetString((await client.ReceiveAsync(Stop)).Buffer));
        await world.Routed("dns", 1);
        Assert.Equal("b2", await Ask(client, "2"));
        await LbWorld.Until(world.Report, x => x.Status.Draining is [{ InFlight: 0 }], "its end is reported");
    }

    /// <summary>Its client has begun another flow at another pod, so that no datagram ends the old one.</summary>
    [Fact]
    public async Task ASilentPodWhoseFlowWasLeftDoesNotHoldUpTheEnd()
    {
        await using var world = await LbWorld.Start();
        using var a = new UdpEcho("a");
        using var b = new UdpEcho("b");
        var port = await Publish(world, a);
        using var client = new UdpClient();
        client.Connect(IPAddress.Loopback, port);
        Assert.Equal("a1", await Ask(client, "1"));
        var left = world.Lb.Routes.Table.Clusters.Single().Destinations.Single();
        await world.Slice("dns", [new("a", a.Port, Ready: false, Terminating: true), new("b", b.Port)], "u", "UDP");
        await Eventually.True(() => left.IsClosed && world.Lb.Routes.Table.Clusters.Single().ReadyCount == 1, "the other one has its place");
        Assert.Equal("b2", await Ask(client, "2"));
        await world.Stop().WaitAsync(TimeSpan.FromSeconds(60), Stop);
    }

    [Fact]
    public async Task FlowsEndWhenNothingPassesAndWhoIsNotAllowedBeginsNone()
    {
        await using var world = await LbWorld.Start();
        using var a = new UdpEcho("a");
        var port = await Publish(world, a);
        await world.Settings("dns", ("timeout-idle", "200ms"));
        using var client = new UdpClient();
        client.Connect(IPAddress.Loopback, port);
        Assert.Equal("a1", await Ask(client, "1"));
        var destination = world.Lb.Routes.Table.Clusters.Single().Destinations.Single();
        await Eventually.True(() => destination.InFlight == 0, "the flow has ended");
        await world.Settings("dns", ("allow", "192.0.2.0/24"));
        await client.SendAsync("2"u8.ToArray(), Stop);
        await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Counts.Refusals == 1, "it is refused");
        Assert.Equal(1, a.Seen);
    }

    private static async Task<int> Publish(LbWorld world, params UdpEcho[] echoes)
    {
        var port = LbWorld.FreePort();
        await world.Create(Kind.Service, "dns", $$"""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"dns","namespace":"default"},"spec":{"type":"LoadBalancer","ports":[{"name":"u","port":{{port}},"protocol":"UDP"}]} }
            """);
        await world.Slice("dns", echoes.Select(x => new LbWorld.Ep(x.Name, x.Port)), "u", "UDP");
        await world.Routed("dns", echoes.Length);
        await LbWorld.Until(() => world.Service("dns"), x => x.Status.LoadBalancer.Ingress is [{ Ports: [{ Protocol: "UDP", Error: "" }] }], "the status says where");
        return port;
    }

    private static async Task<string> Ask(UdpClient client, string text)
    {
        await client.SendAsync(Encoding.ASCII.GetBytes(text), Stop);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        limit.CancelAfter(TimeSpan.FromSeconds(20));
        return Encoding.ASCII.GetString((await client.ReceiveAsync(limit.Token)).Buffer);
    }

    /// <summary>Answers each datagram with its name before it.</summary>
    private sealed class UdpEcho : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Task _loop;
        private int _seen;
        private int _held;

        public UdpEcho(string name)
        {
            Name = name;
            _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _loop = Loop();
        }

        public string Name { get; }
        public int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;
        public int Seen => Volatile.Read(ref _seen);
        public int Held => Volatile.Read(ref _held);

        /// <summary>Answers wait for <see cref="Release"/>.</summary>
        public bool Hold { get; set; }

        public void Release() => _release.TrySetResult();

        public void Dispose()
        {
            Release();
            _socket.Dispose();
            Assert.True(_loop.Wait(TimeSpan.FromSeconds(10)), "the loop ends");
        }

        private async Task Loop()
        {
            var buffer = new byte[65_535];
            try
            {
                while (true)
                {
                    var got = await _socket.ReceiveFromAsync(buffer, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0));
                    Interlocked.Increment(ref _seen);
                    byte[] answer = [.. Encoding.ASCII.GetBytes(Name), .. buffer.AsSpan(0, got.ReceivedBytes)];
                    if (Hold)
                    {
                        Interlocked.Increment(ref _held);
                        await _release.Task;
                    }
                    await _socket.SendToAsync(answer, SocketFlags.None, got.RemoteEndPoint);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}
