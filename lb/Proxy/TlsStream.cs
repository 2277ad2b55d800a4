using System.Buffers;
using System.IO.Pipelines;
using Declarative.Lb.Proxy.Plain;

namespace Declarative.Lb.Proxy;

/// <summary>What is inside of a TLS connection whose bytes come and go by a pipe. One reader and one writer at a time.</summary>
internal sealed class TlsStream : Stream
{
    /// <summary>Written before anybody waits for the client to take it.</summary>
    private const int ChunkBytes = 64 * 1024;

    private readonly Lock _lock = new();
    private readonly TlsSession _session;
    private readonly IDuplexPipe _raw;
    private ReadOnlyMemory<byte> _seen;

    /// <param name="tls">Taken over.</param>
    public TlsStream(TlsHandoff tls, IDuplexPipe raw)
    {
        (_session, _seen, _raw) = (tls.Session, tls.Seen, raw);
        _session.Detach();
    }

    public override bool CanRead => true;
    public override bool CanWrite => true;
    public override bool CanSeek => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_seen.IsEmpty)
        {
            var some = Math.Min(buffer.Length, _seen.Length);
            _seen[..some].CopyTo(buffer);
            _seen = _seen[some..];
            return some;
        }
        while (true)
        {
            var got = Take(buffer.Span);
            if (got >= 0) return got;
            if (got != -Libc.Again) throw new IOException("the client's TLS is broken");
            var come = await _raw.Input.ReadAsync(cancellationToken);
            Feed(come.Buffer);
            _raw.Input.AdvanceTo(come.Buffer.End);
            if (come.IsCanceled) throw new OperationCanceledException(cancellationToken);
            if (come.IsCompleted && come.Buffer.IsEmpty) return 0;
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty)
        {
            var chunk = buffer[..Math.Min(buffer.Length, ChunkBytes)];
            Give(chunk.Span);
            buffer = buffer[chunk.Length..];
            await _raw.Output.FlushAsync(cancellationToken);
        }
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask; // nothing is held back

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>Tells the client that nothing follows; whoever closes the pipe sends it.</summary>
    public override ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_session.IsClosed) return ValueTask.CompletedTask;
            try
            {
                _session.End();
                Drain();
            }
            catch (InvalidOperationException)
            {
                // The pipe has been completed: the client is gone, and so is the word for him.
                return ValueTask.CompletedTask;
            }
            finally
            {
                _session.Dispose();
            }
        }
        return new(EndOfPipe());

        async Task EndOfPipe() => await _raw.Output.FlushAsync();
    }

    private unsafe int Take(Span<byte> buffer)
    {
        lock (_lock)
        {
            if (_session.IsClosed) return 0;
            fixed (byte* to = buffer) return _session.Read(to, buffer.Length);
        }
    }

    private void Feed(in ReadOnlySequence<byte> come)
    {
        lock (_lock)
        {
            if (_session.IsClosed) return;
            foreach (var piece in come) _session.Feed(piece.Span);
        }
    }

    private unsafe void Give(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_session.IsClosed) throw new IOException("the connection has ended");
            fixed (byte* from = bytes)
            {
                if (_session.Write(from, bytes.Length) != bytes.Length) throw new IOException("the client's TLS is broken");
            }
            Drain();
        }
    }

    private void Drain()
    {
        while (_session.Waiting is > 0 and var waiting)
        {
            var room = _raw.Output.GetSpan(Math.Min(waiting, ChunkBytes));
            _raw.Output.Advance(_session.Drain(room));
        }
    }
}
