using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>
/// One thread that carries many sockets: it waits for all of them at once (epoll, edge-triggered) and calls whoever's socket has news. Everything
/// that belongs to a loop is touched by its thread alone.
/// </summary>
internal sealed unsafe class EventLoop : IDisposable
{
    /// <summary>Bytes that are read at once; large enough that a transfer is not made of system calls, small enough for a processor's cache.</summary>
    public const int BufferBytes = 128 * 1024;
    private const int EventsMax = 256;

    /// <summary>Of TLS, in one turn: one costs up to a millisecond, and all other connections of the loop wait for it.</summary>
    private const int HandshakeStepsMax = 16;

    /// <summary>Of those that go last, between two looks for others.</summary>
    private const int LastAtOnce = 4;

    /// <summary>Deadlines are looked at no more often than this: all of them are.</summary>
    private const int LookMilliseconds = 100;

    private readonly int _poll = Libc.NewPoll();
    private readonly int _bell = Libc.NewBell();
    private readonly ConcurrentQueue<Action> _posts = new();
    private readonly Queue<Handler> _again = new();
    private readonly Queue<Handler> _handshakes = new();
    private readonly Queue<(Handler Handler, bool IsAgain)> _last = new();
    private readonly Action<Exception> _failed;
    private readonly Thread _thread;

    /// <summary>By slot; a slot is used again with the next generation, so that an event that is late finds nobody.</summary>
    private Handler?[] _handlers = new Handler?[1024];
    private uint[] _generations = new uint[1024];
    private readonly Stack<int> _free = new();
    private int _used = 1; // 0 is the bell
    private int _sleeping;
    private bool _ended;

    /// <summary>No deadline is before it.</summary>
    private long _due = long.MaxValue;

    /// <param name="failed">Is told of what a handler has thrown; its socket is closed.</param>
    public EventLoop(int number, Action<Exception> failed)
    {
        _failed = failed;
        Register(_bell, 0, 0, Libc.In | Libc.Edge);
        Pool = new(this);
        _thread = new(Run) { IsBackground = true, Name = $"lb loop {number}" };
        _thread.Start();
    }

    public static bool IsSupported => OperatingSystem.IsLinux() && nint.Size == 8;

    /// <summary>For whatever a handler does before it returns.</summary>
    public byte* Buffer { get; } = (byte*)NativeMemory.Alloc(BufferBytes);

    /// <summary>Room for a head and what is sent together with it.</summary>
    public byte* Outgoing { get; } = (byte*)NativeMemory.Alloc(BufferBytes);

    public UpstreamPool Pool { get; }

    /// <summary>Milliseconds of a monotonic clock, as of the last wake-up.</summary>
    public long Now { get; private set; } = Environment.TickCount64;

    /// <summary>Runs it on the loop's thread.</summary>
    public void Post(Action action)
    {
        _posts.Enqueue(action);
        if (Interlocked.Exchange(ref _sleeping, 0) == 1) Libc.Ring(_bell);
    }

    /// <summary>News of the socket, from now on.</summary>
    /// <param name="events">Which; without it all of them, each told once.</param>
    /// <returns>False where the kernel has no room.</returns>
    public bool Add(Handler handler, uint events = Libc.In | Libc.Out | Libc.PeerEnded | Libc.Edge)
    {
        if (!_free.TryPop(out var slot))
        {
            if (_used == _handlers.Length)
            {
                Array.Resize(ref _handlers, _used * 2);
                Array.Resize(ref _generations, _used * 2);
            }
            slot = _used++;
        }
        _handlers[slot] = handler;
        (handler.Loop, handler.Slot) = (this, slot);
        Due(handler.Deadline);
        if (Register(handler.Fd, slot, _generations[slot], events) == 0) return true;
        Free(handler);
        return false;
    }

    /// <summary>No news of the socket any longer; it stays open.</summary>
    public void Remove(Handler handler)
    {
        if (handler.Slot == 0) return;
        Libc.Remove(_poll, handler.Fd);
        Free(handler);
    }

    /// <summary>Other news than before; 0 = none for now.</summary>
    public void Watch(Handler handler, uint events)
    {
        if (handler.Slot != 0) Register(handler.Fd, handler.Slot, _generations[handler.Slot], events, Libc.Change);
    }

    /// <summary>As <see cref="Remove"/>, of a socket that is closed: its descriptor may be somebody else's by now.</summary>
    public void Forget(Handler handler)
    {
        if (handler.Slot != 0) Free(handler);
    }

    /// <summary>Calls the handler again after the others have had their turn.</summary>
    public void Again(Handler handler)
    {
        if (!handler.GoesLast) _again.Enqueue(handler);
        else if (!handler.IsLastAgain)
        {
            handler.IsLastAgain = true;
            _last.Enqueue((handler, true));
        }
    }

    /// <summary>As <see cref="Again"/>, for a step of a handshake: in this turn or, where there are many, in a later one.</summary>
    public void AgainForHandshake(Handler handler) => _handshakes.Enqueue(handler);

    /// <summary>A deadline.</summary>
    public void Due(long at)
    {
        if (at < _due) _due = at;
    }

    /// <summary>Every handler; from the loop's thread.</summary>
    public IReadOnlyList<Handler> All() => [.. _handlers.Take(_used).OfType<Handler>()];

    public void Dispose()
    {
        Post(() => _ended = true);
        _thread.Join();
        Libc.Close(_bell);
        Libc.Close(_poll);
        NativeMemory.Free(Buffer);
        NativeMemory.Free(Outgoing);
    }

    private void Free(Handler handler)
    {
        _handlers[handler.Slot] = null;
        _generations[handler.Slot]++;
        _free.Push(handler.Slot);
        (handler.Slot, handler.Kept) = (0, 0);
    }

    private int Register(int fd, int slot, uint generation, uint events, int operation = Libc.New)
    {
        // struct epoll_event is packed on x86-64 alone.
        var item = stackalloc byte[16];
        *(uint*)item = events;
        *(ulong*)(item + DataOffset) = (ulong)generation << 32 | (uint)slot;
        return Libc.Register(_poll, operation, fd, item);
    }

    private static int DataOffset => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

    private void Run()
    {
        var stride = DataOffset + sizeof(ulong);
        var events = stackalloc byte[EventsMax * 16];
        var nextLook = Now;
        while (!_ended)
        {
            // Asleep for as long as nothing is due.
            var wait = _again.Count > 0 || _handshakes.Count > 0 || _last.Count > 0 ? 0 : _due == long.MaxValue ? -1 : (int)Math.Clamp(Math.Max(_due, nextLook) - Now, 0, int.MaxValue);
            if (wait != 0)
            {
                Volatile.Write(ref _sleeping, 1);
                Interlocked.MemoryBarrier();
                if (!_posts.IsEmpty) wait = 0;
            }
            var count = Libc.Wait(_poll, events, EventsMax, wait);
            Volatile.Write(ref _sleeping, 0);
            Now = Environment.TickCount64;
            for (var i = 0; i < count; i++)
            {
                var item = events + i * stride;
                var data = *(ulong*)(item + DataOffset);
                var slot = (int)(uint)data;
                if (slot == 0) Libc.Silence(_bell);
                else if (_generations[slot] == (uint)(data >> 32) && _handlers[slot] is { } handler) Tell(handler, *(uint*)item);
            }
            for (var left = _again.Count; left > 0; left--)
            {
                var handler = _again.Dequeue();
                if (handler.Slot != 0) Call(handler, 0);
            }
            for (var left = Math.Min(_handshakes.Count, HandshakeStepsMax); left > 0; left--)
            {
                var handler = _handshakes.Dequeue();
                if (handler.Slot != 0) Call(handler, 0);
            }
            while (_posts.TryDequeue(out var post)) post();
            for (var left = Math.Min(_last.Count, LastAtOnce); left > 0; left--) CallLast();
            if (Now < _due || Now < nextLook) continue;
            nextLook = Now + LookMilliseconds;
            Look();
        }
    }

    private void Look()
    {
        _due = long.MaxValue;
        for (var slot = 1; slot < _used; slot++)
        {
            if (_handlers[slot] is not { } handler) continue;
            if (handler.Deadline <= Now) Late(handler);
            if (handler.Slot == slot) Due(handler.Deadline);
        }
    }

    /// <summary>At once, or last; whatever is kept comes no later than what is new.</summary>
    private void Tell(Handler handler, uint events)
    {
        var kept = handler.Kept;
        if (handler.GoesLast)
        {
            handler.Kept = kept | events;
            if (kept == 0) _last.Enqueue((handler, false));
            return;
        }
        handler.Kept = 0;
        Call(handler, kept | events);
    }

    private void CallLast()
    {
        var (handler, isAgain) = _last.Dequeue();
        var events = 0u;
        if (isAgain) handler.IsLastAgain = false;
        else (events, handler.Kept) = (handler.Kept, 0);
        if (handler.Slot != 0 && (isAgain || events != 0)) Call(handler, events);
    }

    /// <summary>The bulkhead of one connection.</summary>
    private void Call(Handler handler, uint events)
    {
        try
        {
            handler.News(events);
        }
        catch (Exception e)
        {
            _failed(e);
            handler.Break();
        }
    }

    private void Late(Handler handler)
    {
        try
        {
            handler.Late();
        }
        catch (Exception e)
        {
            _failed(e);
            handler.Break();
        }
    }
}

/// <summary>Whoever a socket of a loop belongs to. Called by the loop's thread alone.</summary>
internal abstract class Handler
{
    public int Fd { get; protected set; } = -1;

    /// <summary>Set by the loop; 0 = not there.</summary>
    public int Slot { get; set; }

    /// <summary>Set by the loop, with the slot.</summary>
    public EventLoop? Loop { private get; set; }

    /// <summary>In the loop's time; <see cref="Late"/> is called when it has passed.</summary>
    public long Deadline
    {
        get;
        set
        {
            field = value;
            Loop?.Due(value);
        }
    } = long.MaxValue;

    /// <summary>In the middle of much to pass on: others that have news are called first.</summary>
    public virtual bool GoesLast => false;

    /// <summary>The loop's: news that wait for the turn of those that go last.</summary>
    public uint Kept { get; set; }

    /// <summary>The loop's: it is called again among those that go last.</summary>
    public bool IsLastAgain { get; set; }

    /// <param name="events">Of epoll; 0 = called again as the handler has asked.</param>
    public abstract void News(uint events);

    public abstract void Late();

    /// <summary>Ends everything at once, in whatever state it is.</summary>
    public abstract void Break();
}
