using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Storage.Etcd;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "etcd's changes are asked for again: {Reason}")]
    public static partial void WatchLost(this ILogger log, string reason);

    [LoggerMessage(2, LogLevel.Warning, "a write to etcd is repeated: {Reason}")]
    public static partial void WriteRepeated(this ILogger log, string reason);

    [LoggerMessage(3, LogLevel.Debug, "etcd is compacted through {Revision} already")]
    public static partial void AlreadyCompacted(this ILogger log, long revision);

    [LoggerMessage(4, LogLevel.Warning, "etcd was not compacted through {Revision}: {Reason}")]
    public static partial void NotCompacted(this ILogger log, long revision, string reason);

    [LoggerMessage(5, LogLevel.Warning, "changes are missing in the history: {Reason}")]
    public static partial void HistoryLost(this ILogger log, string reason);

    [LoggerMessage(6, LogLevel.Error, "the history begins anew, and the old file is kept as {Aside}: {Reason}")]
    public static partial void HistoryDamaged(this ILogger log, string aside, string reason);
}
