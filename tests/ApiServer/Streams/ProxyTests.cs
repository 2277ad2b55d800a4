using System.Net;
using System.Net.WebSockets;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.ApiServer.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.Streams;

/// <summary>The proxy subresource of pods, services and nodes, with a real web server behind it.</summary>
public sealed class ProxyTests : IAsyncLifetime
{
    private RunningFace _server = null!;
    private WebApplication _web = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(x => x.Listen(IPAddress.Loopback, 0));
        _web = builder.Build();
        _web.UseWebSockets();
        _web.Run(Answer);
        await _web.StartAsync(Stop);
        var port = new Uri(_web.Urls.First()).Port;

        _server = await RunningFace.Start();
        await RunningPod.MakeNode(_server, "agent-0", port);
        await RunningPod.Make(_server, "web", "agent-0", ports: [(8080, port)]);
        await _server.Admin.Create(new(Kind.Service, "default", ""), """{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"ports":[{"name":"http","port":80}]}}"""u8.ToArray(), stop: Stop);
        await _server.Admin.Create(new(Kind.EndpointSlice, "default", ""), Encoding.UTF8.GetBytes(
            $$$"""{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"web-1","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","endpoints":[{"addresses":["127.0.0.1"]},{"addresses":["127.0.0.9"],"conditions":{"ready":false}}],"ports":[{"name":"http","port":{{{port}}}}]}"""), stop: Stop);
        await _server.Admin.Create(new(Kind.Service, "default", ""), """{"apiVersion":"v1","kind":"Service","metadata":{"name":"empty"},"spec":{"ports":[{"port":80}]}}"""u8.ToArray(), stop: Stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _web.DisposeAsync();
    }

    [Theory]
    [InlineData("namespaces/default/pods/web/proxy")]
    [InlineData("namespaces/default/pods/web:8080/proxy")]
    [InlineData("namespaces/default/pods/http:web:p8080/proxy")]
    [InlineData("namespaces/default/services/web/proxy")]
    [InlineData("namespaces/default/services/web:80/proxy")]
    [InlineData("namespaces/default/services/web:http/proxy")]
    [InlineData("nodes/agent-0/proxy")]
    public async Task Requests_and_answers_pass_as_they_are(string path)
    {
        using var client = _server.Client(byToken: true);
        using var request = new HttpRequestMessage(HttpMethod.Put, $"/api/v1/{path}/a%2Fb/c/?x=1&y=%20") { Content = new StringContent("body"), Version = HttpVersion.Version20 };
        request.Headers.Add("X-Mine", "kept");
        using var answer = await client.SendAsync(request, Stop);
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        Assert.Equal("seen", answer.Headers.GetValues("X-Answer").Single());
        // Who asked, and by which token, is not told to what is behind.
        Assert.Equal("PUT /a%2Fb/c/?x=1&y=%20 body kept authorization=", await answer.Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task What_is_not_there_is_named()
    {
        using var client = _server.Client();
        const string Namespace = "/api/v1/namespaces/default";
        Assert.Contains("no endpoints available for service \"empty\"", (await client.GetAsync(Namespace + "/services/empty/proxy/", Stop).Json(503)).Text("message"), StringComparison.Ordinal);
        Assert.Contains("no port 81 of service \"web\": it has 80 (http)", (await client.GetAsync(Namespace + "/services/web:81/proxy/", Stop).Json(503)).Text("message"), StringComparison.Ordinal);
        Assert.Contains("declares no TCP port 81", (await client.GetAsync(Namespace + "/pods/web:81/proxy/", Stop).Json(400)).Text("message"), StringComparison.Ordinal);
        Assert.Contains("expected NAME", (await client.GetAsync(Namespace + "/pods/ftp:web:81/proxy/", Stop).Json(400)).Text("message"), StringComparison.Ordinal);
        Assert.Contains("not 1", (await client.GetAsync("/api/v1/nodes/agent-0:1/proxy/", Stop).Json(400)).Text("message"), StringComparison.Ordinal);
        await client.GetAsync(Namespace + "/pods/nobody/proxy/", Stop).Json(404);
        using var dns = _server.Client("dns");
        await dns.GetAsync(Namespace + "/pods/web/proxy/", Stop).Json(403);
    }

    [Fact]
    public async Task Event_streams_and_web_sockets_pass()
    {
        using var client = _server.Client();
        using var events = await client.GetAsync("/api/v1/namespaces/default/services/web/proxy/events", HttpCompletionOption.ResponseHeadersRead, Stop);
        using var reader = new StreamReader(await events.Content.ReadAsStreamAsync(Stop));
        Assert.Equal("data: first", await reader.ReadLineAsync(Stop));

        using var socket = new ClientWebSocket();
        socket.Options.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        socket.Options.SetRequestHeader("Authorization", "Bearer " + _server.Face.Pki.Token(Declarative.ApiServer.Authentication.Identity.All.First(x => x.Role == "admin")));
        await socket.ConnectAsync(new Uri($"wss://127.0.0.1:{_server.Face.Port}/api/v1/namespaces/default/services/web/proxy/echo"), Stop);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, Stop);
        var buffer = new byte[100];
        var got = await socket.ReceiveAsync(buffer, Stop);
        Assert.Equal("hello", Encoding.UTF8.GetString(buffer, 0, got.Count));
    }

    private static async Task Answer(HttpContext context)
    {
        if (context.WebSockets.IsWebSocketRequest)
        {
            using var socket = await context.WebSockets.AcceptWebSocketAsync();
            var buffer = new byte[100];
            var got = await socket.ReceiveAsync(buffer, context.RequestAborted);
            await socket.SendAsync(buffer.AsMemory(0, got.Count), WebSocketMessageType.Text, true, context.RequestAborted);
            return;
        }
        if (context.Request.Path == "/events")
        {
            await context.Response.WriteAsync("data: first\n", context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            // Nothing more until the client goes: what came must be there all the same.
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return;
        }
        context.Response.StatusCode = 202;
        context.Response.Headers["X-Answer"] = "seen";
        var target = context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!.RawTarget;
        using var body = new StreamReader(context.Request.Body);
        await context.Response.WriteAsync($"{context.Request.Method} {target} {await body.ReadToEndAsync(context.RequestAborted)} {context.Request.Headers["X-Mine"]} authorization={context.Request.Headers.Authorization}", context.RequestAborted);
    }
}
