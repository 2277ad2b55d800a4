using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>The calls of libc that the event loop lives on. Constants are Linux', equal on x86-64 and arm64.</summary>
internal static unsafe class Libc
{
    public const int Interrupted = 4; // EINTR
    public const int Again = 11; // EAGAIN
    private const int InProgress = 115; // EINPROGRESS

    public const uint In = 0x1; // EPOLLIN
    public const uint Out = 0x4; // EPOLLOUT
    public const uint Error = 0x8; // EPOLLERR
    public const uint HangUp = 0x10; // EPOLLHUP
    public const uint PeerEnded = 0x2000; // EPOLLRDHUP
    public const uint Edge = 1u << 31; // EPOLLET

    public const int New = 1; // EPOLL_CTL_ADD
    private const int Gone = 2; // EPOLL_CTL_DEL
    public const int Change = 3; // EPOLL_CTL_MOD

    private const int Peek = 0x2; // MSG_PEEK
    private const int Truncate = 0x20; // MSG_TRUNC: on TCP bytes are thrown away without a copy
    private const int DontWait = 0x40; // MSG_DONTWAIT
    private const int NoSignal = 0x4000; // MSG_NOSIGNAL
    private const int More = 0x8000; // MSG_MORE

    private const int CloseOnExec = 0x80000; // SOCK_CLOEXEC, EPOLL_CLOEXEC, EFD_CLOEXEC
    private const int NonBlocking = 0x800; // SOCK_NONBLOCK, EFD_NONBLOCK
    private const int StreamSocket = 1; // SOCK_STREAM
    private const int InterNetwork = 2; // AF_INET
    private const int InterNetworkV6 = 10; // AF_INET6
    private const int TcpLevel = 6; // IPPROTO_TCP
    private const int NoDelay = 1; // TCP_NODELAY
    private const int SocketLevel = 1; // SOL_SOCKET
    private const int ErrorOption = 4; // SO_ERROR
    private const int LingerOption = 13; // SO_LINGER
    private const int WriteSide = 1; // SHUT_WR

    /// <summary>The same numbers of bytes, errors below zero.</summary>
    public static int Receive(int fd, byte* buffer, int count) => Checked(recv(fd, buffer, (nuint)count, DontWait));

    /// <summary>What lies there stays there.</summary>
    public static int Look(int fd, byte* buffer, int count) => Checked(recv(fd, buffer, (nuint)count, DontWait | Peek));

    /// <summary>Takes away what has been looked at.</summary>
    public static int Discard(int fd, int count) => Checked(recv(fd, null, (nuint)count, DontWait | Truncate));

    /// <param name="more">Another piece follows at once.</param>
    public static int Send(int fd, byte* buffer, int count, bool more = false) => Checked(send(fd, buffer, (nuint)count, DontWait | NoSignal | (more ? More : 0)));

    /// <summary>A socket that connects, or has connected.</summary>
    /// <returns>The descriptor, or the error below zero; -EINPROGRESS is none.</returns>
    public static int Connect(SocketAddress address, out bool done)
    {
        done = false;
        var fd = socket(address.Family == AddressFamily.InterNetworkV6 ? InterNetworkV6 : InterNetwork, StreamSocket | CloseOnExec | NonBlocking, TcpLevel);
        if (fd < 0) return -Marshal.GetLastPInvokeError();
        var on = 1;
        setsockopt(fd, TcpLevel, NoDelay, &on, sizeof(int));
        int result;
        fixed (byte* bytes = address.Buffer.Span) result = connect(fd, bytes, (uint)address.Size);
        done = result == 0;
        if (done || Marshal.GetLastPInvokeError() is InProgress) return fd;
        var error = Marshal.GetLastPInvokeError();
        close(fd);
        return -error;
    }

    /// <summary>What became of the connect: 0 = it is there.</summary>
    public static int ConnectError(int fd)
    {
        int error;
        uint size = sizeof(int);
        return getsockopt(fd, SocketLevel, ErrorOption, &error, &size) == 0 ? error : Marshal.GetLastPInvokeError();
    }

    /// <summary>The other side reads the end once it has read everything before it.</summary>
    public static void EndSending(int fd) => shutdown(fd, WriteSide);

    /// <summary>The other side learns of a reset when the descriptor is closed.</summary>
    public static void ResetOnClose(int fd)
    {
        var linger = stackalloc int[] { 1, 0 };
        setsockopt(fd, SocketLevel, LingerOption, linger, 2 * sizeof(int));
    }

    public static void Close(int fd) => close(fd);

    public static int NewPoll() => Opened(epoll_create1(CloseOnExec));

    public static int NewBell() => Opened(eventfd(0, CloseOnExec | NonBlocking));

    public static void Ring(int bell)
    {
        ulong one = 1;
        write(bell, &one, sizeof(ulong));
    }

    public static void Silence(int bell)
    {
        ulong count;
        read(bell, &count, sizeof(ulong));
    }

    /// <returns>0, or the error below zero.</returns>
    public static int Register(int poll, int operation, int fd, void* item) => epoll_ctl(poll, operation, fd, item) == 0 ? 0 : -Marshal.GetLastPInvokeError();

    public static void Remove(int poll, int fd) => epoll_ctl(poll, Gone, fd, null);

    public static int Wait(int poll, void* events, int count, int milliseconds)
    {
        var got = epoll_wait(poll, events, count, milliseconds);
        return got >= 0 ? got : -Marshal.GetLastPInvokeError();
    }

    private static int Checked(nint result) => result >= 0 ? (int)result : -Marshal.GetLastPInvokeError();

    private static int Opened(int fd) => fd >= 0 ? fd : throw new IOException($"no descriptor for the event loop: error {Marshal.GetLastPInvokeError()}");

    [DllImport("libc", SetLastError = true)]
    private static extern nint recv(int fd, byte* buffer, nuint length, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern nint send(int fd, byte* buffer, nuint length, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int socket(int domain, int type, int protocol);

    [DllImport("libc", SetLastError = true)]
    private static extern int connect(int fd, byte* address, uint length);

    [DllImport("libc", SetLastError = true)]
    private static extern int setsockopt(int fd, int level, int name, void* value, uint length);

    [DllImport("libc", SetLastError = true)]
    private static extern int getsockopt(int fd, int level, int name, void* value, uint* length);

    [DllImport("libc")]
    private static extern int shutdown(int fd, int how);

    [DllImport("libc")]
    private static extern int close(int fd);

    [DllImport("libc", SetLastError = true)]
    private static extern int epoll_create1(int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int epoll_ctl(int poll, int operation, int fd, void* item);

    [DllImport("libc", SetLastError = true)]
    private static extern int epoll_wait(int poll, void* events, int count, int milliseconds);

    [DllImport("libc", SetLastError = true)]
    private static extern int eventfd(uint initial, int flags);

    [DllImport("libc")]
    private static extern nint read(int fd, void* buffer, nuint length);

    [DllImport("libc")]
    private static extern nint write(int fd, void* buffer, nuint length);
}
