using System.Net;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Information, Message = "answering DNS on {Address} (UDP and TCP)")]
    public static partial void Listening(ILogger logger, IPEndPoint address);

    [LoggerMessage(Level = LogLevel.Information, Message = "answering over HTTP on {Address}")]
    public static partial void HttpListening(ILogger logger, string address);

    [LoggerMessage(Level = LogLevel.Warning, Message = "DNS is not served on {Address}, where pods would look for it: {Reason}. It answers on {Other} all the same")]
    public static partial void NotOnClusterAddress(ILogger logger, IPEndPoint address, string reason, IPEndPoint other);

    [LoggerMessage(Level = LogLevel.Error, Message = "a query failed and was answered with SERVFAIL (further ones are only counted): {Packet}")]
    public static partial void PacketFailed(ILogger logger, string packet, Exception error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "receiving on {Address} failed ({Reason}), trying again (further failures are only counted)")]
    public static partial void ReceiveFailed(ILogger logger, IPEndPoint address, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "accepting on {Address} failed ({Reason}), trying again")]
    public static partial void AcceptFailed(ILogger logger, IPEndPoint address, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "a TCP connection ended in a bug")]
    public static partial void ConnectionFailed(ILogger logger, Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "HTTP request {Path} failed")]
    public static partial void RequestFailed(ILogger logger, string path, Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "a query for a name of another zone failed: {Packet}")]
    public static partial void ForwardFailed(ILogger logger, string packet, Exception error);

    [LoggerMessage(Level = LogLevel.Information, Message = "zone {Zone} was given to {Client}: {Records} records")]
    public static partial void Transferred(ILogger logger, string zone, IPAddress client, int records);

    [LoggerMessage(Level = LogLevel.Warning, Message = "secondary {Server} does not answer NOTIFY for {Zone}")]
    public static partial void NotNotified(ILogger logger, IPEndPoint server, string zone);

    [LoggerMessage(Level = LogLevel.Information, Message = "answering DNS over TLS on {Address}")]
    public static partial void TlsListening(ILogger logger, IPEndPoint address);
}
