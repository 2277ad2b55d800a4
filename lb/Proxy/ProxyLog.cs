using Microsoft.Extensions.Logging;

namespace Declarative.Lb.Proxy;

internal static partial class ProxyLog
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "{Listener}: a connection could not be taken: {Why}")]
    public static partial void AcceptFailed(ILogger logger, string listener, string why);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Listener}: a connection was lost: {Why}")]
    public static partial void ConnectionLost(ILogger logger, string listener, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Listener}: a connection failed")]
    public static partial void ConnectionFailed(ILogger logger, string listener, Exception error);
}
