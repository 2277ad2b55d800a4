using System.Runtime.InteropServices;
using System.Security.Authentication;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>The TLS of one connection, the server's side. Used by one caller at a time.</summary>
internal sealed unsafe class TlsSession : SafeHandle
{
    private const int Reset = 104; // ECONNRESET

    private nint _in;
    private nint _out;
    private bool _isBroken;

    private TlsSession() : base(0, ownsHandle: true)
    {
    }

    public override bool IsInvalid => handle == 0;

    public SslProtocols Version => OpenSsl.SSL_version(handle) == OpenSsl.Tls13 ? SslProtocols.Tls13 : SslProtocols.Tls12;

    /// <param name="fd">A socket that does not block; it stays the caller's.</param>
    /// <returns>null where there is no memory for it.</returns>
    public static TlsSession? Open(TlsContext context, int fd)
    {
        var session = new TlsSession();
        session.SetHandle(OpenSsl.SSL_new(context.Pointer));
        GC.KeepAlive(context); // from here on the session holds what it needs of it
        if (!session.IsInvalid && OpenSsl.SSL_set_fd(session.handle, fd) == 1)
        {
            OpenSsl.SSL_set_accept_state(session.handle);
            return session;
        }
        session.Dispose();
        return null;
    }

    /// <summary>Goes on with the handshake.</summary>
    /// <returns>Above 0 = it is done, -EAGAIN = the client's turn, else it has failed.</returns>
    public int Handshake()
    {
        OpenSsl.ERR_clear_error();
        return Checked(OpenSsl.SSL_do_handshake(handle));
    }

    /// <returns>The number of bytes; 0 = the client has ended its side, -EAGAIN = nothing has come, else it is broken.</returns>
    public int Read(byte* to, int count)
    {
        OpenSsl.ERR_clear_error();
        return Checked(OpenSsl.SSL_read(handle, to, count));
    }

    /// <summary>May take a part. What it has not taken for want of room (-EAGAIN) it must be given again, with whatever comes behind it.</summary>
    public int Write(byte* from, int count)
    {
        var sent = 0;
        while (sent < count)
        {
            OpenSsl.ERR_clear_error();
            var some = Checked(OpenSsl.SSL_write(handle, from + sent, count - sent));
            if (some == 0) return -Reset;
            if (some < 0) return some == -Libc.Again && sent > 0 ? sent : some;
            sent += some;
        }
        return sent;
    }

    /// <summary>Tells the client that nothing follows (RFC 8446 section 6.1).</summary>
    public void End()
    {
        if (_isBroken) return;
        OpenSsl.ERR_clear_error();
        if (OpenSsl.SSL_shutdown(handle) < 0) OpenSsl.ERR_clear_error();
    }

    /// <summary>From now on its bytes come by <see cref="Feed"/> and go by <see cref="Drain"/>, and not by the socket.</summary>
    public void Detach()
    {
        (_in, _out) = (OpenSsl.BIO_new(OpenSsl.BIO_s_mem()), OpenSsl.BIO_new(OpenSsl.BIO_s_mem()));
        if (_in == 0 || _out == 0)
        {
            OpenSsl.BIO_free(_in);
            OpenSsl.BIO_free(_out);
            Dispose();
            throw new IOException("no memory for the buffers of a TLS connection");
        }
        OpenSsl.SSL_set_bio(handle, _in, _out);
    }

    public void Feed(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* from = bytes) OpenSsl.BIO_write(_in, from, bytes.Length);
    }

    /// <summary>Bytes for the client.</summary>
    public int Waiting => (int)OpenSsl.BIO_ctrl_pending(_out);

    public int Drain(Span<byte> to)
    {
        fixed (byte* bytes = to) return Math.Max(0, OpenSsl.BIO_read(_out, bytes, to.Length));
    }

    protected override bool ReleaseHandle()
    {
        OpenSsl.SSL_free(handle);
        return true;
    }

    /// <summary>Of a call before which this thread's errors were cleared: what another user of OpenSSL has left there would be taken for the call's own.</summary>
    private int Checked(int result)
    {
        if (result > 0) return result;
        var error = OpenSsl.SSL_get_error(handle, result);
        if (error is OpenSsl.WantRead or OpenSsl.WantWrite) return -Libc.Again;
        OpenSsl.ERR_clear_error();
        if (error == OpenSsl.ZeroReturn) return 0;
        _isBroken = true;
        return -Reset;
    }
}
