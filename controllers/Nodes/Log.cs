using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Nodes;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "nodes: the master's view of agents ended, trying again: {Why}")]
    public static partial void WatchEnded(ILogger logger, string why);
}
