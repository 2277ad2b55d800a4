using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Threading.Channels;

namespace Declarative.Mesos.Scheduler.Http;

/// <summary>
/// Calls on one HTTP/1.1 connection, each sent without waiting for the answers to those before it (RFC 9112, section 9.3.2), as Mesos' own
/// scheduler library sends them. What has queued up goes out in one write; a master takes the calls in the order in which they were sent.
/// </summary>
internal sealed class CallPipeline : IDisposable
{
    private const int WriteBytesMax = 256 * 1024;

    /// <summary>A connection that was not used for so long may be closed by the other side in the moment in which it is used again.</summary>
    private static readonly TimeSpan IdleMax = TimeSpan.FromSeconds(20);

    private readonly TimeProvider _time;
    private readonly TimeSpan _patience;
    private readonly Channel<Pending> _unsent = Channel.CreateUnbounded<Pending>();
    private readonly Queue<Pending> _unanswered = new();
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _over;
    private Exception? _broken;
    private Task _cancelled = Task.CompletedTask;
    private int _waiting;
    private long _used;

    /// <param name="connect">Opens the connection.</param>
    /// <param name="patience">How long an answer may take, and the connection.</param>
    /// <param name="time">For that.</param>
    public CallPipeline(Func<CancellationToken, Task<Stream>> connect, TimeSpan patience, TimeProvider time)
    {
        (_time, _patience) = (time, patience);
        _over = new(Timeout.InfiniteTimeSpan, time);
        _used = time.GetTimestamp();
        Running = Run(connect);
    }

    private sealed class Pending(ReadOnlyMemory<byte> request, CancellationToken stop)
    {
        public ReadOnlyMemory<byte> Request => request;
        public CancellationToken Stop => stop;
        public TaskCompletionSource<CallAnswer> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Ends when the connection has ended; throws nothing.</summary>
    public Task Running { get; }

    /// <summary>False: it is broken, or too old to be trusted; the next call needs another one.</summary>
    public bool IsFit
    {
        get
        {
            lock (_gate) return _broken is null && (_waiting > 0 || _time.GetElapsedTime(_used) < IdleMax);
        }
    }

    /// <summary>The reason, once it is broken.</summary>
    public Exception? Why
    {
        get
        {
            lock (_gate) return _broken;
        }
    }

    /// <param name="request">Head and body.</param>
    /// <param name="stop">What is not sent by then is never sent.</param>
    /// <param name="answer">Fails with an IOException where the connection broke or no answer came in time: the call may have been taken.</param>
    /// <returns>False: it was broken before, and nothing is sent.</returns>
    public bool TrySend(ReadOnlyMemory<byte> request, CancellationToken stop, [NotNullWhen(true)] out Task<CallAnswer>? answer)
    {
        answer = null;
        var pending = new Pending(request, stop);
        lock (_gate)
        {
            if (_broken is not null) return false;
            if (_waiting++ == 0) _over.CancelAfter(_patience);
            _unsent.Writer.TryWrite(pending);
        }
        answer = pending.Answer.Task.WaitAsync(stop);
        return true;
    }

    /// <summary>Ends the connection: <see cref="Running"/> ends soon.</summary>
    public void Dispose() => Break(new IOException("the connection is not used any more"));

    private async Task Run(Func<CancellationToken, Task<Stream>> connect)
    {
        try
        {
            await using var stream = await connect(_over.Token);
            await Task.WhenAll(Read(stream), Write(stream));
        }
        catch (Exception e) // the connection's bulkhead: whoever waits for an answer is told
        {
            Break(e);
        }
        await _cancelled;
        _over.Dispose();
    }

    private async Task Write(Stream stream)
    {
        var buffer = new ArrayBufferWriter<byte>(16 * 1024);
        try
        {
            while (await _unsent.Reader.WaitToReadAsync(_over.Token))
            {
                buffer.ResetWrittenCount();
                while (buffer.WrittenCount < WriteBytesMax && _unsent.Reader.TryRead(out var pending))
                {
                    if (IsToBeSent(pending)) buffer.Write(pending.Request.Span);
                }
                await stream.WriteAsync(buffer.WrittenMemory, _over.Token);
            }
        }
        catch (Exception e)
        {
            Break(e);
            throw;
        }
    }

    /// <summary>Not one whose caller has gone: what it wanted may be wrong by now.</summary>
    private bool IsToBeSent(Pending pending)
    {
        lock (_gate)
        {
            if (_broken is not null)
            {
                pending.Answer.TrySetException(_broken);
                return false;
            }
            if (pending.Stop.IsCancellationRequested)
            {
                pending.Answer.TrySetCanceled(pending.Stop);
                if (--_waiting == 0) _over.CancelAfter(Timeout.InfiniteTimeSpan);
                return false;
            }
            _unanswered.Enqueue(pending);
            return true;
        }
    }

    private async Task Read(Stream stream)
    {
        var reader = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 16 * 1024, leaveOpen: true));
        try
        {
            while (true)
            {
                var read = await reader.ReadAsync(_over.Token);
                var buffer = read.Buffer;
                while (CallAnswer.TryRead(ref buffer) is { } answer) Answered(answer);
                reader.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted) throw new IOException("the master closed the connection");
            }
        }
        catch (Exception e)
        {
            Break(e);
            throw;
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }

    private void Answered(CallAnswer answer)
    {
        Pending? pending;
        lock (_gate)
        {
            if (!_unanswered.TryDequeue(out pending)) throw new IOException("the master answered what it was not asked");
            _used = _time.GetTimestamp();
            _over.CancelAfter(--_waiting == 0 ? Timeout.InfiniteTimeSpan : _patience);
        }
        pending.Answer.TrySetResult(answer);
        if (answer.IsLast) throw new IOException("the master closes the connection");
    }

    /// <summary>Whatever broke it first is the reason.</summary>
    private void Break(Exception e)
    {
        var why = e as IOException ?? new IOException(e is OperationCanceledException ? $"no answer within {_patience.TotalSeconds:0.###} s" : e.Message, e);
        List<Pending> lost;
        lock (_gate)
        {
            if (_broken is not null) return;
            _broken = why;
            _unsent.Writer.TryComplete();
            lost = [.. _unanswered];
            while (_unsent.Reader.TryRead(out var unsent)) lost.Add(unsent);
            _unanswered.Clear();
            _cancelled = _over.CancelAsync();
        }
        foreach (var pending in lost) pending.Answer.TrySetException(why);
    }
}
