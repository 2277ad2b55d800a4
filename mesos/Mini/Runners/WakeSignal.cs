namespace Declarative.Mesos.Mini.Runners;

/// <summary>Wakes a thread that waits in poll(2). Safe to set at any time: a number that was closed may be somebody else's file by then.</summary>
internal sealed class WakeSignal : IDisposable
{
    private readonly Lock gate = new();
    private readonly int descriptor = Posix.EventFd(0, Posix.CloseOnExec);
    private bool closed;

    public Posix.PollDescriptor Polled => new() { Descriptor = descriptor, Wanted = Posix.PollIn };

    public void Set()
    {
        lock (gate)
        {
            if (!closed)
                _ = Posix.Write(descriptor, BitConverter.GetBytes(1L), sizeof(long));
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (!closed)
                _ = Posix.Close(descriptor);
            closed = true;
        }
    }
}
