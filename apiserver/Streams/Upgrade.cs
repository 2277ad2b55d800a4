using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http;
using Declarative.ApiServer.Streams.Spdy;
using Microsoft.AspNetCore.Http.Features;

namespace Declarative.ApiServer.Streams;

/// <summary>Turns a request into a two-way connection: WebSocket (RFC 6455) or SPDY/3.1, as the client asks.</summary>
internal static class Upgrade
{
    private const string WebSocketKeySuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3
    private static readonly TimeSpan Ping = TimeSpan.FromSeconds(30);

    public static bool IsWebSocket(Exchange exchange) => Asks(exchange, "websocket");

    public static bool IsSpdy(Exchange exchange) => Asks(exchange, "SPDY/3.1");

    /// <summary>Throws 400 where the client knows none of the protocols.</summary>
    /// <param name="known">Best first.</param>
    public static async Task<WebSocket> ToWebSocket(Exchange exchange, string[] known)
    {
        var request = exchange.Context.Request;
        var chosen = Choose(known, request.Headers.SecWebSocketProtocol.ToString()) ?? throw NoProtocol(known, request.Headers.SecWebSocketProtocol.ToString());
        var key = request.Headers.SecWebSocketKey.ToString();
        if (key.Length == 0) throw Status.BadRequest("an upgrade to websocket needs the header Sec-WebSocket-Key (RFC 6455, 4.2.1)");
        var response = exchange.Response.Headers;
        response.Upgrade = "websocket";
        response.Connection = "Upgrade";
        response.SecWebSocketProtocol = chosen;
#pragma warning disable CA5350 // RFC 6455 names SHA-1; it protects nothing here
        response.SecWebSocketAccept = Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + WebSocketKeySuffix)));
#pragma warning restore CA5350
        return WebSocket.CreateFromStream(await Begin(exchange), new WebSocketCreationOptions { IsServer = true, KeepAliveInterval = Ping });
    }

    /// <summary>Throws 400 where the client knows none of the protocols.</summary>
    public static async Task<(SpdyConnection Connection, string Protocol)> ToSpdy(Exchange exchange, string[] known)
    {
        var offered = string.Join(',', exchange.Context.Request.Headers["X-Stream-Protocol-Version"].ToArray());
        var chosen = Choose(known, offered) ?? throw NoProtocol(known, offered);
        var response = exchange.Response.Headers;
        response.Upgrade = "SPDY/3.1";
        response.Connection = "Upgrade";
        response["X-Stream-Protocol-Version"] = chosen;
        return (new(await Begin(exchange)), chosen);
    }

    /// <summary>What a request for a connection gets that asks for none.</summary>
    public static Exception Required(Exchange exchange) => exchange.Context.Request.Protocol == "HTTP/1.1"
        ? Status.BadRequest("Upgrade request required: Connection: Upgrade with Upgrade: websocket or Upgrade: SPDY/3.1")
        : Status.BadRequest($"{exchange.Path.Subresource} needs a connection of its own: ask by HTTP/1.1 with Connection: Upgrade, not {exchange.Context.Request.Protocol}");

    private static bool Asks(Exchange exchange, string protocol) =>
        exchange.Context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true }
        && exchange.Context.Request.Headers.Upgrade.ToString().Contains(protocol, StringComparison.OrdinalIgnoreCase);

    public static async Task<Stream> Begin(Exchange exchange)
    {
        exchange.AllowSlowReader();
        return await exchange.Context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
    }

    private static string? Choose(string[] known, string offered)
    {
        var asked = offered.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return known.FirstOrDefault(asked.Contains);
    }

    private static Exception NoProtocol(string[] known, string offered) =>
        Status.BadRequest($"unable to upgrade: unable to negotiate protocol: client supports [{offered}], server accepts [{string.Join(' ', known)}]");
}
