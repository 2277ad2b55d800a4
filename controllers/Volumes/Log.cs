using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Volumes;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "volumes: the standard storage classes could not be made, again in {Delay}: {Why}")]
    public static partial void ClassesNotMade(ILogger logger, TimeSpan delay, string why);
}
