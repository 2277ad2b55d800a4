using System.Runtime.InteropServices;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>The few calls of libc that .NET does not offer. Constants are Linux', equal on x86-64 and arm64.</summary>
internal static class Posix
{
    public const int SigInt = 2;
    public const int SigKill = 9;
    public const int SigPipe = 13;
    public const int SigTerm = 15;

    public const int NoSuchProcess = 3;
    public const int NoChild = 10;

    public const int InputOutputError = 5;
    public const int Again = 11;
    public const int Interrupted = 4;

    public const int OpenWrite = 0x1;
    public const int OpenReadWrite = 0x2;
    public const int OpenNoTerminal = 0x100;
    public const int OpenCreate = 0x40;
    public const int OpenTruncate = 0x200;
    public const int OpenAppend = 0x400;

    public const short SpawnSetSignalMask = 0x08;
    public const short SpawnSetSignalDefault = 0x04;
    public const short SpawnSetSession = 0x80;

    public const int WorkingDirectory = -100;
    public const int StatXBytes = 256;
    public const uint StatXBasic = 0x7ff;
    public const int SetDescriptorFlags = 2;
    public const int DescriptorCloseOnExec = 1;

    public const int PollIn = 1;
    public const int PollOut = 4;
    public const int SetStatusFlags = 4;
    public const int NonBlocking = 0x800;
    public const nuint SetWindowSize = 0x5414; // TIOCSWINSZ
    public const int TerminalNameBytesMax = 64;
    public const int EdgeTriggered = 1 << 31;
    public const int EpollAdd = 1;
    public const int EpollDelete = 2;
    public const int CloseOnExec = 0x80000;
    public const int WaitNoHang = 1;

    // The opaque structures of glibc are 336 (attributes), 80 (file actions) and 128 (signal set) bytes; musl's are no larger.
    public const int SpawnAttributesBytes = 512;
    public const int SpawnFileActionsBytes = 256;
    public const int SignalSetBytes = 128;

    // pidfd_open has one number on every architecture (Linux 5.3).
    private const long SyscallPidFdOpen = 434;

    // pidfd_getfd too (Linux 5.6).
    private const long SyscallPidFdGetFd = 438;

    public static int PidFdOpen(int pid) => (int)Syscall(SyscallPidFdOpen, pid, 0);

    /// <summary>Another process' open file as our own, close-on-exec; negative where the kernel does not allow it.</summary>
    public static int PidFdGet(int pidFd, int descriptor) => (int)Syscall(SyscallPidFdGetFd, pidFd, descriptor, 0);

    [DllImport("libc", EntryPoint = "posix_spawn")]
    public static extern int Spawn(out int pid, string path, nint fileActions, nint attributes, nint[] argv, nint[] envp);

    [DllImport("libc", EntryPoint = "posix_spawnattr_init")]
    public static extern int SpawnAttributesInit(nint attributes);

    [DllImport("libc", EntryPoint = "posix_spawnattr_destroy")]
    public static extern int SpawnAttributesDestroy(nint attributes);

    [DllImport("libc", EntryPoint = "posix_spawnattr_setflags")]
    public static extern int SpawnAttributesSetFlags(nint attributes, short flags);

    [DllImport("libc", EntryPoint = "posix_spawnattr_setsigdefault")]
    public static extern int SpawnAttributesSetSignalDefault(nint attributes, nint signals);

    [DllImport("libc", EntryPoint = "posix_spawnattr_setsigmask")]
    public static extern int SpawnAttributesSetSignalMask(nint attributes, nint signals);

    [DllImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    public static extern int FileActionsInit(nint actions);

    [DllImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    public static extern int FileActionsDestroy(nint actions);

    [DllImport("libc", EntryPoint = "posix_spawn_file_actions_addopen")]
    public static extern int FileActionsAddOpen(nint actions, int fd, string path, int flags, uint mode);

    [DllImport("libc", EntryPoint = "posix_spawn_file_actions_addchdir_np")]
    public static extern int FileActionsAddChangeDirectory(nint actions, string path);

    [DllImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    public static extern int FileActionsAddDuplicate(nint actions, int from, int to);

    [DllImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    public static extern int Pipe([Out] int[] ends, int flags);

    [DllImport("libc", EntryPoint = "read", SetLastError = true)]
    public static extern nint Read(int fd, byte[] bytes, nint count);

    [DllImport("libc", EntryPoint = "write", SetLastError = true)]
    public static extern nint Write(int fd, in byte first, nint count);

    [DllImport("libc", EntryPoint = "poll", SetLastError = true)]
    public static extern int Poll([In, Out] PollDescriptor[] descriptors, nuint count, int timeoutMilliseconds);

    [DllImport("libc", EntryPoint = "posix_openpt", SetLastError = true)]
    public static extern int OpenTerminal(int flags);

    [DllImport("libc", EntryPoint = "grantpt", SetLastError = true)]
    public static extern int GrantTerminal(int fd);

    [DllImport("libc", EntryPoint = "unlockpt", SetLastError = true)]
    public static extern int UnlockTerminal(int fd);

    [DllImport("libc", EntryPoint = "ptsname_r", SetLastError = true)]
    public static extern int TerminalName(int fd, byte[] name, nint bytes);

    [DllImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static extern int Control(int fd, nuint request, in WindowSize size);

    [DllImport("libc", EntryPoint = "sigfillset")]
    public static extern int SignalSetFill(nint set);

    [DllImport("libc", EntryPoint = "sigemptyset")]
    public static extern int SignalSetEmpty(nint set);

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static extern int Kill(int pid, int signal);

    [DllImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    public static extern int WaitPid(int pid, out int status, int options);

    [DllImport("libc", EntryPoint = "close")]
    public static extern int Close(int fd);

    [DllImport("libc", EntryPoint = "fcntl")]
    public static extern int FileControl(int fd, int command, nint argument);

    [DllImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static extern int EpollCreate(int flags);

    [DllImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static extern int EpollControl(int epoll, int operation, int fd, byte[]? change);

    [DllImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static extern int EpollWait(int epoll, byte[] events, int eventsMax, int timeoutMilliseconds);

    [DllImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static extern int EventFd(uint initial, int flags);

    [DllImport("libc", EntryPoint = "write", SetLastError = true)]
    public static extern nint Write(int fd, byte[] bytes, nint count);

    [DllImport("libc", EntryPoint = "access")]
    public static extern int Access(string path, int mode);

    /// <summary>Fills a struct statx, whose layout is the same on every architecture (glibc 2.28).</summary>
    [DllImport("libc", EntryPoint = "statx", SetLastError = true)]
    public static extern int StatX(int directory, string path, int flags, uint mask, byte[] result);

    [DllImport("libc", EntryPoint = "strerror")]
    private static extern nint ErrorText(int error);

    [DllImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static extern long Syscall(long number, long first, long second);

    [DllImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static extern long Syscall(long number, long first, long second, long third);

    /// <summary>struct pollfd.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PollDescriptor
    {
        public int Descriptor;
        public short Wanted;
        public short Seen;
    }

    /// <summary>struct winsize; the pixels are nobody's business.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct WindowSize
    {
        public ushort Rows;
        public ushort Columns;
        public ushort HorizontalPixels;
        public ushort VerticalPixels;
    }

    public static string Describe(int error) => Marshal.PtrToStringUTF8(ErrorText(error)) ?? $"error {error}";
}
