using Microsoft.Extensions.Logging;

namespace Declarative.Mesos.Mini.Agents;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Information, Message = "agent {Hostname}: registered as {Id}")]
    public static partial void Registered(ILogger logger, string hostname, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "agent {Hostname}: found {Running} running tasks again, {Ended} ended meanwhile")]
    public static partial void Recovered(ILogger logger, string hostname, int running, int ended);

    [LoggerMessage(Level = LogLevel.Warning, Message = "agent {Hostname}: {Note}")]
    public static partial void Note(ILogger logger, string hostname, string note);

    [LoggerMessage(Level = LogLevel.Warning, Message = "agent {Hostname}: no master: {Why}")]
    public static partial void NoMaster(ILogger logger, string hostname, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "agent {Hostname}: the master ends this agent: {Why}")]
    public static partial void ShutDown(ILogger logger, string hostname, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "agent {Hostname}: checkpoint {File} could not be written: {Why}")]
    public static partial void CheckpointFailed(ILogger logger, string hostname, string file, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "agent {Hostname}: checkpoint {Directory} is not readable and left alone: {Why}")]
    public static partial void CheckpointUnreadable(ILogger logger, string hostname, string directory, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "agent {Hostname}: task {Task} failed inside the agent")]
    public static partial void TaskBroke(ILogger logger, string hostname, string task, Exception error);
}
