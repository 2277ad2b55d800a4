using System.Buffers;
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

    private sealed class Pending(ReadOnlyMemory<byte> request)
    {
        public ReadOnlyMemory<byte> Request => request;
        public TaskCompletionSource<CallAnswer> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Ends when the connection has ended.</summary>
    public Task Running { get; }

    /// <summary>False: it is broken, or too old to be trusted; the next call needs another one.</summary>
    public bool IsFit
    {
        get
        {
            lock (_gate) return _broken is null && (_waiting > 0 || _time.GetElapsedTime(_used) < IdleMax);
        }
    }

    /// <param name="request">Head and body.</param>
    /// <exception cref="IOException">The connection broke, or there was no answer in time: the call may have been taken.</exception>
    public Task<CallAnswer> Send(ReadOnlyMemory<byte> request)
    {
        var pending = new Pending(request);
        lock (_gate)
        {
            if (_broken is { } why) return Task.FromException<CallAnswer>(why);
            if (_waiting++ == 0) _over.CancelAfter(_patience);
            _unsent.Writer.TryWrite(pending);
        }
        return pending.Answer.Task;
    }

    /// <summary>Ends the connection: its loop, which throws nothing, ends by itself.</summary>
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
                    lock (_gate)
                    {
                        if (_broken is null) _unanswered.Enqueue(pending);
                        else pending.Answer.TrySetException(_broken);
                    }
                    buffer.Write(pending.Request.Span);
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
        }
        foreach (var pending in lost) pending.Answer.TrySetException(why);
        _over.Cancel();
    }
}
