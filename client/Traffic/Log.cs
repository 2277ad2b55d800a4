using Microsoft.Extensions.Logging;

namespace Declarative.Client.Traffic;

internal static partial class Log
{
    [LoggerMessage(Message = "traffic report {Name} could not be written, again in {Seconds} s: {Why}")]
    public static partial void NotReported(ILogger logger, LogLevel level, string name, double seconds, string why);
}
