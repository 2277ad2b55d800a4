using System.IO.Pipelines;
using Declarative.Api;

namespace Declarative.ApiServer.Streams.Spdy;

/// <summary>One stream that the client has opened: its headers, what it sends, and what is sent to it.</summary>
internal sealed class SpdyStream
{
    private readonly SpdyConnection _connection;
    private readonly Pipe _input = new(new PipeOptions(pauseWriterThreshold: Limits.SpdyStreamBytesBuffered, resumeWriterThreshold: Limits.SpdyStreamBytesBuffered / 2, useSynchronizationContext: false));
    private int _finished;

    public SpdyStream(SpdyConnection connection, int id, IReadOnlyDictionary<string, string> headers)
    {
        _connection = connection;
        Id = id;
        Headers = headers;
    }

    public int Id { get; }
    public IReadOnlyDictionary<string, string> Headers { get; }

    /// <summary>Ends with the client's half of the stream, or with the connection.</summary>
    public PipeReader Input => _input.Reader;

    internal PipeWriter Received => _input.Writer;

    public ValueTask Write(ReadOnlyMemory<byte> data, CancellationToken stop) => _connection.SendData(Id, data, 0, stop);

    /// <summary>Ends our half. Safe to call twice.</summary>
    public ValueTask Finish(CancellationToken stop) =>
        Interlocked.Exchange(ref _finished, 1) == 0 ? _connection.SendData(Id, default, FrameHead.Fin, stop) : ValueTask.CompletedTask;
}
