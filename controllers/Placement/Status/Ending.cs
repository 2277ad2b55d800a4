using System.Globalization;
using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;
using Reasons = Declarative.Mesos.Protocol.TaskStatus.Types.Reason;

namespace Declarative.Controllers.Placement.Status;

/// <summary>How a task ended, read from its terminal update: Mesos gives exit codes and signals only in the message of its executors.</summary>
internal static class Ending
{
    private const string Exited = "Command exited with status ";
    private const string Signalled = "Command terminated with signal ";

    /// <summary>Exit code where the task never ran (Kubernetes: StartError).</summary>
    private const int NotStarted = 128;

    /// <summary>Exit code where nobody knows (Kubernetes: ContainerStatusUnknown).</summary>
    private const int Unknown = 137;

    public static ContainerStateTerminated Of(ContainerTrack track)
    {
        if (track.Stored is { } stored) return stored;
        var (code, signal, reason) = Read(track);
        return new()
        {
            ExitCode = code,
            Signal = signal,
            Reason = reason,
            Message = Text(track, code, signal),
            StartedAt = track.StartedAt,
            FinishedAt = track.FinishedAt,
            ContainerID = ContainerId(track),
        };
    }

    public static string ContainerId(ContainerTrack track) => track.ContainerId.Length > 0 ? "mesos://" + track.ContainerId : "";

    /// <summary>The agent and what ran on it are gone: the pod cannot come back there.</summary>
    public static bool IsAgentLost(ContainerTrack track) =>
        track.State is TaskState.TaskGoneByOperator
        || track.State is TaskState.TaskLost && track.Reason is Reasons.AgentRemoved or Reasons.AgentRemovedByOperator or Reasons.AgentDisconnected or Reasons.AgentUnknown;

    /// <summary>The task was never started, whatever the restart policy says about tasks that were.</summary>
    public static bool NeverRan(ContainerTrack track) => track.State is TaskState.TaskDropped or TaskState.TaskError && track.StartedAt is null;

    /// <summary>The port of "port N in use" (architecture.md, decision 13), 0 where that was not the end.</summary>
    public static int PortInUse(ContainerTrack track)
    {
        if (track.State is not (TaskState.TaskFailed or TaskState.TaskDropped)) return 0;
        var words = track.Message.Split(' ', ',', ':', ';');
        for (var i = 0; i + 3 < words.Length; i++)
        {
            if (words[i] is "port" or "Port" && words[i + 2] == "in" && words[i + 3] == "use" && int.TryParse(words[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var port)) return port;
        }
        return 0;
    }

    public static bool LimitsRefused(ContainerTrack track) => track.State is TaskState.TaskDropped && track.Message.Contains("limits can only be set", StringComparison.Ordinal);

    private static (int Code, int Signal, string Reason) Read(ContainerTrack track)
    {
        var (code, signal) = Exit(track.Message);
        if (track.Reason is Reasons.ContainerLimitationMemory) return (Unknown, 9, "OOMKilled");
        return track.State switch
        {
            TaskState.TaskFinished => (0, 0, "Completed"),
            TaskState.TaskKilled or TaskState.TaskFailed when code is not null => (code.Value, signal, code == 0 ? "Completed" : "Error"),
            TaskState.TaskFailed when track.Reason is Reasons.ContainerLaunchFailed || track.StartedAt is null => (NotStarted, 0, "StartError"),
            TaskState.TaskError or TaskState.TaskDropped => (NotStarted, 0, "StartError"),
            TaskState.TaskLost or TaskState.TaskGone or TaskState.TaskGoneByOperator => (Unknown, 0, "ContainerStatusUnknown"),
            _ => (Unknown, 0, "Error"),
        };
    }

    private static (int? Code, int Signal) Exit(string message)
    {
        var at = message.IndexOf(Exited, StringComparison.Ordinal);
        if (at >= 0)
        {
            var digits = message.AsSpan(at + Exited.Length);
            var length = 0;
            while (length < digits.Length && char.IsAsciiDigit(digits[length])) length++;
            if (int.TryParse(digits[..length], NumberStyles.None, CultureInfo.InvariantCulture, out var code)) return (code, 0);
        }
        at = message.IndexOf(Signalled, StringComparison.Ordinal);
        if (at < 0) return (null, 0);
        var name = message[(at + Signalled.Length)..];
        foreach (var (text, number) in Signals)
        {
            if (name.StartsWith(text, StringComparison.Ordinal)) return (128 + number, number);
        }
        return (Unknown, 0);
    }

    /// <summary>strsignal(3) of glibc on Linux.</summary>
    private static readonly (string Text, int Number)[] Signals =
    [
        ("Hangup", 1), ("Interrupt", 2), ("Quit", 3), ("Illegal instruction", 4), ("Trace/breakpoint trap", 5), ("Aborted", 6), ("Bus error", 7),
        ("Floating point exception", 8), ("Killed", 9), ("User defined signal 1", 10), ("Segmentation fault", 11), ("User defined signal 2", 12),
        ("Broken pipe", 13), ("Alarm clock", 14), ("Terminated", 15), ("Stack fault", 16), ("CPU time limit exceeded", 24), ("File size limit exceeded", 25),
    ];

    private static string Text(ContainerTrack track, int code, int signal)
    {
        if (track.State is TaskState.TaskFinished || track.Message.StartsWith(Exited, StringComparison.Ordinal) || signal > 0 && track.Healthy != false) return "";
        if (track.State is TaskState.TaskKilled && track.Healthy == false) return "Container failed its health check and was killed";
        return code == 0 ? "" : track.Message;
    }
}
