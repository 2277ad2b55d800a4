using System.Runtime.InteropServices;

namespace Declarative.ApiServer.Http.Transport;

/// <summary>The calls of libc that wait for many sockets at once. Constants are Linux', equal on x86-64 and arm64.</summary>
internal static class Epoll
{
    public const uint In = 0x1; // EPOLLIN
    public const uint Out = 0x4; // EPOLLOUT
    public const uint PeerEnded = 0x2000; // EPOLLRDHUP
    public const uint Edge = 1u << 31; // EPOLLET
    private const int Add = 1; // EPOLL_CTL_ADD
    private const int CloseOnExec = 0x80000; // EPOLL_CLOEXEC, EFD_CLOEXEC
    private const int NonBlocking = 0x800; // EFD_NONBLOCK
    private const int Interrupted = 4; // EINTR

    public static bool IsSupported => OperatingSystem.IsLinux() && nint.Size == 8;

    // struct epoll_event is packed on x86-64 alone.
    private static int DataOffset => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

    public static int Stride => DataOffset + sizeof(long);

    public static int NewPoll() => Opened(epoll_create1(CloseOnExec));

    public static int NewBell() => Opened(eventfd(0, CloseOnExec | NonBlocking));

    public static void Ring(int bell)
    {
        var one = 1L;
        write(bell, ref one, sizeof(long));
    }

    public static void Silence(int bell)
    {
        var count = 0L;
        read(bell, ref count, sizeof(long));
    }

    /// <summary>From now on news of a descriptor come with its number; it ends when the descriptor is closed.</summary>
    public static void Register(int poll, int fd, long number, uint events)
    {
        Span<byte> item = stackalloc byte[16];
        MemoryMarshal.Write(item, events);
        MemoryMarshal.Write(item[DataOffset..], number);
        if (epoll_ctl(poll, Add, fd, ref item[0]) != 0) throw Failed();
    }

    /// <summary>Returns how many events stand in <paramref name="events"/>.</summary>
    /// <param name="waits">Until there is news.</param>
    public static int Wait(int poll, Span<byte> events, bool waits)
    {
        var count = epoll_wait(poll, ref events[0], events.Length / Stride, waits ? -1 : 0);
        return count >= 0 ? count : Marshal.GetLastPInvokeError() == Interrupted ? 0 : throw Failed();
    }

    public static (long Number, uint Events) At(ReadOnlySpan<byte> events, int index)
    {
        var item = events[(index * Stride)..];
        return (MemoryMarshal.Read<long>(item[DataOffset..]), MemoryMarshal.Read<uint>(item));
    }

    public static void Close(int fd) => close(fd);

    private static int Opened(int fd) => fd >= 0 ? fd : throw Failed();

    private static IOException Failed() => new($"the event loop of the connections: error {Marshal.GetLastPInvokeError()}");

    [DllImport("libc", SetLastError = true)]
    private static extern int epoll_create1(int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int epoll_ctl(int poll, int operation, int fd, ref byte item);

    [DllImport("libc", SetLastError = true)]
    private static extern int epoll_wait(int poll, ref byte events, int count, int milliseconds);

    [DllImport("libc", SetLastError = true)]
    private static extern int eventfd(uint initial, int flags);

    [DllImport("libc")]
    private static extern nint read(int fd, ref long buffer, nuint length);

    [DllImport("libc")]
    private static extern nint write(int fd, ref long buffer, nuint length);

    [DllImport("libc")]
    private static extern int close(int fd);
}
