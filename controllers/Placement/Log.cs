using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Placement;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Error, Message = "placement: an action failed")]
    public static partial void ActionFailed(ILogger logger, Exception error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "placement: the master refused {Call} ({Status}): {Why}")]
    public static partial void CallRefused(ILogger logger, string call, int status, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "placement: {Call} got no answer: {Why}")]
    public static partial void CallLost(ILogger logger, string call, string why);

    [LoggerMessage(Level = LogLevel.Information, Message = "placement: subscribed as framework {Framework} at master {Master}")]
    public static partial void Subscribed(ILogger logger, string framework, string master);

    [LoggerMessage(Level = LogLevel.Warning, Message = "placement: subscription ended: {Why}; again in {Delay}")]
    public static partial void Unsubscribed(ILogger logger, string why, TimeSpan delay);

    [LoggerMessage(Level = LogLevel.Error, Message = "placement: the master does not know framework {Framework} any more: {Why}. Nothing is placed until ConfigMap kube-system/{ConfigMap} is deleted (a new framework then starts every task anew)")]
    public static partial void FrameworkUnknown(ILogger logger, string framework, string why, string configMap);

    [LoggerMessage(Level = LogLevel.Warning, Message = "placement: writing {Key} failed, trying again in {Delay}: {Why}")]
    public static partial void WriteFailed(ILogger logger, string key, TimeSpan delay, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "placement: the watches have not shown what was written before this term within {Time}: all is listed anew")]
    public static partial void ListedAnew(ILogger logger, TimeSpan time);

    [LoggerMessage(Level = LogLevel.Warning, Message = "placement: {Task} runs but no pod wants it: killing it")]
    public static partial void Stray(ILogger logger, string task);

    [LoggerMessage(Level = LogLevel.Debug, Message = "placement: {Task} → {State}: {Message}")]
    public static partial void Update(ILogger logger, string task, string state, string message);

    [LoggerMessage(Level = LogLevel.Information, Message = "placement: {Count} tasks to reconcile")]
    public static partial void Reconciling(ILogger logger, int count);
}
