using System.Buffers;
using System.Net.Sockets;
using System.Text;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>How the event loop has done with a client's connection.</summary>
internal enum PlainEnd
{
    Ended,

    /// <summary>The client has not said anything in the time given.</summary>
    Silent,

    /// <summary>What the client has sent last is not for the event loop; it is still in the socket, or in <see cref="PlainConnection.Handoff"/>.</summary>
    NotPlain,
}

/// <summary>
/// A client's connection whose requests are plain ones (<see cref="RequestHead"/>), on an event loop. A request stays in the client's socket
/// until its answer begins, or the body that streams behind it: so it can be sent again, or be given to Kestrel, without a copy of it.
/// </summary>
internal sealed partial class PlainConnection : Handler
{
    /// <summary>As long as Kestrel lets a client wait with its next request.</summary>
    private const int NextRequestMilliseconds = 130_000;

    private readonly EventLoop _loop;
    private readonly PlainProxy _proxy;
    private readonly ClientConnection _client;
    private readonly byte[] _tail;
    private readonly TaskCompletionSource<PlainEnd> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private State _state;
    private bool _hasSpoken;
    private bool _readable;
    private bool _clientEnded;
    private bool _stopping;
    private bool _isBroken;

    /// <summary>The loop calls again in any case.</summary>
    private bool _isQueued;

    // The request in hand.
    private Cluster? _cluster;
    private Destination? _destination;
    private Upstream? _upstream;
    private bool _upstreamReadable;
    private bool _upstreamEnded;
    private int _attempt;

    /// <summary>No connection that has been used before: it has just been seen that they may be closed.</summary>
    private bool _fresh;
    private int _requestBytes;
    private bool _keepsAlive;
    private bool _isHead;
    private bool _isIdempotent;
    private bool _isUpgrade;
    private bool _isAnswered;
    private long _since;
    private PlainNote? _note;

    /// <summary>Bytes of both bodies.</summary>
    private long _passed;

    // Its answer.
    private int _status;
    private long _left;
    private Framing _framing;
    private ChunkScanner _chunks;
    private bool _upstreamKeepsAlive;
    private byte[]? _part;
    private int _partBytes;

    // What the client's socket has no room for.
    private byte[]? _pending;
    private int _pendingFrom;
    private int _pendingTo;

    private string _host = "";

    public PlainConnection(EventLoop loop, PlainProxy proxy, Socket socket, ClientConnection client, TimeSpan wait)
    {
        (_loop, _proxy, _client, Fd) = (loop, proxy, client, (int)socket.SafeHandle.DangerousGetHandle());
        Deadline = Environment.TickCount64 + (long)wait.TotalMilliseconds;
        if (IsTls) _state = State.Greeting;
        _tail = Encoding.Latin1.GetBytes($"{client.ClientAddress}\r\nX-Forwarded-Proto: {(IsTls ? "https" : "http")}\r\nX-Forwarded-Port: {client.Listener.PortText}\r\nX-Forwarded-Host: ");
    }

    private enum State
    {
        /// <summary>For a request.</summary>
        Waiting,

        /// <summary>For the first message of TLS.</summary>
        Greeting,
        Handshaking,
        Connecting,

        /// <summary>An endpoint.</summary>
        Asked,
        Answering,

        /// <summary>The endpoint has done; the client has yet to take the rest.</summary>
        Flushing,

        /// <summary>Everything has been said; what the client goes on sending is thrown away.</summary>
        Closing,
        Over,
    }

    private enum Framing
    {
        Length,
        Chunked,
        UntilEnd,
    }

    public Task<PlainEnd> End => _end.Task;

    /// <summary>Where bodies are short their requests are answered at once.</summary>
    public override bool GoesLast => _state == State.Closing || (_passed > TogetherBytesMax && (_bodyComing || _state is State.Answering or State.Flushing));

    public override void News(uint events)
    {
        if (events == 0) _isQueued = false;
        if (_state == State.Closing)
        {
            Discard();
            return;
        }
        if ((events & (Libc.Error | Libc.HangUp)) != 0 && _state is not (State.Waiting or State.Greeting))
        {
            Gone();
            return;
        }
        if ((events & (Libc.In | Libc.PeerEnded | Libc.HangUp | Libc.Error)) != 0) _readable = true;
        if ((events & Libc.PeerEnded) != 0) _clientEnded = true;
        if (_state is State.Greeting or State.Handshaking && !IsMyTurn(events)) return;
        if (_state == State.Greeting) Greet();
        else if (_state == State.Handshaking) Handshake();
        else
        {
            if (events == 0 || (events & Libc.Out) != 0) Flush();
            if (_bodyComing && _readable) PumpBody();
            if (_clientEnded) SeeWhetherItLeft();
        }
        Continue();
    }

    public void UpstreamNews(uint events)
    {
        if (_state == State.Connecting)
        {
            if ((events & (Libc.Out | Libc.Error | Libc.HangUp)) == 0) return;
            if (Libc.ConnectError(_upstream!.Fd) is var error and not 0) Failed(new SocketException(error).Message, nothingSent: true);
            else Ask();
        }
        else
        {
            if ((events & (Libc.PeerEnded | Libc.HangUp | Libc.Error)) != 0) _upstreamEnded = true;
            if ((events & Libc.Out) != 0 && _onwardTo > 0) PumpBody();
            if ((events & ~Libc.Out) != 0) Pump();
        }
        Continue();
    }

    public override void Late()
    {
        switch (_state)
        {
            case State.Waiting or State.Greeting or State.Closing:
                Finish(_hasSpoken ? PlainEnd.Ended : PlainEnd.Silent);
                break;
            case State.Connecting:
                Failed(new SocketException((int)SocketError.TimedOut).Message, nothingSent: true);
                break;
            case State.Asked when _bodyComing && _bodyMissing && _onwardTo == 0 && !_expects:
                _keepsAlive = false; // the endpoint has taken all that came: it is the client that is silent
                Answer(408, "Request Timeout", "The rest of the body did not come in the time that it has.\n");
                break;
            case State.Asked:
                _isIdempotent = false; // it may be at work yet
                Failed("nothing came in the time that it has", nothingSent: false, StatusCodes504);
                break;
            default:
                Break();
                break;
        }
        Continue();
    }

    public override void Break()
    {
        if (_state == State.Over) return;
        _isBroken = true;
        Libc.ResetOnClose(Fd);
        Gone();
    }

    /// <summary>The request in hand is the last one.</summary>
    public void Stop()
    {
        _stopping = true;
        _keepsAlive = false;
        if (_state is State.Waiting or State.Greeting or State.Handshaking) Finish(PlainEnd.Ended);
    }

    /// <summary>Gives the upstream back and counts what has become of the request.</summary>
    private void LetGo(bool again, int? status = null)
    {
        ReturnPart();
        DropBody();
        if (_upstream is { } upstream)
        {
            _upstream = null;
            if (again) _loop.Pool.Give(upstream);
            else upstream.Close();
        }
        if (_destination is not { } destination) return;
        _destination = null;
        var cluster = _cluster!;
        var code = status ?? _status;
        if (cluster.Settings.Outlier is not null && code > 0 && !_bodyChunks.IsBad) cluster.Outcome(destination, code is 502 or 503 or 504);
        cluster.Counts.Answered(code);
        destination.Release();
        if (_note is not { } note) return;
        _note = null;
        _proxy.Log?.Plain(_client, note, code, cluster, destination, _attempt + 1, _since);
    }

    /// <summary>The client is no longer there, or is not to be answered.</summary>
    private void Gone() => Finish(PlainEnd.Ended, _state == State.Answering ? _status : 0);

    private void Finish(PlainEnd end, int status = 0)
    {
        if (_state == State.Over) return;
        _state = State.Over;
        LetGo(again: false, status);
        ReturnPending();
        LeaveTls(end);
        _loop.Remove(this);
        if (end == PlainEnd.Ended) Libc.EndSending(Fd);
        _end.TrySetResult(end);
    }

    /// <summary>Calls again after the others have had their turn; once, however often it is asked for.</summary>
    private void CallAgain()
    {
        if (_isQueued) return;
        _isQueued = true;
        _loop.Again(this);
    }

    private void DropUpstream()
    {
        ReturnPart();
        DropBody();
        _upstream?.Close();
        _upstream = null;
    }

    private void ReturnPart()
    {
        if (_part is null) return;
        ArrayPool<byte>.Shared.Return(_part);
        (_part, _partBytes) = (null, 0);
    }

    private void ReturnPending()
    {
        if (_pending is null) return;
        ArrayPool<byte>.Shared.Return(_pending);
        (_pending, _pendingFrom, _pendingTo) = (null, 0, 0);
    }
}
