using Microsoft.Extensions.Logging;

namespace Declarative.Dns;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Information, Message = "zones are complete: {Names} names")]
    public static partial void Synced(ILogger logger, int names);
}
