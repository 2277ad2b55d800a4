using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Declarative.Api;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Http.Transport;

/// <summary>
/// One accepted socket as Kestrel takes it: what comes is read in the loop's thread, and whoever waits for it runs there; what goes is sent where it
/// was written. A reader that falls behind is not read for, and a client that does not read is waited for, without holding a thread.
/// </summary>
internal sealed class LoopConnection : DefaultConnectionContext, IMemoryPoolFeature, IConnectionTurn
{
    private const int ReceivedBytesMax = 1024 * 1024;
    private const int UnsentBytesMax = 64 * 1024;
    private const int ReadBytesMin = 2048;
    private const int ReadsMax = 16; // in one go, so that the others of the loop get their turn
    private const int SegmentsMax = 64; // of one send
    private const int UnsentSegmentBytes = 17 * 1024; // a whole TLS record, so that most sends are of one piece
    private readonly ConnectionLoop _loop;
    private readonly Socket _socket;
    private readonly ILogger _log;
    private readonly PipeWriter _received;
    private readonly PipeReader _unsent;
    private readonly IDuplexPipe _original;
    private readonly CancellationTokenSource _closed = new();
    private readonly TaskCompletionSource _gone = Completion.New();
    private readonly List<ArraySegment<byte>> _segments = [];
    private TaskCompletionSource? _writable;
    private Task _sending = Task.CompletedTask;
    private long _number;
    private uint _kept; // news, until its turn; of the loop's thread, as the next four
    private bool _isPaused; // until it is gone on with
    private ValueTask<FlushResult>? _flushing; // until the reader has caught up, or has ended
    private bool _endIsTold; // by the peer; it is read after the data before it
    private bool _hasEnded;
    private volatile Exception? _lost;
    private volatile bool _isDisposed;
    private volatile bool _goesLast;

    /// <param name="socket">Connected; becomes this connection's.</param>
    public LoopConnection(string id, Socket socket, ConnectionLoop loop, MemoryPool<byte> pool, ILogger log) : base(id)
    {
        (_socket, _loop, MemoryPool, _log) = (socket, loop, pool, log);
        var received = new Pipe(Options(pool, ReceivedBytesMax, segment: -1));
        var unsent = new Pipe(Options(MemoryPool<byte>.Shared, UnsentBytesMax, UnsentSegmentBytes));
        (_received, _unsent) = (received.Writer, unsent.Reader);
        Transport = _original = new Both(received.Reader, unsent.Writer);
        (LocalEndPoint, RemoteEndPoint) = (socket.LocalEndPoint, socket.RemoteEndPoint);
        ConnectionClosed = _closed.Token;
        Features.Set<IMemoryPoolFeature>(this);
        Features.Set<IConnectionTurn>(this);

        static PipeOptions Options(MemoryPool<byte> pool, int max, int segment) => new(pool, PipeScheduler.Inline, PipeScheduler.Inline, max, max / 2, segment, useSynchronizationContext: false);
    }

    public MemoryPool<byte> MemoryPool { get; }

    public bool GoesLast
    {
        get => _goesLast;
        set => _goesLast = value;
    }

    public void Start()
    {
        _socket.Blocking = false;
        _socket.NoDelay = true;
        _sending = Send();
        _number = _loop.Add(this, (int)_socket.Handle);
    }

    /// <summary>Of the socket; in the loop's thread.</summary>
    public void News(uint events)
    {
        _endIsTold |= (events & ~(Epoll.In | Epoll.Out)) != 0;
        if ((events & Epoll.Out) != 0) Interlocked.Exchange(ref _writable, null)?.TrySetResult();
        if ((events & ~Epoll.Out) != 0 && !_isPaused) Receive();
    }

    /// <summary>Keeps news for the turn of who goes last; false where it has some already.</summary>
    public bool Keep(uint events)
    {
        var isFirst = _kept == 0;
        _kept |= events;
        return isFirst;
    }

    /// <summary>What has been kept; 0 = it has been disposed meanwhile.</summary>
    public uint Kept()
    {
        var events = _kept;
        _kept = 0;
        return events;
    }

    /// <summary>In the loop's thread: the reader has caught up, it is this connection's turn again, or it has been disposed.</summary>
    public void GoOn()
    {
        _isPaused = false;
        if (!_isDisposed)
        {
            // Here and not in the reader's thread: it throws what the reader has failed with, which is to end this connection.
            if (_flushing is { } flushed && flushed.Result is { IsCompleted: true } or { IsCanceled: true }) End(_lost);
            _flushing = null;
            Receive();
            return;
        }
        try
        {
            End(null);
        }
        finally
        {
            _kept = 0;
            _loop.Forget(_number);
            _socket.Dispose();
            _gone.TrySetResult();
        }
    }

    /// <summary>In the loop's thread: nothing is received or sent any more.</summary>
    public void Drop(Exception? reason)
    {
        Shutdown();
        Interlocked.Exchange(ref _writable, null)?.TrySetResult();
        _unsent.CancelPendingRead();
        End(reason);
    }

    public override void Abort(ConnectionAbortedException abortReason)
    {
        Shutdown();
        _unsent.CancelPendingRead();
    }

    public override async ValueTask DisposeAsync()
    {
        try
        {
            await _original.Input.CompleteAsync();
            await _original.Output.CompleteAsync();
            await _sending;
        }
        finally
        {
            _isDisposed = true;
            _loop.Post(this);
            await _gone.Task;
            _closed.Dispose();
            await base.DisposeAsync();
        }
    }

    private void Receive()
    {
        for (var reads = 0; !_hasEnded; reads++)
        {
            if (reads == ReadsMax)
            {
                _isPaused = true;
                _loop.Post(this);
                return;
            }
            var room = _received.GetMemory(ReadBytesMin);
            var count = _socket.Receive(room.Span, SocketFlags.None, out var error);
            if (error == SocketError.WouldBlock) return;
            if (error != SocketError.Success || count == 0)
            {
                End(error == SocketError.Success ? null : new ConnectionResetException($"the connection has been lost: {error}"));
                return;
            }
            _received.Advance(count);
            var flush = _received.FlushAsync();
            if (!flush.IsCompletedSuccessfully)
            {
                (_isPaused, _flushing) = (true, flush);
                flush.GetAwaiter().UnsafeOnCompleted(() => _loop.Post(this));
                return;
            }
            if (flush.Result is { IsCompleted: true } or { IsCanceled: true }) End(_lost);
            // Less than there was room for: there is no more, and what comes next is news. An end that came with it is not told again.
            if (count < room.Length && !_endIsTold) return;
        }
    }

    private void End(Exception? reason)
    {
        if (_hasEnded) return;
        _hasEnded = true;
        try
        {
            _received.Complete(reason);
        }
        catch (Exception bug)
        {
            Log.EndFailed(_log, ConnectionId, bug);
        }
        // Handlers of the request that this ends are foreign code: not in the loop.
        ThreadPool.UnsafeQueueUserWorkItem(static connection => connection.Closed(), this, preferLocal: false);
    }

    private void Closed()
    {
        try
        {
            _closed.Cancel();
        }
        catch (ObjectDisposedException)
        {
            return; // nobody waits any longer
        }
        catch (AggregateException bug)
        {
            Log.EndFailed(_log, ConnectionId, bug);
        }
    }

    private async Task Send()
    {
        Exception? failure = null;
        try
        {
            while (true)
            {
                var read = await _unsent.ReadAsync();
                if (read.IsCanceled) break;
                for (var rest = read.Buffer; !rest.IsEmpty;)
                {
                    var sent = Send(rest, out var error);
                    if (error == SocketError.WouldBlock) await Writable();
                    else if (error != SocketError.Success) throw new ConnectionResetException($"the connection has been lost: {error}");
                    rest = rest.Slice(sent);
                }
                _unsent.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }
        }
        catch (Exception lost) when (lost is ConnectionResetException or SocketException or ObjectDisposedException)
        {
            _lost = lost; // a client that goes is no failure of who answers it
        }
        catch (Exception bug)
        {
            Log.Failed(_log, ConnectionId, bug);
            _lost = failure = bug;
        }
        Shutdown();
        await _unsent.CompleteAsync(failure);
        // Receiving that waits for its reader ends too.
        _received.CancelPendingFlush();
    }

    private int Send(in ReadOnlySequence<byte> rest, out SocketError error)
    {
        if (rest.IsSingleSegment) return Math.Max(0, _socket.Send(rest.FirstSpan, SocketFlags.None, out error));
        _segments.Clear();
        foreach (var segment in rest)
        {
            if (_segments.Count == SegmentsMax) break;
            if (MemoryMarshal.TryGetArray(segment, out var array)) _segments.Add(array);
            else throw new InvalidOperationException("memory of pipes lies in arrays");
        }
        return Math.Max(0, _socket.Send(_segments, SocketFlags.None, out error));
    }

    /// <summary>Completes when there is room, or may be: what became free before this was asked is not told again.</summary>
    private Task Writable()
    {
        var writable = new TaskCompletionSource();
        Volatile.Write(ref _writable, writable);
        return _socket.Poll(0, SelectMode.SelectWrite) ? Task.CompletedTask : writable.Task;
    }

    private void Shutdown()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception lost) when (lost is SocketException or ObjectDisposedException)
        {
            return; // it is not connected any more
        }
    }

    private sealed record Both(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
