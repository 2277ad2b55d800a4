using Microsoft.Extensions.Logging;

namespace Declarative.Client.Http;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "API server {Server} is out of reach, trying again until it is back: {Why}")]
    public static partial void OutOfReach(ILogger logger, Uri server, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "API server {Server} answers again after {Seconds:0.0} s")]
    public static partial void Back(ILogger logger, Uri server, double seconds);
}
