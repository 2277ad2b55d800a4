using System.Runtime.InteropServices;

namespace Declarative.Dns.Server;

/// <summary>
/// A batch of packets in unmanaged memory, received and sent with one system call each: recvmmsg(2) and sendmmsg(2). The structures are those
/// of 64-bit Linux. Used by one thread.
/// </summary>
internal sealed unsafe class LinuxBatch : IDisposable
{
    public const int Interrupted = 4; // EINTR
    public const int Again = 11; // EAGAIN
    private const int WaitForOne = 0x10000; // MSG_WAITFORONE
    private const int TruncatedFlag = 0x20; // MSG_TRUNC
    private const int AddressSize = 128; // sockaddr_storage
    private const int ControlSize = 64; // a struct cmsghdr of 16 bytes and a struct in_pktinfo or in6_pktinfo
    private const int InterfaceOffset = 16; // in_pktinfo.ipi_ifindex
    private const int QuerySize = DnsLimits.QueryBytesMax;
    private const int AnswerSize = Answer.UdpSizeMax;

    private readonly int socket;
    private readonly int count;
    private readonly int controlSize;
    private readonly byte* queries;
    private readonly byte* answers;
    private readonly byte* addresses;
    private readonly IoVector* vectors;
    private readonly byte* controls;
    private readonly MessageHeader* received;
    private readonly MessageHeader* sent;
    private int pending;

    public static bool IsSupported => OperatingSystem.IsLinux() && nint.Size == 8;

    /// <param name="socket">A bound UDP socket's descriptor, blocking, with a receive timeout.</param>
    /// <param name="count">Packets per call.</param>
    /// <param name="manyAddresses">
    /// The socket is bound to the wildcard and asks for the packets' destinations (IP_PKTINFO): an answer leaves from the address that the
    /// query came to.
    /// </param>
    public LinuxBatch(int socket, int count, bool manyAddresses)
    {
        this.socket = socket;
        this.count = count;
        controlSize = manyAddresses ? ControlSize : 0;
        controls = (byte*)NativeMemory.AllocZeroed((nuint)(count * ControlSize));
        queries = (byte*)NativeMemory.Alloc((nuint)(count * QuerySize));
        answers = (byte*)NativeMemory.Alloc((nuint)(count * AnswerSize));
        addresses = (byte*)NativeMemory.Alloc((nuint)(count * AddressSize));
        vectors = (IoVector*)NativeMemory.AllocZeroed((nuint)(2 * count * sizeof(IoVector)));
        received = (MessageHeader*)NativeMemory.AllocZeroed((nuint)(count * sizeof(MessageHeader)));
        sent = (MessageHeader*)NativeMemory.AllocZeroed((nuint)(count * sizeof(MessageHeader)));
        for (var i = 0; i < count; i++)
        {
            vectors[i] = new IoVector { Base = queries + i * QuerySize, Length = QuerySize };
            vectors[count + i] = new IoVector { Base = answers + i * AnswerSize };
            received[i] = new MessageHeader { Name = addresses + i * AddressSize, Vector = vectors + i, VectorLength = 1, Control = controls + i * ControlSize };
            sent[i] = new MessageHeader { Vector = vectors + count + i, VectorLength = 1 };
        }
    }

    /// <summary>Waits for packets; the number received, or the negative error number.</summary>
    public int Receive()
    {
        for (var i = 0; i < count; i++)
        {
            received[i].NameLength = AddressSize;
            received[i].ControlLength = (nuint)controlSize;
        }
        pending = 0;
        var got = recvmmsg(socket, received, (uint)count, WaitForOne, null);
        return got >= 0 ? got : -Marshal.GetLastPInvokeError();
    }

    /// <summary>A received packet; empty if it was longer than any query may be.</summary>
    public ReadOnlySpan<byte> Query(int index) =>
        (received[index].Flags & TruncatedFlag) != 0 ? default : new(queries + index * QuerySize, (int)received[index].Received);

    /// <summary>Where the next answer goes.</summary>
    public Span<byte> AnswerBuffer => new(answers + pending * AnswerSize, AnswerSize);

    /// <summary>Puts the answer in <see cref="AnswerBuffer"/> in line, for the sender of a query.</summary>
    public void Add(int query, int length)
    {
        sent[pending].Vector->Length = (nuint)length;
        sent[pending].Name = received[query].Name;
        sent[pending].NameLength = received[query].NameLength;
        sent[pending].Control = received[query].Control;
        sent[pending].ControlLength = received[query].ControlLength;
        // For IPv4 the local address alone says where from; the interface is for routing to choose.
        if (received[query].ControlLength > 0 && *(int*)(received[query].Control + 8) == 0)
            *(int*)(received[query].Control + InterfaceOffset) = 0;
        pending++;
    }

    /// <summary>Sends all answers in line; returns how many the kernel refused.</summary>
    public int Send()
    {
        int at = 0, refused = 0;
        while (at < pending)
        {
            var done = sendmmsg(socket, sent + at, (uint)(pending - at), 0);
            if (done > 0)
            {
                at += done;
                continue;
            }
            if (Marshal.GetLastPInvokeError() == Interrupted)
                continue;
            // The first one was refused (no route, no memory): it is lost like any packet, the others go on.
            refused++;
            at++;
        }
        return refused;
    }

    public void Dispose()
    {
        NativeMemory.Free(queries);
        NativeMemory.Free(answers);
        NativeMemory.Free(addresses);
        NativeMemory.Free(vectors);
        NativeMemory.Free(controls);
        NativeMemory.Free(received);
        NativeMemory.Free(sent);
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int recvmmsg(int socket, MessageHeader* messages, uint count, int flags, void* timeout);

    [DllImport("libc", SetLastError = true)]
    private static extern int sendmmsg(int socket, MessageHeader* messages, uint count, int flags);

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        public byte* Base;
        public nuint Length;
    }

    /// <summary>struct mmsghdr: a struct msghdr of 56 bytes and the number of bytes received or sent.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 64)]
    private struct MessageHeader
    {
        [FieldOffset(0)] public byte* Name;
        [FieldOffset(8)] public uint NameLength;
        [FieldOffset(16)] public IoVector* Vector;
        [FieldOffset(24)] public nuint VectorLength;
        [FieldOffset(32)] public byte* Control;
        [FieldOffset(40)] public nuint ControlLength;
        [FieldOffset(48)] public int Flags;
        [FieldOffset(56)] public uint Received;
    }
}
