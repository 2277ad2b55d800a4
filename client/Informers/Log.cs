using Microsoft.Extensions.Logging;

namespace Declarative.Client.Informers;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Debug, Message = "{Kind}: the watch position is no longer kept by the server, listing again: {Why}")]
    public static partial void Relisting(ILogger logger, string kind, string why);

    [LoggerMessage(Message = "{Kind}: list or watch failed, trying again: {Why}")]
    public static partial void Broken(ILogger logger, LogLevel level, string kind, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Key} at revision {Revision} cannot be read and is left out: {Why}")]
    public static partial void Unreadable(ILogger logger, string key, long revision, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Kind}: a handler failed on {Namespace}/{Name}")]
    public static partial void HandlerFailed(ILogger logger, string kind, string @namespace, string name, Exception error);
}
