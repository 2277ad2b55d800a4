using System.Threading.Channels;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>
/// The input of a task and, where it has a terminal, its output, which goes to the task's stdout file and to those who are attached. The
/// keeper holds the terminal too, so that it outlives the agent; while no agent reads it, a process that writes much waits.
/// </summary>
internal sealed class TaskTerminal : IAttachable
{
    private static readonly TimeSpan OutputAfterEnd = TimeSpan.FromSeconds(1);

    // Someone who is attached and does not read must not stop a task for good.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly TimeProvider time;
    private readonly Terminal? terminal;
    private readonly DescriptorWriter input;
    private readonly DescriptorReader? reader;
    private readonly OutputListeners listeners;
    /// <summary>Held open from the start: where a task moves its file, or puts another in its place, its output goes on into the first.</summary>
    private readonly FileStream? stdout;

    private TaskTerminal(string name, Terminal? terminal, int inputDescriptor, FileStream? stdout, TimeProvider time)
    {
        this.time = time;
        this.terminal = terminal;
        this.stdout = stdout;
        listeners = new(time, Patience);
        input = new(inputDescriptor, closes: terminal is null, name);
        if (terminal is not null)
            reader = new(terminal.Descriptor, closes: false, name, Take);
    }

    public bool HasOutput => terminal is not null;

    /// <param name="stdout">Closed here.</param>
    public static TaskTerminal Of(string name, Terminal terminal, FileStream stdout, TimeProvider time) => new(name, terminal, terminal.Descriptor, stdout, time);

    /// <param name="pipe">The end that is written to; closed here.</param>
    public static TaskTerminal Of(string name, int pipe, TimeProvider time) => new(name, null, pipe, null, time);

    /// <summary>Takes the terminal up again that a keeper holds. Null where there is none, or the kernel does not allow it (it wants the right to trace).</summary>
    public static TaskTerminal? Adopt(string name, int keeper, string stdout, TimeProvider time)
    {
        var process = Posix.PidFdOpen(keeper);
        if (process < 0)
            return null;
        var descriptor = Posix.PidFdGet(process, Keeper.TerminalDescriptor);
        _ = Posix.Close(process);
        if (descriptor < 0)
            return null;
        try
        {
            return Of(name, new Terminal(descriptor, ""), Output(stdout), time);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            // The task has made its file unusable; its keeper still holds the terminal.
            _ = Posix.Close(descriptor);
            return null;
        }
    }

    /// <summary>A task's output file, made where it is absent. Throws what opening a file throws.</summary>
    public static FileStream Output(string path) => new(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    public Channel<(bool IsError, byte[] Data)> Listen() => listeners.Listen();

    public void Leave(Channel<(bool IsError, byte[] Data)> listener) => listeners.Leave(listener);

    /// <summary>No bytes are the end of the input, of which a terminal has none (what ends it there is a typed control-D). False when the process takes no more.</summary>
    public async ValueTask<bool> Write(byte[] bytes, CancellationToken stop)
    {
        if (bytes.Length > 0)
            return await input.Write(bytes, stop);
        if (terminal is null)
            input.End();
        return true;
    }

    public void Resize(int columns, int rows) => terminal?.Resize(columns, rows);

    /// <summary>The process has ended, or the agent stops: what is written already is read, nothing after that.</summary>
    public async Task Close()
    {
        input.Stop();
        if (reader is not null)
        {
            await Task.WhenAny(reader.Ended, Task.Delay(OutputAfterEnd, time));
            reader.Stop();
            await reader.Ended;
        }

        listeners.Complete();
        await input.Ended;
        if (terminal is not null)
            _ = Posix.Close(terminal.Descriptor);
        if (stdout is not null)
            await stdout.DisposeAsync();
    }

    private async ValueTask Take(byte[] data)
    {
        // Where the disk is full, who is attached sees the output still, and the task goes on.
        _ = await TryKeep(data);
        await listeners.Publish(isError: false, data);
    }

    private async ValueTask<bool> TryKeep(byte[] data)
    {
        try
        {
            await stdout!.WriteAsync(data);
            return true;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
