using Declarative.Lb.Settings;

namespace Declarative.Lb.Proxy.Plain;

/// <content>
/// The two ends of a connection.
/// <para>
/// Ours: a socket that is closed while bytes lie in it, or get there afterwards, is reset, and a reset can take from the client an answer that it has not
/// read (RFC 9112 section 9.6). So where the client may go on sending, our side ends first, and what comes is thrown away until the client's own end or a limit.
/// </para>
/// <para>
/// The client's: it says nothing about the answer (the same section), yet most often the client is gone, and its request is work for nobody. One rule for
/// requests with bodies of every kind. Where the request is not whole it ends. Where no answer has begun the client gets an interim one (RFC 9110 section
/// 15.2: any number, wanted or not): a client that has left resets the connection, which ends the request, and one that has only ended its side
/// is answered. In an answer, the answer itself finds that out, and it goes on for as long as no longer pause than
/// <see cref="LbOptions.ClientEndTimeout"/> is in it. (HAProxy asks nobody: until 3.3 it waited for the answer, since then its option abortonclose is on.)
/// </para>
/// </content>
internal sealed partial class PlainConnection
{
    private long _discards;

    /// <summary>It has been sent something to find out whether it is there; once, for it ends once.</summary>
    private bool _isProbed;

    /// <summary>Nothing follows on our side.</summary>
    private void Close()
    {
        if (!_bodyMissing && !_readable)
        {
            Finish(PlainEnd.Ended);
            return;
        }
        LeaveTls(PlainEnd.Ended);
        Libc.EndSending(Fd);
        _state = State.Closing;
        _discards = Limits.CloseDiscardBytesMax;
        Deadline = _loop.Now + (long)_proxy.Options.CloseTimeout.TotalMilliseconds;
        Discard();
    }

    /// <summary>A buffer in a turn; inside of TLS as it comes, for nothing is read after it.</summary>
    private void Discard()
    {
        var got = Libc.Discard(Fd, EventLoop.BufferBytes);
        if (got == -Libc.Again && (_bodyMissing || _discards < Limits.CloseDiscardBytesMax)) return;
        _discards -= got;
        if (got <= 0 || _discards <= 0) Finish(PlainEnd.Ended);
        else CallAgain();
    }

    /// <summary>The client has ended its side.</summary>
    private unsafe void SeeWhetherItLeft()
    {
        if (_state is State.Answering or State.Flushing) Touch();
        if (_isProbed || _bodyComing || _state is not (State.Connecting or State.Asked)) return;
        _isProbed = true;
        if (_isUpgrade) Gone(); // it would have nothing to say
        else fixed (byte* from = GoOn) Send(from, GoOn.Length, more: false);
    }

    /// <summary>Something has come, from either side: the time without anything begins anew.</summary>
    private void Touch()
    {
        var idle = _cluster?.Settings.IdleTimeout ?? _proxy.Options.ActivityTimeout; // where the first request is refused nobody was chosen
        if (_clientEnded && _state is State.Answering or State.Flushing && idle > _proxy.Options.ClientEndTimeout) idle = _proxy.Options.ClientEndTimeout;
        Deadline = _loop.Now + (long)idle.TotalMilliseconds;
    }
}
