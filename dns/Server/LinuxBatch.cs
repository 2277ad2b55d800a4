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
    private const int InterNetwork = 2; // AF_INET
    private const int TruncatedFlag = 0x20; // MSG_TRUNC
    private const int AddressSize = 128; // sockaddr_storage
    private const int ControlSize = 64; // a struct cmsghdr of 16 bytes and a struct in_pktinfo or in6_pktinfo
    private const int InterfaceOffset = 16; // in_pktinfo.ipi_ifindex
    private const int QuerySize = DnsLimits.QueryBytesMax;
    private const int AnswerSize = Answer.UdpSizeMax;

    private readonly int _socket;
    private readonly int _count;
    private readonly int _controlSize;
    private readonly byte* _queries;
    private readonly byte* _answers;
    private readonly byte* _addresses;
    private readonly IoVector* _vectors;
    private readonly byte* _controls;
    private readonly MessageHeader* _received;
    private readonly MessageHeader* _sent;
    private int _pending;

    public static bool IsSupported => OperatingSystem.IsLinux() && nint.Size == 8;

    /// <param name="socket">A bound UDP socket's descriptor, blocking, with a receive timeout.</param>
    /// <param name="count">Packets per call.</param>
    /// <param name="manyAddresses">
    /// The socket is bound to the wildcard and asks for the packets' destinations (IP_PKTINFO): an answer leaves from the address that the
    /// query came to.
    /// </param>
    public LinuxBatch(int socket, int count, bool manyAddresses)
    {
        _socket = socket;
        _count = count;
        _controlSize = manyAddresses ? ControlSize : 0;
        _controls = (byte*)NativeMemory.AllocZeroed((nuint)(_count * ControlSize));
        _queries = (byte*)NativeMemory.Alloc((nuint)(_count * QuerySize));
        _answers = (byte*)NativeMemory.Alloc((nuint)(_count * AnswerSize));
        _addresses = (byte*)NativeMemory.Alloc((nuint)(_count * AddressSize));
        _vectors = (IoVector*)NativeMemory.AllocZeroed((nuint)(2 * _count * sizeof(IoVector)));
        _received = (MessageHeader*)NativeMemory.AllocZeroed((nuint)(_count * sizeof(MessageHeader)));
        _sent = (MessageHeader*)NativeMemory.AllocZeroed((nuint)(_count * sizeof(MessageHeader)));
        for (var i = 0; i < _count; i++)
        {
            _vectors[i] = new IoVector { Base = _queries + i * QuerySize, Length = QuerySize };
            _vectors[_count + i] = new IoVector { Base = _answers + i * AnswerSize };
            _received[i] = new MessageHeader { Name = _addresses + i * AddressSize, Vector = _vectors + i, VectorLength = 1, Control = _controls + i * ControlSize };
            _sent[i] = new MessageHeader { Vector = _vectors + _count + i, VectorLength = 1 };
        }
    }

    /// <summary>Waits for packets; the number received, or the negative error number.</summary>
    public int Receive()
    {
        for (var i = 0; i < _count; i++)
        {
            _received[i].NameLength = AddressSize;
            _received[i].ControlLength = (nuint)_controlSize;
        }
        _pending = 0;
        var got = recvmmsg(_socket, _received, (uint)_count, WaitForOne, null);
        return got >= 0 ? got : -Marshal.GetLastPInvokeError();
    }

    /// <summary>A received packet; empty if it was longer than any query may be.</summary>
    public ReadOnlySpan<byte> Query(int index) =>
        (_received[index].Flags & TruncatedFlag) != 0 ? default : new(_queries + index * QuerySize, (int)_received[index].Received);

    /// <summary>The sender's address, 4 or 16 bytes (struct sockaddr_in, sockaddr_in6).</summary>
    public ReadOnlySpan<byte> Client(int index)
    {
        var address = _received[index].Name;
        return *(ushort*)address == InterNetwork ? new(address + 4, 4) : new(address + 8, 16);
    }

    /// <summary>All that is needed to answer a query later, from another thread.</summary>
    public LaterAnswer Later(int index)
    {
        ref var received = ref _received[index];
        var control = new ReadOnlySpan<byte>(received.Control, (int)received.ControlLength).ToArray();
        if (control.Length > 0 && BitConverter.ToInt32(control, 8) == 0)
            control.AsSpan(InterfaceOffset, 4).Clear();
        return new LaterAnswer(_socket, new ReadOnlySpan<byte>(received.Name, (int)received.NameLength).ToArray(), control);
    }

    /// <summary>Where the next answer goes.</summary>
    public Span<byte> AnswerBuffer => new(_answers + _pending * AnswerSize, AnswerSize);

    /// <summary>Puts the answer in <see cref="AnswerBuffer"/> in line, for the sender of a query.</summary>
    public void Add(int query, int length)
    {
        _sent[_pending].Vector->Length = (nuint)length;
        _sent[_pending].Name = _received[query].Name;
        _sent[_pending].NameLength = _received[query].NameLength;
        _sent[_pending].Control = _received[query].Control;
        _sent[_pending].ControlLength = _received[query].ControlLength;
        // For IPv4 the local address alone says where from; the interface is for routing to choose.
        if (_received[query].ControlLength > 0 && *(int*)(_received[query].Control + 8) == 0)
            *(int*)(_received[query].Control + InterfaceOffset) = 0;
        _pending++;
    }

    /// <summary>Sends all answers in line; returns how many the kernel refused.</summary>
    public int Send()
    {
        int at = 0, refused = 0;
        while (at < _pending)
        {
            var done = sendmmsg(_socket, _sent + at, (uint)(_pending - at), 0);
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
        NativeMemory.Free(_queries);
        NativeMemory.Free(_answers);
        NativeMemory.Free(_addresses);
        NativeMemory.Free(_vectors);
        NativeMemory.Free(_controls);
        NativeMemory.Free(_received);
        NativeMemory.Free(_sent);
    }

    /// <summary>One answer on its own way; lost like any packet if the kernel refuses it.</summary>
    public sealed class LaterAnswer(int socket, byte[] address, byte[] control)
    {
        public void Send(ReadOnlySpan<byte> answer)
        {
            fixed (byte* bytes = answer, name = address, extra = control)
            {
                var vector = new IoVector { Base = bytes, Length = (nuint)answer.Length };
                var header = new MessageHeader
                {
                    Name = name, NameLength = (uint)address.Length, Vector = &vector, VectorLength = 1, Control = extra, ControlLength = (nuint)control.Length,
                };
                _ = sendmmsg(socket, &header, 1, 0);
            }
        }
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
