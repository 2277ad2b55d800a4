namespace Declarative.Mesos.Mini.Runners;

/// <summary>How a process ended: with an exit code, by a signal, or nobody saw it (its keeper was killed).</summary>
internal readonly record struct ProcessExit(int? Code, int? Signal)
{
    public static ProcessExit Unseen => default;

    public bool Succeeded => Code == 0;

    /// <summary>As wait(2) gives it and Mesos reports it: exit code 7 is 1792, signal 9 is 9.</summary>
    public int WaitStatus => Signal ?? (Code ?? 0) << 8;

    public static ProcessExit OfWaitStatus(int status) =>
        (status & 0x7f) is var signal and not 0 ? new(null, signal) : new((status >> 8) & 0xff, null);

    /// <summary>In the words of Mesos' command executor.</summary>
    public override string ToString() =>
        Signal is { } signal ? $"Command terminated with signal {SignalName(signal)}"
        : Code is { } code ? $"Command exited with status {code}"
        : "Executor terminated";

    // strsignal(3) in the C locale.
    private static string SignalName(int signal) =>
        signal switch
        {
            1 => "Hangup",
            2 => "Interrupt",
            3 => "Quit",
            4 => "Illegal instruction",
            5 => "Trace/breakpoint trap",
            6 => "Aborted",
            7 => "Bus error",
            8 => "Floating point exception",
            9 => "Killed",
            10 => "User defined signal 1",
            11 => "Segmentation fault",
            12 => "User defined signal 2",
            13 => "Broken pipe",
            14 => "Alarm clock",
            15 => "Terminated",
            16 => "Stack fault",
            24 => "CPU time limit exceeded",
            25 => "File size limit exceeded",
            31 => "Bad system call",
            >= 34 and <= 64 => $"Real-time signal {signal - 34}",
            _ => $"Unknown signal {signal}",
        };
}
