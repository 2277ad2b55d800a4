using System.IO.Pipelines;

namespace Declarative.ApiServer.Http;

/// <summary>
/// Long answers in large pieces, of several TLS records each: a connection's own blocks hold one (<see cref="Transport.RecordPool"/>), and elsewhere than on
/// Linux a quarter of one.
/// </summary>
/// <param name="expected">Bytes in all.</param>
internal sealed class Pieces(PipeWriter writer, long expected)
{
    private const int PieceBytesMax = 64 * 1024;
    private readonly int _pieceBytes = (int)Math.Clamp(expected, 1, PieceBytesMax);
    private Memory<byte> _room; // left in the piece at hand
    private int _written; // into it

    /// <summary>What has no room in the piece at hand follows in the next ones.</summary>
    public ValueTask Write(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        if (bytes.Length > _room.Length) return WriteOn(bytes, stop);
        bytes.CopyTo(_room);
        _room = _room[bytes.Length..];
        _written += bytes.Length;
        return default;
    }

    /// <summary>Sends what is written.</summary>
    public async ValueTask Flush(CancellationToken stop)
    {
        writer.Advance(_written);
        (_room, _written) = (default, 0);
        await writer.FlushAsync(stop);
    }

    private async ValueTask WriteOn(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        while (bytes.Length > 0)
        {
            if (_room.IsEmpty)
            {
                if (_written > 0) await Flush(stop);
                _room = writer.GetMemory(_pieceBytes)[.._pieceBytes];
            }
            var now = bytes[..Math.Min(bytes.Length, _room.Length)];
            now.CopyTo(_room);
            _room = _room[now.Length..];
            _written += now.Length;
            bytes = bytes[now.Length..];
        }
    }
}
