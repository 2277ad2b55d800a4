using System.Threading.Channels;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>A process beside a task, in a container of its own below the task's: what LAUNCH_NESTED_CONTAINER and its session start.</summary>
internal sealed class NestedContainer : IAttachable
{
    private readonly SessionProcess process;
    private readonly OutputListeners listeners;

    /// <param name="keep">Gets all of its output; null for a session, whose caller listens from the first byte on.</param>
    public NestedContainer(ContainerID id, SessionProcess process, bool hasTerminal, Func<bool, byte[], ValueTask>? keep, TimeProvider time)
    {
        listeners = new(time, patience: null);
        Session = keep is null ? Listen() : null;
        Id = id;
        this.process = process;
        HasOutput = hasTerminal;
        Ended = Distribute(keep);
    }

    public ContainerID Id { get; }

    /// <summary>A real agent gives the output of containers with a terminal only, to those who attach later.</summary>
    public bool HasOutput { get; }
    public int Pid => process.Pid;

    /// <summary>All the output, for the caller who has started it as a session; null for other containers.</summary>
    public Channel<(bool IsError, byte[] Data)>? Session { get; }

    /// <summary>How it ended, after all listeners have its output; null where nobody saw it.</summary>
    public Task<ProcessExit?> Ended { get; }

    /// <summary>The output from now on; completes with the process. Reading slowly slows the process down.</summary>
    public Channel<(bool IsError, byte[] Data)> Listen() => listeners.Listen();

    /// <summary>The listener has gone.</summary>
    public void Leave(Channel<(bool IsError, byte[] Data)> listener) => listeners.Leave(listener);

    /// <summary>No bytes are the end of the input. False when the process takes no more.</summary>
    public async ValueTask<bool> Write(byte[] bytes, CancellationToken stop)
    {
        if (bytes.Length > 0)
            return await process.Write(bytes, stop);
        process.EndInput();
        return true;
    }

    public void Resize(int columns, int rows) => process.Resize(columns, rows);

    public void Signal(int signal) => process.Signal(signal);

    /// <summary>At once, whoever listens.</summary>
    public void Kill()
    {
        process.Signal(Posix.SigKill);
        process.Abandon();
    }

    private async Task<ProcessExit?> Distribute(Func<bool, byte[], ValueTask>? keep)
    {
        while (await process.Output.WaitToReadAsync())
        {
            while (process.Output.TryRead(out var piece))
            {
                if (keep is not null)
                    await keep(piece.IsError, piece.Data);
                await listeners.Publish(piece.IsError, piece.Data);
            }
        }

        listeners.Complete();
        return await process.Ended;
    }
}
