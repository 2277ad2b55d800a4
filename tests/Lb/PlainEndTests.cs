using System.Text;
using Declarative.Lb;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>How connections of the event loops end: answers that come early are heard, clients that leave take their requests with them, and nobody else does.</summary>
public sealed class PlainEndTests
{
    private const string Site = "shop.example";

    private static readonly byte[] Much = new byte[8 * 1024 * 1024];

    /// <summary>A client that reads nothing before it has sent everything hears why it was refused: no reset is faster than the answer (RFC 9112 section 9.6).</summary>
    [Theory]
    [InlineData(413, false)]
    [InlineData(413, true)]
    [InlineData(400, false)]
    [InlineData(400, true)]
    [InlineData(431, false)]
    [InlineData(431, true)]
    public async Task AnAnswerBeforeTheEndOfTheRequestIsHeardHoweverMuchFollows(int status, bool tls)
    {
        await using var world = await LbWorld.Start(Patient);
        using var endpoint = new Listening();
        using var client = await Client(world, endpoint, tls);
        var lines = status == 431 ? string.Concat(Enumerable.Range(0, 200).Select(x => $"X-{x}: 1\r\n")) : "";
        await client.Send($"POST / HTTP/1.1\r\nHost: {Site}\r\n{lines}{(status == 400 ? "Transfer-Encoding: chunked" : "Content-Length: 100000000")}\r\n\r\n5\r\nbegin");
        if (status != 431)
        {
            using var server = await endpoint.Accept();
            await server.Until("begin");
            if (status == 413) await server.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n");
            else await client.Send("no end of a line"); // and so no chunk
            if (status == 400) await server.ToEnd();
        }
        await client.Send(Much);
        await client.Send(Much);
        var answer = await client.ToOrderlyEnd();
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
        Assert.Equal(0, world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight);
    }

    /// <summary>The same where there is no endpoint, which is not the loops' answer.</summary>
    [Fact]
    public async Task AnAnswerOfTheLongWayIsHeardToo()
    {
        await using var world = await LbWorld.Start();
        var port = LbWorld.FreePort();
        await world.Listening("s", port, "http");
        using var client = await Peer.To(port);
        await client.Send($"POST / HTTP/1.1\r\nHost: {Site}\r\nContent-Length: {Much.Length / 8}\r\n\r\n");
        await client.Send(Much[..(Much.Length / 8)]);
        Assert.StartsWith("HTTP/1.1 503 ", await client.Until("\r\n\r\n"), StringComparison.Ordinal);
    }

    /// <summary>Nobody is listened to for ever: neither who sends little for long, nor who sends more than anybody has left to say.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WhoGoesOnAfterTheAnswerIsCutInTheEnd(bool byTime)
    {
        await using var world = await LbWorld.Start(byTime ? static x => x with { CloseTimeout = TimeSpan.FromMilliseconds(200) } : Patient);
        using var endpoint = new Listening();
        using var client = await Client(world, endpoint, tls: false);
        await client.Send($"POST / HTTP/1.1\r\nHost: {Site}\r\nContent-Length: 100000000000\r\n\r\n");
        using (var server = await endpoint.Accept())
        {
            await server.Until("\r\n\r\n");
            await server.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
        }
        await Assert.ThrowsAsync<IOException>(async () =>
        {
            for (var i = 0; i < (byTime ? 1000 : 100); i++)
            {
                await client.Send(byTime ? Much[..1] : Much);
                if (byTime) await Task.Delay(10, TestContext.Current.CancellationToken);
            }
        });
    }

    /// <summary>What the endpoint was not told to be the last request still is answered before the end.</summary>
    [Fact]
    public async Task WhatIsSentBehindTheLastRequestResetsNothing()
    {
        await using var world = await LbWorld.Start(Patient);
        using var endpoint = new Listening();
        using var client = await Client(world, endpoint, tls: false);
        await client.Send($"GET / HTTP/1.1\r\nHost: {Site}\r\nConnection: close\r\n\r\nGET /more HTTP/1.1\r\nHost: {Site}\r\n\r\n");
        using var server = await endpoint.Accept();
        await server.Until("\r\n\r\n");
        await server.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        await client.Until("\r\n\r\nok");
        await client.Send(Much);
        Assert.Equal("", await client.ToOrderlyEnd());
        Assert.DoesNotContain("/more", server.Read, StringComparison.Ordinal);
    }

    /// <summary>An end of the client's side behind a whole request is a matter of form, whatever the request's body: it is asked whether it is there, and answered.</summary>
    [Theory]
    [InlineData("", "", false)]
    [InlineData("", "", true)]
    [InlineData("Content-Length: 3\r\n", "one", false)]
    [InlineData("Transfer-Encoding: chunked\r\n", "3\r\none\r\n0\r\n\r\n", false)]
    [InlineData("Transfer-Encoding: chunked\r\n", "3\r\none\r\n0\r\n\r\n", true)]
    public async Task AClientThatOnlyEndsItsSideIsAnswered(string framing, string body, bool atOnce)
    {
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        using var client = await Client(world, endpoint, tls: false);
        var head = $"{(framing.Length == 0 ? "GET" : "POST")} / HTTP/1.1\r\nHost: {Site}\r\n{framing}\r\n";
        if (!atOnce) await client.Send(head);
        using var server = atOnce ? null : await endpoint.Accept();
        if (server is not null) await server.Until("\r\n\r\n");
        await client.SendLast(atOnce ? head + body : body);
        using var late = atOnce ? await endpoint.Accept() : null;
        var there = server ?? late!;
        await there.Until("\r\n\r\n" + body);
        await client.Until("HTTP/1.1 100 Continue\r\n\r\n");
        await there.Send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nan");
        await client.Until("\r\n\r\nan");
        await there.Send("sw");
        Assert.Equal("sw", await client.ToOrderlyEnd());
        Assert.Equal(0, world.Lb.Routes.Table.Clusters.Single().Counts.Failures);
    }

    /// <summary>Of a client that is gone the endpoint learns at once where it has yet to answer.</summary>
    [Theory]
    [InlineData("", "", false)]
    [InlineData("Transfer-Encoding: chunked\r\n", "3\r\none\r\n0\r\n\r\n", false)]
    [InlineData("Transfer-Encoding: chunked\r\n", "3\r\none\r\n", false)]
    [InlineData("", "", true)]
    [InlineData("Transfer-Encoding: chunked\r\n", "3\r\none\r\n0\r\n\r\n", true)]
    public async Task AClientThatLeavesTakesItsRequestWithIt(string framing, string body, bool tls)
    {
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        var client = await Client(world, endpoint, tls);
        await client.Send($"{(framing.Length == 0 ? "GET" : "POST")} / HTTP/1.1\r\nHost: {Site}\r\n{framing}\r\n");
        using var server = await endpoint.Accept();
        await server.Until("\r\n\r\n");
        await client.Send(body);
        await server.Until(body);
        client.Dispose();
        await server.ToEnd();
        var cluster = world.Lb.Routes.Table.Clusters.Single();
        await Eventually.True(() => cluster.Destinations.Single().InFlight == 0, "nothing is in flight");
        Assert.Equal(0, cluster.Counts.Failures);
    }

    /// <summary>And in the middle of an answer in which nothing happens, a little later.</summary>
    [Fact]
    public async Task AnAnswerThatPausesDoesNotWaitForAClientThatIsGone()
    {
        await using var world = await LbWorld.Start(x => x with { ClientEndTimeout = TimeSpan.FromMilliseconds(200) });
        using var endpoint = new Listening();
        var client = await Client(world, endpoint, tls: false);
        await client.Send($"GET / HTTP/1.1\r\nHost: {Site}\r\n\r\n");
        using var server = await endpoint.Accept();
        await server.Until("\r\n\r\n");
        await server.Send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        await client.Until("data: 1\n\n");
        client.Dispose();
        await server.ToEnd();
        await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight == 0, "nothing is in flight");
    }

    /// <summary>
    /// Nor does the rest of an answer that is all there, for a client that does not take it. Where the sockets have room for the rest there is nothing to wait for:
    /// that depends on the kernel, so there are answers of several lengths.
    /// </summary>
    [Fact]
    public async Task TheRestOfAnAnswerDoesNotWaitForAClientThatHasStopped()
    {
        await using var world = await LbWorld.Start(x => x with { ClientEndTimeout = TimeSpan.FromSeconds(1) });
        using var endpoint = new Listening();
        await world.Host(Site, "shop", await world.Publish("shop", endpoint));
        var destination = world.Lb.Routes.Table.Clusters.Single().Destinations.Single();
        var clients = new List<Peer>();
        for (var bytes = 300_000; bytes < 440_000; bytes += 20_000)
        {
            var client = await Peer.Narrow(world.Options.HttpPort);
            clients.Add(client);
            await client.SendLast($"GET / HTTP/1.1\r\nHost: {Site}\r\n\r\n");
            using var server = await endpoint.Accept();
            await server.Until("\r\n\r\n");
            var sending = server.Send($"HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n{new string('x', bytes)}");
            var buffer = new byte[4096];
            while (destination.InFlight > 0) Assert.True(await client.Receive(buffer) > 0, "the answer has an end before the endpoint's");
            await sending;
        }
        await LbWorld.Until(() => world.Get(world.Options.AdminPort, "/metrics"), x => x.Contains("\ndeclarative_lb_connections_open 0\n", StringComparison.Ordinal), "no client is waited for");
        clients.ForEach(x => x.Dispose());
    }

    /// <summary>An endpoint that dies in the middle of a request is told to its client, who hears it however much it goes on sending.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AnEndpointThatDiesInTheMiddleOfABodyIsToldToTheClient(bool reset)
    {
        await using var world = await LbWorld.Start(Patient);
        using var endpoint = new Listening();
        using var client = await Client(world, endpoint, tls: false);
        await client.Send($"PUT / HTTP/1.1\r\nHost: {Site}\r\nContent-Length: {Much.Length + 5}\r\n\r\nbegin");
        var server = await endpoint.Accept();
        await server.Until("begin");
        if (reset) server.Reset();
        else server.Dispose();
        await client.Send(Much);
        var answer = await client.ToOrderlyEnd();
        Assert.StartsWith("HTTP/1.1 502 ", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
        Assert.Equal(1, world.Lb.Routes.Table.Clusters.Single().Counts.Failures);
    }

    /// <summary>
    /// A connection that had waited in the pool ends under a request: what may be sent twice (RFC 9110 section 9.2.2) is, as long as it is all there to be sent again.
    /// </summary>
    [Theory]
    [InlineData("PUT", "", true)]
    [InlineData("PUT", "on", false)]
    [InlineData("POST", "", false)]
    public async Task AHeadThatMetItsEndpointsEndIsSentAgainWhereItMayBe(string method, string begin, bool again)
    {
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        using var client = await Client(world, endpoint, tls: false);
        await client.Send($"GET / HTTP/1.1\r\nHost: {Site}\r\n\r\n");
        using (var server = await endpoint.Accept())
        {
            await server.Until("\r\n\r\n");
            await server.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
            await client.Until("first");
            var first = server.Read.Length;
            await client.Send($"{method} /two HTTP/1.1\r\nHost: {Site}\r\nContent-Length: 3\r\n\r\n{begin}");
            await server.Until("\r\n\r\n" + begin, first);
        }
        if (!again)
        {
            await client.Until("HTTP/1.1 502 ");
            return;
        }
        using var next = await endpoint.Accept();
        Assert.StartsWith("PUT /two ", await next.Until("\r\n\r\n"), StringComparison.Ordinal);
        await client.Send("one");
        await next.Until("\r\n\r\none");
        await next.Send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond");
        await client.Until("second");
        Assert.Equal(0, world.Lb.Routes.Table.Clusters.Single().Counts.Failures);
    }

    /// <summary>The balancer stops in the middle of a body: the request has its end and its answer.</summary>
    [Fact]
    public async Task AStopInTheMiddleOfABodyLetsItEnd()
    {
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        using var client = await Client(world, endpoint, tls: false);
        await client.Send($"POST / HTTP/1.1\r\nHost: {Site}\r\nContent-Length: 10\r\n\r\nbegin");
        using var server = await endpoint.Accept();
        await server.Until("begin");
        var stopping = world.Stop();
        await Eventually.True(() => !CanConnect(world.Options.HttpPort), "it takes no connections");
        await client.Send("later");
        await server.Until("beginlater");
        await server.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        var answer = await client.ToOrderlyEnd();
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\nok", answer, StringComparison.Ordinal);
        await stopping;
    }

    /// <summary>By the Ingress ports, to the endpoint.</summary>
    private static async Task<Peer> Client(LbWorld world, Listening endpoint, bool tls)
    {
        await world.Host(Site, "shop", await world.Publish("shop", endpoint));
        return tls ? await Peer.To(world.Options.HttpsPort, Site) : await Peer.To(world.Options.HttpPort);
    }

    /// <summary>Takes whatever the client goes on sending, however slow the machine is.</summary>
    private static LbOptions Patient(LbOptions options) => options with { CloseTimeout = TimeSpan.FromMinutes(1) };

    private static bool CanConnect(int port)
    {
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.InterNetwork, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        try
        {
            socket.Connect(System.Net.IPAddress.Loopback, port);
            return true;
        }
        catch (System.Net.Sockets.SocketException)
        {
            return false;
        }
    }
}
