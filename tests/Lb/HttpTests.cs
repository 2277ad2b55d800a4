using System.Net;
using System.Net.WebSockets;
using System.Text;
using Declarative.Tests.Client;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Declarative.Tests.Lb;

public sealed class HttpTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RequestsOfOneConnectionGoToTheReadyEndpointsInTurn()
    {
        await using var world = await LbWorld.Start();
        Backend[] backends = [await world.Backend("a"), await world.Backend("b"), await world.Backend("c")];
        var port = await world.Publish("hello", backends);
        for (var i = 0; i < 30; i++) await world.Get(port);
        Assert.All(backends, x => Assert.Equal(10, x.Requests));

        await world.Slice("hello", [new("a", backends[0].Port), new("b", backends[1].Port, Ready: false), new("c", backends[2].Port)]);
        await world.Routed("hello", 2);
        for (var i = 0; i < 10; i++) Assert.Contains(await world.Get(port), (string[])["a", "c"]);
        Assert.Equal(10, backends[1].Requests);
    }

    [Fact]
    public async Task StatusNamesWhereTheServiceIsReached()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        var service = await LbWorld.Until(() => world.Service("hello"), x => x.Status.LoadBalancer.Ingress.Count > 0, "status.loadBalancer is written");
        Assert.Equal(("127.0.0.1", port), (service.Status.LoadBalancer.Ingress[0].Ip, service.Status.LoadBalancer.Ingress[0].Ports[0].Port));
        Assert.True(service.Status.Conditions.Single(x => x.Type == "PortAvailable").IsTrue);
        // The cluster IP answers too.
        Assert.Equal("a", await world.Http.GetStringAsync($"http://{service.Spec.ClusterIP}:{port}/", Stop));
    }

    [Fact]
    public async Task WithoutReadyEndpointTheAnswerSaysSo()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", []);
        await LbWorld.Until(() => world.Service("hello"), x => x.Status.LoadBalancer.Ingress.Count > 0, "the port is open");
        using var none = await world.Http.GetAsync($"http://127.0.0.1:{port}/", Stop);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, none.StatusCode);
        Assert.Equal($"Service default/hello has no endpoints on port {port}.\n", await none.Content.ReadAsStringAsync(Stop));
        await world.Slice("hello", [new("a", 1, Ready: false), new("b", 2, Ready: false, Terminating: true)]);
        await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Destinations.Count == 2, "both are known");
        using var unready = await world.Http.GetAsync($"http://127.0.0.1:{port}/", Stop);
        Assert.Equal($"No endpoint of Service default/hello port {port} is ready: 2 known, 1 terminating.\n", await unready.Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task TheEndpointSeesTheTargetAsWrittenAndWhoAsked()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://127.0.0.1:{port}/seen?q=a%2Fb&x=%C3%A4", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        request.Headers.Add("X-Forwarded-For", "192.0.2.7");
        request.Headers.Host = "shop.example";
        using var answer = await world.Http.SendAsync(request, Stop);
        var seen = (await answer.Content.ReadAsStringAsync(Stop)).Split('\n');
        Assert.Equal("HTTP/1.1 shop.example /seen?q=a%2Fb&x=%C3%A4", seen[0]);
        Assert.Contains("X-Forwarded-For: 192.0.2.7, 127.0.0.1", seen);
        Assert.Contains("X-Forwarded-Proto: http", seen);
        Assert.Contains("X-Forwarded-Host: shop.example", seen);
        Assert.Contains($"X-Forwarded-Port: {port}", seen);
    }

    [Fact]
    public async Task BodiesPassInBothDirections()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        var body = new byte[3_000_000];
        new Random(1).NextBytes(body);
        using var answer = await world.Http.PostAsync($"http://127.0.0.1:{port}/echo", new ByteArrayContent(body), Stop);
        Assert.Equal(body, await answer.Content.ReadAsByteArrayAsync(Stop));
        // Without a length: chunked in both directions.
        using var chunked = new HttpRequestMessage(HttpMethod.Post, $"http://127.0.0.1:{port}/echo") { Content = new ByteArrayContent(body) };
        chunked.Headers.TransferEncodingChunked = true;
        using var again = await world.Http.SendAsync(chunked, Stop);
        Assert.Equal(body, await again.Content.ReadAsByteArrayAsync(Stop));
    }

    [Fact]
    public async Task TheHeadOfAStreamArrivesBeforeItsFirstByte()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend]);
        using var answer = await world.Http.GetAsync($"http://127.0.0.1:{port}/stream", HttpCompletionOption.ResponseHeadersRead, Stop);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        backend.Release();
        Assert.Equal("data: a\n\n", await answer.Content.ReadAsStringAsync(Stop));
    }

    /// <summary>Whether and how an answer is compressed is between the client and the endpoint.</summary>
    [Theory]
    [InlineData("x-forwarded")]
    [InlineData("none")] // by Kestrel
    public async Task NothingIsCompressedOnTheWay(string forwarded)
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")], "http");
        await world.Settings("hello", ("forwarded", forwarded));
        using var answer = await world.Send(port, "/text", x => x.Headers.Add("Accept-Encoding", "gzip, br"));
        Assert.Equal("gzip, br", string.Join(',', answer.Headers.GetValues("X-Seen-Accept-Encoding")));
        Assert.Empty(answer.Content.Headers.ContentEncoding);
        Assert.Equal(100_000, answer.Content.Headers.ContentLength);
        Assert.Equal(new string('a', 100_000), await answer.Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task WebSocketsPassThroughAndCountAsInFlight()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{port}/ws"), Stop);
        for (var i = 0; i < 3; i++)
        {
            await socket.SendAsync(Encoding.UTF8.GetBytes($"message {i}"), WebSocketMessageType.Text, true, Stop);
            var buffer = new byte[100];
            var got = await socket.ReceiveAsync(buffer, Stop);
            Assert.Equal($"message {i}", Encoding.UTF8.GetString(buffer, 0, got.Count));
        }
        var destination = world.Lb.Routes.Table.Clusters.Single().Destinations.Single();
        Assert.Equal(1, destination.InFlight);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Stop);
        await Eventually.True(() => destination.InFlight == 0, "the count returns to zero");
    }

    [Fact]
    public async Task H2cReachesEndpointsThatSpeakOnlyHttp2AndAnyPortTakesIt()
    {
        await using var world = await LbWorld.Start();
        var h2 = await world.Publish("grpc", [await world.Backend("g", HttpProtocols.Http2)], appProtocol: "kubernetes.io/h2c");
        var h1 = await world.Publish("hello", [await world.Backend("a")]);
        Assert.StartsWith("HTTP/2 ", await Http2(h2), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 ", await Http2(h1), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/2 ", await world.Get(h2, "/seen"), StringComparison.Ordinal); // an HTTP/1.1 client of an h2c service

        async Task<string> Http2(int port)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}/seen") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            using var answer = await world.Http.SendAsync(request, Stop);
            Assert.Equal(HttpVersion.Version20, answer.Version);
            return await answer.Content.ReadAsStringAsync(Stop);
        }
    }

    [Fact]
    public async Task ADeadEndpointIsPassedOverWhateverTheMethod()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend]);
        await world.Slice("hello", [new("a", backend.Port), new("dead", LbWorld.FreePort())]);
        await world.Routed("hello", 2);
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal("a", await world.Get(port));
            using var answer = await world.Http.PostAsync($"http://127.0.0.1:{port}/echo", new StringContent($"body {i}"), Stop);
            Assert.Equal($"body {i}", await answer.Content.ReadAsStringAsync(Stop));
        }
        Assert.Equal(10, world.Lb.Routes.Table.Clusters.Single().Counts.Retries);
    }

    /// <summary>Host ports are used again soon, and what was kept of the pod before may be about to break.</summary>
    [Theory]
    [InlineData(HttpProtocols.Http2, "kubernetes.io/h2c", false)]
    [InlineData(HttpProtocols.Http1, "http", false)]
    [InlineData(HttpProtocols.Http1, "http", true)]
    public async Task APodThatGetsThePortOfAnotherOneGetsNoneOfItsConnections(HttpProtocols protocols, string appProtocol, bool settings)
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a", protocols);
        var port = await world.Publish("hello", [backend], appProtocol);
        if (settings) await world.Settings("hello", ("request-headers", "set X-Tenant shop"));
        var first = await world.Get(port, "/connection");
        Assert.Equal(first, await world.Get(port, "/connection"));
        await world.Slice("hello", [new("b", backend.Port)]);
        await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Ready is [{ PodName: "b" }], "the next pod has the port");
        Assert.NotEqual(first, await world.Get(port, "/connection"));
    }

    /// <summary>A client of HTTP/1.0 names no host.</summary>
    [Fact]
    public async Task WithoutAHostTheEndpointIsAskedByItsAddress()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend]);
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Stop);
        await client.GetStream().WriteAsync("GET /seen HTTP/1.0\r\n\r\n"u8.ToArray(), Stop);
        using var reader = new StreamReader(client.GetStream());
        Assert.Contains($"HTTP/1.1 127.0.0.1:{backend.Port} /seen", await reader.ReadToEndAsync(Stop), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ARequestThatMayHaveBeenActedOnIsNotSentTwice()
    {
        await using var world = await LbWorld.Start();
        Backend[] backends = [await world.Backend("a"), await world.Backend("b")];
        var port = await world.Publish("hello", backends);
        using var post = await world.Http.PostAsync($"http://127.0.0.1:{port}/drop", new StringContent("pay"), Stop);
        Assert.Equal(HttpStatusCode.BadGateway, post.StatusCode);
        Assert.Equal(1, backends.Sum(x => x.Requests));
        Assert.Contains("did not answer", await post.Content.ReadAsStringAsync(Stop), StringComparison.Ordinal);
        using var get = await world.Http.GetAsync($"http://127.0.0.1:{port}/drop", Stop);
        Assert.Equal(HttpStatusCode.BadGateway, get.StatusCode);
        Assert.True(backends.Sum(x => x.Requests) >= 3, "an idempotent request goes to a second endpoint");
    }

    [Fact]
    public async Task AdminAnswersHealthReadinessAndMetrics()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        await world.Get(port);
        Assert.Equal("ok\n", await world.Get(world.Options.AdminPort, "/readyz"));
        Assert.Equal("ok\n", await world.Get(world.Options.AdminPort, "/_haproxy_health_check"));
        Assert.Contains($"declarative_lb_requests_total{{namespace=\"default\",service=\"hello\",port=\"{port}\"}} 1\n", await world.Get(world.Options.AdminPort, "/metrics"), StringComparison.Ordinal);
    }
}
