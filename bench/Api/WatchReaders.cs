using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Declarative.Lb.Proxy.Plain;

namespace Declarative.Bench.Api;

/// <summary>
/// Many open watches, read by two threads: what a thousand clients on machines of their own would do shall take as little as it can from the processors
/// that the measured server shares with it. Linux with OpenSSL 3.
/// </summary>
internal sealed unsafe class WatchReaders : IDisposable
{
    private const int Loops = 2;
    private readonly nint _context = OpenSsl.SSL_CTX_new(TLS_client_method());
    private readonly List<Watch> _watches = [];
    private readonly List<WatchLoop> _loops = [];

    /// <param name="read">Gets the number of a watch and the bytes that have come, heads of chunks among them; for one watch never twice at once.</param>
    public WatchReaders(Target target, int count, byte[] request, Reading read)
    {
        OpenSsl.SSL_CTX_ctrl(_context, OpenSsl.ControlReadAhead, 1, null);
        OpenSsl.SSL_CTX_ctrl(_context, OpenSsl.ControlMode, OpenSsl.ReleaseBuffers, null);
        Use(target);
        for (var i = 0; i < count; i++) _watches.Add(Open(target, i, request, read));
        for (var i = 0; i < Loops; i++) _loops.Add(new(i, number => _watches[number].Read()));
        for (var i = 0; i < count; i++) _watches[i].Start(_loops[i % Loops]);
    }

    public delegate void Reading(int watch, ReadOnlySpan<byte> bytes);

    public void Dispose()
    {
        foreach (var loop in _loops) loop.Dispose();
        foreach (var watch in _watches) watch.Dispose();
        OpenSsl.SSL_CTX_free(_context);
    }

    private void Use(Target target)
    {
        var leaf = target.Certificate.RawData;
        fixed (byte* bytes = leaf) Must(OpenSsl.SSL_CTX_use_certificate_ASN1(_context, leaf.Length, bytes) == 1, "the client's certificate");
        var encoded = target.Key;
        fixed (byte* bytes = encoded)
        {
            var at = bytes;
            var key = OpenSsl.d2i_AutoPrivateKey(0, &at, encoded.Length);
            Must(key != 0 && OpenSsl.SSL_CTX_use_PrivateKey(_context, key) == 1, "the client's key");
            OpenSsl.EVP_PKEY_free(key);
        }
    }

    private Watch Open(Target target, int number, byte[] request, Reading read)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(target.Host, target.Port);
        var session = OpenSsl.SSL_new(_context);
        OpenSsl.SSL_set_fd(session, (int)socket.Handle);
        SSL_set_connect_state(session);
        Must(OpenSsl.SSL_do_handshake(session) == 1, "a handshake");
        fixed (byte* bytes = request) Must(OpenSsl.SSL_write(session, bytes, request.Length) == request.Length, "a request");
        var head = new byte[4096];
        var length = 0;
        while (head.AsSpan(0, length).IndexOf("\r\n\r\n"u8) < 0)
        {
            // One byte at a time: what follows the head is for the reader.
            fixed (byte* to = head) Must(length < head.Length && OpenSsl.SSL_read(session, to + length, 1) == 1, "the head of an answer");
            length++;
        }
        if (!head.AsSpan().StartsWith("HTTP/1.1 200"u8)) throw new IOException($"a watch was refused: {Encoding.ASCII.GetString(head, 0, length)}");
        socket.Blocking = false;
        return new(number, socket, session, read);
    }

    private static void Must(bool held, string what)
    {
        if (!held) throw new IOException($"{what} has failed");
    }

    [DllImport("libssl.so.3")]
    private static extern nint TLS_client_method();

    [DllImport("libssl.so.3")]
    private static extern void SSL_set_connect_state(nint session);

    [DllImport("libssl.so.3")]
    private static extern int SSL_has_pending(nint session);

    private sealed class Watch(int number, Socket socket, nint session, Reading read) : IDisposable
    {
        private WatchLoop? _loop;

        public void Start(WatchLoop loop)
        {
            _loop = loop;
            loop.Add(number, (int)socket.Handle);
        }

        /// <summary>In the loop's thread.</summary>
        public void Read()
        {
            int got;
            do
            {
                OpenSsl.ERR_clear_error();
                got = OpenSsl.SSL_read(session, _loop!.Buffer, WatchLoop.BufferBytes);
                if (got > 0) read(number, new(_loop.Buffer, got));
                // What it has missed is told at the end.
                else if (OpenSsl.SSL_get_error(session, got) != OpenSsl.WantRead) _loop.Remove((int)socket.Handle);
            }
            while (got > 0 && SSL_has_pending(session) == 1);
        }

        public void Dispose()
        {
            OpenSsl.SSL_free(session);
            socket.Dispose();
        }
    }
}
