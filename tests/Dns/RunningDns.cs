using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Declarative.Tests.ApiServer;

namespace Declarative.Tests.Dns;

/// <summary>The DNS role with real sockets on free ports, before an API server in this process.</summary>
internal sealed class RunningDns : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly ZoneCase _documents = new();
    private InProcessApi _server = null!;
    private Task _running = Task.CompletedTask;

    public DnsPart Part { get; private set; } = null!;
    public IApi Api => _server.Admin;
    public IPEndPoint Address => Part.Address;

    public static async Task<RunningDns> Start(DnsOptions? options = null)
    {
        var dns = new RunningDns { _server = await InProcessApi.Start() };
        dns.Part = new DnsPart((options ?? new DnsOptions()) with
        {
            Listen = new IPEndPoint(IPAddress.Loopback, 0),
            ClusterListen = null,
            Http = new IPEndPoint(IPAddress.Loopback, 0),
        });
        await dns.Part.Open();
        dns._running = dns.Part.Run(dns._server.Server.As(User.Dns), TimeProvider.System, new Random(1), dns._stop.Token);
        await dns.Part.Ready;
        return dns;
    }

    /// <summary>Creates or replaces the objects of YAML documents, their status too; returns the last one.</summary>
    public async Task<Stored> Apply(string yaml)
    {
        Stored? last = null;
        foreach (var parsed in _documents.Read(yaml))
        {
            // The server gives uids itself.
            var json = JsonNode.Parse(parsed.Json.Span)!;
            json["metadata"]!.AsObject().Remove("uid");
            var document = parsed with { Json = Encoding.UTF8.GetBytes(json.ToJsonString()) };
            try
            {
                last = await Api.Create(document.Key, document.Json);
            }
            catch (ApiException e) when (e.Code == 409)
            {
                last = await Api.Patch(document.Key, PatchKind.Merge, document.Json);
            }
            if (document.Key.Kind.Subresources.Contains("status"))
                last = await Api.Patch(document.Key, PatchKind.Merge, document.Json, new WriteOptions { Subresource = "status" });
        }
        return last!;
    }

    /// <summary>Asks over UDP; null when no answer comes within two seconds.</summary>
    public async Task<Message?> Ask(string name, RecordType type, ushort payload = 1232)
    {
        var query = new byte[300];
        var length = Query.Write(query, 4242, DnsName.Parse(name).Wire, type, payload);
        return await Send(query.AsMemory(0, length)) is { } answer ? Message.Read(answer) : null;
    }

    /// <summary>Waits until a question has so many answers.</summary>
    public async Task Until(string name, RecordType type, int answers)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while ((await Ask(name, type))?.Answers.Count != answers)
        {
            Xunit.Assert.False(limit.IsCancellationRequested, $"{name} never had {answers} records");
            await Task.Delay(5);
        }
    }

    public async Task<byte[]?> Send(ReadOnlyMemory<byte> packet)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(Address);
        await socket.SendAsync(packet);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        var answer = new byte[4096];
        try
        {
            return answer[..await socket.ReceiveAsync(answer, limit.Token)];
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Stops in order.</summary>
    public async Task Stop()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        await Part.DisposeAsync();
        await _server.DisposeAsync();
        _stop.Dispose();
    }
}
