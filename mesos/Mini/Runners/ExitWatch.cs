using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>
/// Tells when processes end, children of ours and adopted ones alike: one thread waits on all pidfds. Each child is reaped by its pid;
/// waitpid(-1) would take children from under <c>System.Diagnostics.Process</c>. Without pidfds (Linux before 5.3, some sandboxes) the same
/// thread looks at /proc.
/// </summary>
internal sealed class ExitWatch : IDisposable
{
    private const int PollMilliseconds = 50;
    private const int EventsMax = 64;

    // struct epoll_event is packed on x86-64 only.
    private static readonly int EventBytes = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int EventDataOffset = EventBytes - 8;

    private readonly Lock gate = new();
    private readonly Dictionary<int, Watched> byDescriptor = [];
    private readonly List<Watched> polled = [];
    private readonly int epoll;
    private readonly int wake;
    private readonly Thread thread;
    private bool stopping;

    public ExitWatch()
    {
        epoll = Posix.EpollCreate(Posix.CloseOnExec);
        wake = Posix.EventFd(0, Posix.CloseOnExec);
        if (epoll < 0 || wake < 0)
            throw new IOException($"no epoll: {Posix.Describe(Marshal.GetLastPInvokeError())}");
        // Edge-triggered: nobody reads the counter.
        Posix.EpollControl(epoll, Posix.EpollAdd, wake, Event(wake, Posix.PollIn | Posix.EdgeTriggered));
        thread = new Thread(Watch) { IsBackground = true, Name = "exits" };
        thread.Start();
    }

    /// <summary>Completes when the process has ended, with its wait status if it was our child and null if it was not.</summary>
    public Task<int?> Exited(ProcessIdentity process)
    {
        var watched = new Watched(process);
        var descriptor = Posix.PidFdOpen(process.Pid);
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(stopping, this);
            if (descriptor >= 0)
            {
                byDescriptor[descriptor] = watched;
                Posix.EpollControl(epoll, Posix.EpollAdd, descriptor, Event(descriptor));
            }
            else
            {
                polled.Add(watched);
                Wake();
            }
        }

        // The pidfd may be that of a later process with the same number: then ours ended before.
        if (descriptor >= 0 && ProcessIdentity.Of(process.Pid) is { } now && now != process)
        {
            lock (gate)
            {
                if (byDescriptor.Remove(descriptor))
                    Forget(descriptor);
            }

            watched.Ended.TrySetResult(null);
        }

        return watched.Ended.Task;
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (stopping)
                return;
            stopping = true;
            Wake();
        }

        thread.Join();
        foreach (var (descriptor, watched) in byDescriptor)
        {
            Posix.Close(descriptor);
            watched.Ended.TrySetCanceled();
        }

        foreach (var watched in polled)
            watched.Ended.TrySetCanceled();
        Posix.Close(wake);
        Posix.Close(epoll);
    }

    private void Watch()
    {
        var events = new byte[EventBytes * EventsMax];
        while (true)
        {
            int timeout;
            lock (gate)
            {
                if (stopping)
                    return;
                timeout = polled.Count > 0 ? PollMilliseconds : -1;
            }

            var count = Posix.EpollWait(epoll, events, EventsMax, timeout);
            List<Watched> ended = [];
            lock (gate)
            {
                for (var i = 0; i < count; i++)
                {
                    var descriptor = BinaryPrimitives.ReadInt32LittleEndian(events.AsSpan(i * EventBytes + EventDataOffset));
                    if (descriptor != wake && byDescriptor.Remove(descriptor, out var watched))
                    {
                        Forget(descriptor);
                        ended.Add(watched);
                    }
                }

                ended.AddRange(polled.Where(watched => !watched.Process.IsAlive));
                polled.RemoveAll(ended.Contains);
            }

            foreach (var watched in ended)
                watched.Ended.TrySetResult(Reap(watched.Process.Pid));
        }
    }

    private static int? Reap(int pid) => Posix.WaitPid(pid, out var status, Posix.WaitNoHang) == pid ? status : null;

    private void Forget(int descriptor)
    {
        Posix.EpollControl(epoll, Posix.EpollDelete, descriptor, null);
        Posix.Close(descriptor);
    }

    private void Wake() => Posix.Write(wake, BitConverter.GetBytes(1L), sizeof(long));

    private static byte[] Event(int descriptor, int events = Posix.PollIn)
    {
        var change = new byte[EventBytes];
        BinaryPrimitives.WriteInt32LittleEndian(change, events);
        BinaryPrimitives.WriteInt32LittleEndian(change.AsSpan(EventDataOffset), descriptor);
        return change;
    }

    private sealed class Watched(ProcessIdentity process)
    {
        public ProcessIdentity Process { get; } = process;
        public TaskCompletionSource<int?> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
