using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.RegularExpressions;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Streams;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.ApiServer.Streams;

/// <summary>Port forwarding by unmodified kubectl (SPDY until 1.30, WebSocket since 1.31) and over WebSocket channels.</summary>
public sealed class PortForwardTests : IAsyncLifetime
{
    private const int Megabyte = 1024 * 1024;
    private readonly CountingServer _task = new();
    private RunningFace _server = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string> Versions => Kubectls.Rows;

    public async ValueTask InitializeAsync()
    {
        _server = await RunningFace.Start();
        await RunningPod.MakeNode(_server, "agent-0", agentPort: 1);
        await RunningPod.Make(_server, "web", "agent-0", ports: [(8080, _task.Port), (9, 1)]);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _task.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Many_connections_at_once_each_to_its_end(string version)
    {
        var kubectl = new Kubectl(Kubectls.Require(version), _server.Face.KubeconfigPath, _server.Directory);
        using var forwarding = kubectl.Start(["port-forward", "--address=127.0.0.1", "pod/web", ":8080"]);
        try
        {
            var local = await Local(forwarding.StandardOutput);
            Assert.Equal("3 bytes", await CountingServer.Ask(local, 3, Stop));
            var many = await Task.WhenAll(Enumerable.Range(1, 20).Select(i => CountingServer.Ask(local, i * Megabyte / 4, Stop)));
            Assert.Equal(Enumerable.Range(1, 20).Select(i => $"{i * Megabyte / 4} bytes"), many);
        }
        finally
        {
            forwarding.Kill();
        }
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Ports_that_are_not_declared_or_not_open_are_named(string version)
    {
        var kubectl = new Kubectl(Kubectls.Require(version), _server.Face.KubeconfigPath, _server.Directory);
        using var forwarding = kubectl.Start(["port-forward", "--address=127.0.0.1", "pod/web", ":7000"]);
        using var closed = kubectl.Start(["port-forward", "--address=127.0.0.1", "pod/web", ":9"]);
        try
        {
            await CountingServer.Ask(await Local(forwarding.StandardOutput), 0, Stop);
            Assert.Contains("declares no TCP port 7000; it declares 8080 (p8080), 9 (p9)", await ErrorLine(forwarding.StandardError), StringComparison.Ordinal);
            await CountingServer.Ask(await Local(closed.StandardOutput), 0, Stop);
            Assert.Contains("nothing answers for port 9 of pod", await ErrorLine(closed.StandardError), StringComparison.Ordinal);
        }
        finally
        {
            forwarding.Kill();
            closed.Kill();
        }
    }

    [Fact]
    public async Task Web_socket_channels_carry_a_port_each()
    {
        using var socket = await Connect("ports=8080&ports=7000");
        foreach (var (channel, port) in ((byte, int)[])[(0, 8080), (1, 8080), (2, 7000), (3, 7000)])
        {
            // The two ports are served at the same time: their first messages come in any order, each channel's own in order.
            _expected[channel] = [(byte)port, (byte)(port >> 8)];
        }
        await socket.SendAsync(Encoding.ASCII.GetBytes("\0hello"), WebSocketMessageType.Binary, true, Stop);
        var said = new Dictionary<byte, List<byte>>();
        while (!(said.TryGetValue(3, out var error) && error.Count > 2))
        {
            var message = await Receive(socket);
            said.TryAdd(message[0], []);
            said[message[0]].AddRange(message[1..]);
        }
        foreach (var (channel, bytes) in said) Assert.Equal(_expected[channel], bytes.Take(2));
        Assert.Contains("declares no TCP port 7000", Encoding.UTF8.GetString([.. said[3]]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_can_not_be_forwarded_is_refused_before_the_connection_is_taken_over()
    {
        using var client = _server.Client(version: System.Net.HttpVersion.Version11);
        const string Path = "/api/v1/namespaces/default/pods/web/portforward";
        Assert.Contains("Upgrade request required", (await client.PostAsync(Path, null, Stop).Json(400)).Text("message"), StringComparison.Ordinal);
        await client.DeleteAsync(Path, Stop).Json(405);
        await client.PostAsync(Path.Replace("web", "nobody", StringComparison.Ordinal), null, Stop).Json(404);
        using var dns = _server.Client("dns", version: System.Net.HttpVersion.Version11);
        await dns.PostAsync(Path, null, Stop).Json(403);
        Assert.Equal(400, (int)(await Assert.ThrowsAsync<WebSocketException>(() => Connect("ports=0"))).Data["status"]!);
    }

    [Fact]
    public async Task A_client_that_goes_while_the_task_takes_nothing_leaves_nothing_behind()
    {
        var time = new ManualTime();
        using var task = new TcpListener(IPAddress.Loopback, 0);
        task.Start(); // Connections are made, and nobody reads them.
        await RunningPod.Make(_server, "idle", "agent-0", ports: [(8080, ((IPEndPoint)task.LocalEndpoint).Port)]);
        var target = await PortTarget.Find(_server.Admin, ResourceKey.Of(Kind.Pod, "default", "idle"), time, Stop);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, Stop);
        using var accepted = await listener.AcceptTcpClientAsync(Stop);
        using var socket = WebSocket.CreateFromStream(accepted.GetStream(), new WebSocketCreationOptions { IsServer = true });
        using var sender = WebSocket.CreateFromStream(client.GetStream(), new WebSocketCreationOptions());
        using var gone = new CancellationTokenSource();
        var serving = new WebSocketPorts(socket, [8080], time).Serve(target, gone.Token, CancellationToken.None);
        var message = new byte[64 * 1024];
        Task sending;
        do sending = sender.SendAsync(message, WebSocketMessageType.Binary, true, Stop);
        while (await Task.WhenAny(sending, Task.Delay(TimeSpan.FromSeconds(1), Stop)) == sending);

        await gone.CancelAsync();
        time.Advance(TimeSpan.FromSeconds(4));
        Assert.False(serving.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        await serving.WaitAsync(TimeSpan.FromSeconds(10), Stop);
        accepted.Dispose();
        await Assert.ThrowsAnyAsync<Exception>(() => sending);
    }

    private readonly Dictionary<byte, byte[]> _expected = [];

    private async Task<ClientWebSocket> Connect(string query)
    {
        var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("v4.channel.k8s.io");
        socket.Options.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        socket.Options.CollectHttpResponseDetails = true;
        socket.Options.SetRequestHeader("Authorization", "Bearer " + _server.Face.Pki.Token(Declarative.ApiServer.Authentication.Identity.All.First(x => x.Role == "admin")));
        try
        {
            await socket.ConnectAsync(new Uri($"wss://127.0.0.1:{_server.Face.Port}/api/v1/namespaces/default/pods/web/portforward?{query}"), Stop);
            return socket;
        }
        catch (WebSocketException refused)
        {
            refused.Data["status"] = (int)socket.HttpStatusCode;
            socket.Dispose();
            throw;
        }
    }

    private static async Task<byte[]> Receive(ClientWebSocket socket)
    {
        var buffer = new byte[64 * 1024];
        var got = await socket.ReceiveAsync(buffer, Stop);
        Assert.True(got.EndOfMessage);
        return buffer[..got.Count];
    }

    private static async Task<int> Local(StreamReader output)
    {
        var line = await output.ReadLineAsync(Stop) ?? "";
        var match = Regex.Match(line, @"^Forwarding from 127\.0\.0\.1:(\d+) -> ");
        Assert.True(match.Success, line);
        return int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
    }

    private static async Task<string> ErrorLine(StreamReader errors)
    {
        while (await errors.ReadLineAsync(Stop) is { } line)
        {
            if (line.Contains("error occurred forwarding", StringComparison.Ordinal)) return line;
        }
        return "";
    }
}
