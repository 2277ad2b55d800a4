using System.Net;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Declarative.Tests.Lb;

/// <summary>A real HTTP server in the role of a pod. It answers with its name; some paths wait for <see cref="Release"/>.</summary>
internal sealed class Backend : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _requests;
    private int _inside;

    private Backend(string name, HttpProtocols protocols)
    {
        Name = name;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(x => x.Listen(IPAddress.Loopback, 0, y => y.Protocols = protocols));
        _app = builder.Build();
        _app.UseWebSockets();
        _app.Run(Answer);
    }

    public string Name { get; }
    public int Port { get; private set; }
    public int Requests => Volatile.Read(ref _requests);

    /// <summary>What <c>/health</c> says.</summary>
    public bool Healthy { get; set; } = true;

    /// <summary>Requests that are being answered now.</summary>
    public int Inside => Volatile.Read(ref _inside);

    public static async Task<Backend> Start(string name, HttpProtocols protocols = HttpProtocols.Http1)
    {
        var backend = new Backend(name, protocols);
        await backend._app.StartAsync();
        backend.Port = new Uri(backend._app.Urls.First()).Port;
        return backend;
    }

    /// <summary>Lets the paths that wait go on.</summary>
    public void Release() => _release.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        Release();
        using var atOnce = new CancellationTokenSource();
        await atOnce.CancelAsync();
        await _app.StopAsync(atOnce.Token);
        await _app.DisposeAsync();
    }

    private async Task Answer(HttpContext context)
    {
        Interlocked.Increment(ref _requests);
        Interlocked.Increment(ref _inside);
        try
        {
            await Answer(context, context.Request.Path.Value!);
        }
        finally
        {
            Interlocked.Decrement(ref _inside);
        }
    }

    private async Task Answer(HttpContext context, string path)
    {
        var request = context.Request;
        var response = context.Response;
        switch (path)
        {
            case "/wait":
                await _release.Task;
                await response.WriteAsync(Name);
                break;
            case "/stream": // the head at once, the body later
                response.ContentType = "text/event-stream";
                await response.Body.FlushAsync();
                await _release.Task;
                await response.WriteAsync($"data: {Name}\n\n");
                break;
            case "/download": // half at once, half later
                response.ContentLength = 2_000_000;
                await response.Body.WriteAsync(new byte[1_000_000]);
                await _release.Task;
                await response.Body.WriteAsync(new byte[1_000_000]);
                break;
            case "/echo":
                await request.Body.CopyToAsync(response.Body);
                break;
            case "/seen":
                var features = context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!;
                await response.WriteAsync($"{request.Protocol} {request.Host} {features.RawTarget}\n" + string.Join('\n', request.Headers.Where(x => x.Key.StartsWith("X-", StringComparison.Ordinal) || x.Key is "Forwarded" or "Via").Select(x => $"{x.Key}: {x.Value}")));
                break;
            case "/grpc.Echo/Talk": // messages as they come, each with its length before it; the status in a trailer
                response.ContentType = "application/grpc";
                response.DeclareTrailer("grpc-status");
                await response.Body.FlushAsync();
                var message = new byte[4096];
                while (await request.Body.ReadAsync(message) is > 0 and var length)
                {
                    await response.Body.WriteAsync(message.AsMemory(0, length));
                    await response.Body.FlushAsync();
                }
                response.AppendTrailer("grpc-status", "0");
                break;
            case "/text": // well compressible
                response.ContentType = "text/plain";
                response.ContentLength = 100_000;
                response.Headers["X-Seen-Accept-Encoding"] = request.Headers.AcceptEncoding;
                await response.WriteAsync(new string('a', 100_000));
                break;
            case "/connection": // which of the client's it came by
                await response.WriteAsync(context.Connection.Id);
                break;
            case "/redirect":
                response.Redirect(request.Query["to"].ToString());
                break;
            case "/status":
                response.StatusCode = int.Parse(request.Query["code"].ToString(), System.Globalization.CultureInfo.InvariantCulture);
                await response.WriteAsync(Name);
                break;
            case "/health":
                response.StatusCode = Healthy ? 200 : 503;
                break;
            case "/drop":
                context.Abort();
                break;
            case "/ws":
                using (var socket = await context.WebSockets.AcceptWebSocketAsync())
                {
                    var buffer = new byte[1024];
                    while (await socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None) is { MessageType: not WebSocketMessageType.Close } got)
                    {
                        await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, got.EndOfMessage, CancellationToken.None);
                    }
                    await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", CancellationToken.None);
                }
                break;
            default:
                await response.WriteAsync(Name);
                break;
        }
    }
}
