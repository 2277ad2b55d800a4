using Microsoft.Extensions.Logging;

namespace Declarative.Client.Reconcile;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Debug, Message = "{Controller}: {Key} waits for the API server: {Why}")]
    public static partial void Waiting(ILogger logger, string controller, object key, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Controller}: {Key} failed, trying again")]
    public static partial void ReconcileFailed(ILogger logger, string controller, object key, Exception error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Controller}: {Key}: writing {Target} was refused, trying again: {Why}")]
    public static partial void Refused(ILogger logger, string controller, object key, string target, string why);

    [LoggerMessage(Level = LogLevel.Information, Message = "lease {Lease}: {Identity} leads")]
    public static partial void Leading(ILogger logger, string lease, string identity);

    [LoggerMessage(Level = LogLevel.Warning, Message = "lease {Lease}: {Identity} no longer leads: {Why}")]
    public static partial void LeadLost(ILogger logger, string lease, string identity, string why);

    [LoggerMessage(Message = "lease {Lease}: {Why}, trying again")]
    public static partial void LeaseFailed(ILogger logger, LogLevel level, string lease, string why);

    [LoggerMessage(Level = LogLevel.Debug, Message = "event {Reason} about {About} was dropped: {Why}")]
    public static partial void EventDropped(ILogger logger, string reason, string about, string why);
}
