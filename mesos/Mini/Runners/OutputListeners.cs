using System.Threading.Channels;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>Who hears what a process writes, from when they began to listen on. Thread-safe.</summary>
/// <param name="patience">How long a listener that does not read may hold the process up; then it hears no more. Null: for ever.</param>
internal sealed class OutputListeners(TimeProvider time, TimeSpan? patience)
{
    private readonly Lock gate = new();
    private readonly List<Channel<(bool IsError, byte[] Data)>> listeners = [];
    private bool silent;

    /// <summary>The output from now on; completes when there is no more.</summary>
    public Channel<(bool IsError, byte[] Data)> Listen()
    {
        var listener = Channel.CreateBounded<(bool, byte[])>(1);
        lock (gate)
        {
            if (silent)
                listener.Writer.Complete();
            else
                listeners.Add(listener);
        }

        return listener;
    }

    /// <summary>The listener has gone.</summary>
    public void Leave(Channel<(bool IsError, byte[] Data)> listener)
    {
        lock (gate)
            listeners.Remove(listener);
        listener.Writer.TryComplete();
    }

    /// <summary>Completes when every listener has taken it or has left.</summary>
    public async ValueTask Publish(bool isError, byte[] data)
    {
        Channel<(bool, byte[])>[] now;
        lock (gate)
            now = [.. listeners];
        foreach (var listener in now)
        {
            // False for one that has left meanwhile.
            while (!listener.Writer.TryWrite((isError, data)) && await Waited(listener))
                continue;
        }
    }

    /// <summary>There is no more output.</summary>
    public void Complete()
    {
        lock (gate)
        {
            silent = true;
            foreach (var listener in listeners)
                listener.Writer.TryComplete();
            listeners.Clear();
        }
    }

    private async ValueTask<bool> Waited(Channel<(bool, byte[])> listener)
    {
        var room = listener.Writer.WaitToWriteAsync();
        if (patience is not { } most)
            return await room;
        try
        {
            return await room.AsTask().WaitAsync(most, time);
        }
        catch (TimeoutException)
        {
            Leave(listener);
            return false;
        }
    }
}
