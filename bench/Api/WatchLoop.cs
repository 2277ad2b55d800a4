using System.Runtime.InteropServices;
using Declarative.Lb.Proxy.Plain;

namespace Declarative.Bench.Api;

/// <summary>
/// One thread that looks after many sockets in rounds: it reads whatever has come and sleeps for a moment, whether or not more is on its way. A reader that is
/// woken by each segment takes time from who sends it, which on this machine is the measured server; clients on machines of their own would not.
/// The millisecond that it may come late counts as the server's.
/// </summary>
internal sealed unsafe class WatchLoop : IDisposable
{
    public const int BufferBytes = 128 * 1024;
    private const int EventsMax = 512;
    private const int NapMilliseconds = 1;
    private readonly int _poll = Libc.NewPoll();
    private readonly Action<int> _read;
    private readonly Thread _thread;
    private volatile bool _ends;

    /// <param name="read">Gets the number of a socket that has something to read, or has ended, in this loop's thread.</param>
    public WatchLoop(int number, Action<int> read)
    {
        _read = read;
        _thread = new(Run) { IsBackground = true, Name = $"bench loop {number}" };
        _thread.Start();
    }

    /// <summary>For whatever is done with it before the next socket.</summary>
    public byte* Buffer { get; } = (byte*)NativeMemory.Alloc(BufferBytes);

    public void Add(int number, int fd)
    {
        var item = stackalloc byte[16];
        *(uint*)item = Libc.In;
        *(ulong*)(item + NumberAt) = (uint)number;
        if (Libc.Register(_poll, Libc.New, fd, item) is var error and < 0) throw new IOException($"a socket can not be waited for: error {-error}");
    }

    public void Remove(int fd) => Libc.Remove(_poll, fd);

    public void Dispose()
    {
        _ends = true;
        _thread.Join();
        Libc.Close(_poll);
        NativeMemory.Free(Buffer);
    }

    // struct epoll_event is packed on x86-64 alone.
    private static int NumberAt => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

    private void Run()
    {
        var stride = NumberAt + sizeof(ulong);
        var events = stackalloc byte[EventsMax * 16];
        while (!_ends)
        {
            int count;
            do
            {
                count = Libc.Wait(_poll, events, EventsMax, 0);
                for (var i = 0; i < count; i++) _read((int)*(ulong*)(events + i * stride + NumberAt));
            }
            while (count == EventsMax);
            Thread.Sleep(NapMilliseconds);
        }
    }
}
