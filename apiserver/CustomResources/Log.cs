using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.CustomResources;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "CustomResourceDefinition {Name} is kept, but its kind can not be served: {Reason}")]
    public static partial void NotServed(this ILogger log, string name, string reason);
}
