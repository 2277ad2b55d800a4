using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Storage.Sqlite;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "objects of {Kind} stay in the database for a version that knows this kind; this one does not")]
    public static partial void UnknownKind(this ILogger log, string kind);

    [LoggerMessage(2, LogLevel.Warning, "the log of {Path} can not be copied into it ({Reason}) and grows meanwhile: look after the disk")]
    public static partial void NoCheckpoint(this ILogger log, string path, string reason);

    [LoggerMessage(3, LogLevel.Warning, "{Path} stays beside the database for the next start, which needs it: it can not be taken in ({Reason}): look after the disk")]
    public static partial void LogStays(this ILogger log, string path, string reason);
}
