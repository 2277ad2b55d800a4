using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;

namespace Declarative.Mesos.Protocol;

/// <summary>
/// Reads RecordIO: <c>LENGTH "\n" BYTES</c>, again and again, LENGTH in decimal. The next read gives the last record's memory back.
/// </summary>
public sealed class RecordReader : IAsyncDisposable
{
    private readonly PipeReader _pipe;
    private readonly int _recordBytesMax;
    private SequencePosition? _consumed;

    /// <param name="pipe">Where the records come from; completed by <see cref="DisposeAsync"/>.</param>
    /// <param name="recordBytesMax">A longer record is refused before it is read.</param>
    public RecordReader(PipeReader pipe, int recordBytesMax = Limits.RecordBytesMax)
    {
        _pipe = pipe;
        _recordBytesMax = recordBytesMax;
    }

    public RecordReader(Stream stream, int recordBytesMax = Limits.RecordBytesMax)
        : this(PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 * 1024)), recordBytesMax) { }

    /// <summary>The next record, or null at the end of the stream. Valid until the next call.</summary>
    /// <exception cref="InvalidDataException">The length is no number or too large, or the stream ends within a record.</exception>
    public async ValueTask<ReadOnlySequence<byte>?> Read(CancellationToken stop)
    {
        if (_consumed is { } position)
        {
            _pipe.AdvanceTo(position);
            _consumed = null;
        }

        while (true)
        {
            var result = await _pipe.ReadAsync(stop);
            var buffer = result.Buffer;
            if (TryRecord(buffer, out var record))
            {
                _consumed = record.End;
                return record;
            }

            if (result.IsCompleted)
                return buffer.IsEmpty ? null : throw new InvalidDataException("The stream ended within a record.");
            if (result.IsCanceled)
                throw new OperationCanceledException(stop);
            _pipe.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    public ValueTask DisposeAsync() => _pipe.CompleteAsync();

    private bool TryRecord(ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> record)
    {
        record = default;
        var reader = new SequenceReader<byte>(buffer);
        if (!reader.TryReadTo(out ReadOnlySequence<byte> header, (byte)'\n'))
        {
            if (buffer.Length > Limits.RecordHeaderBytesMax)
                throw new InvalidDataException("A record does not begin with its length.");
            return false;
        }

        if (header.Length is 0 or > Limits.RecordHeaderBytesMax)
            throw new InvalidDataException("A record does not begin with its length.");
        Span<byte> digits = stackalloc byte[(int)header.Length];
        header.CopyTo(digits);
        if (!Utf8Parser.TryParse(digits, out long length, out var used) || used != digits.Length || length < 0)
            throw new InvalidDataException("A record does not begin with its length.");
        if (length > _recordBytesMax)
            throw new InvalidDataException($"A record of {length} bytes is larger than the limit of {_recordBytesMax}.");
        if (reader.Remaining < length)
            return false;
        record = buffer.Slice(reader.Position, length);
        return true;
    }
}
