using Microsoft.Extensions.Logging;

namespace Declarative.Dns.MesosState;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Information, Message = "the master's event stream is lost: {Reason}")]
    public static partial void StreamLost(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the masters' state cannot be read, what was known stays: {Reason}")]
    public static partial void NoState(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "the ports of schedulers are not known: {Reason}")]
    public static partial void NoSchedulers(ILogger logger, string reason);
}
