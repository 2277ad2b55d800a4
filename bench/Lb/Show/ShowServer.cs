using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Declarative.Bench.Lb.Show;

/// <summary>
/// What the pods of the show run: its pod's name at every path, echoing websockets at <c>/ws</c>, <c>/download?seconds=N</c> in pieces, and on a port of
/// its own HTTP/2 with streams that send every message back and end with gRPC's trailer. Ports come in the environment.
/// </summary>
internal static class ShowServer
{
    private const int PieceBytes = 16 * 1024;
    private static readonly TimeSpan PieceEvery = TimeSpan.FromMilliseconds(100);

    public static int PiecesOf(int seconds) => seconds * 10;

    public static long BytesOf(int seconds) => (long)PiecesOf(seconds) * PieceBytes;

    public static async Task<int> Serve()
    {
        var name = Environment.GetEnvironmentVariable("POD_NAME") ?? "";
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(x =>
        {
            // A stream that says little is no slow client here.
            (x.Limits.MinRequestBodyDataRate, x.Limits.MinResponseDataRate) = (null, null);
            x.Listen(IPAddress.Loopback, Port("PORT_WEB"), y => y.Protocols = HttpProtocols.Http1);
            x.Listen(IPAddress.Loopback, Port("PORT_TALK"), y => y.Protocols = HttpProtocols.Http2);
        });
        var app = builder.Build();
        app.UseWebSockets();
        app.Run(context => context.Request.Path.Value switch
        {
            "/ws" => Echo(context),
            "/download" => Download(context, int.Parse(context.Request.Query["seconds"]!, CultureInfo.InvariantCulture)),
            "/show.Echo/Talk" => Talk(context),
            _ => context.Response.WriteAsync(name),
        });
        await app.RunAsync();
        return 0;
    }

    private static int Port(string name) => int.Parse(Environment.GetEnvironmentVariable(name)!, CultureInfo.InvariantCulture);

    private static async Task Echo(HttpContext context)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        var buffer = new byte[1024];
        while (await socket.ReceiveAsync(buffer, context.RequestAborted) is { MessageType: not WebSocketMessageType.Close } message)
        {
            await socket.SendAsync(buffer.AsMemory(0, message.Count), message.MessageType, message.EndOfMessage, context.RequestAborted);
        }
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, context.RequestAborted);
    }

    private static async Task Download(HttpContext context, int seconds)
    {
        context.Response.ContentLength = BytesOf(seconds);
        var piece = new byte[PieceBytes];
        for (var i = 0; i < PiecesOf(seconds); i++)
        {
            await context.Response.Body.WriteAsync(piece, context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            await Task.Delay(PieceEvery, context.RequestAborted);
        }
    }

    private static async Task Talk(HttpContext context)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.DeclareTrailer("grpc-status");
        await context.Response.StartAsync();
        await context.Response.Body.FlushAsync();
        var buffer = new byte[1024];
        while (await context.Request.Body.ReadAsync(buffer, context.RequestAborted) is > 0 and var count)
        {
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, count), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
        }
        context.Response.AppendTrailer("grpc-status", "0");
    }
}
