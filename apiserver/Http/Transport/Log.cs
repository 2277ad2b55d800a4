using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Http.Transport;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Error, "connection {Id} is closed by a bug of this server")]
    public static partial void Failed(ILogger log, string id, Exception bug);

    [LoggerMessage(2, LogLevel.Error, "what waited for the end of connection {Id} failed by a bug of this server")]
    public static partial void EndFailed(ILogger log, string id, Exception bug);

    [LoggerMessage(3, LogLevel.Warning, "connections wait until they can be accepted: {Reason}; raise the limit of open files (ulimit -n), or have fewer clients")]
    public static partial void NotAccepted(ILogger log, string reason);
}
