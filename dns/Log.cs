using Microsoft.Extensions.Logging;

namespace Declarative.Dns;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Information, Message = "zones are complete: {Names} names")]
    public static partial void Synced(ILogger logger, int names);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the state of Mesos is {Seconds} s old: {Policy}")]
    public static partial void Stale(ILogger logger, long seconds, StalePolicy policy);

    [LoggerMessage(Level = LogLevel.Information, Message = "the state of Mesos is fresh again")]
    public static partial void Fresh(ILogger logger);
}
