using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.ApiServer.Tables;

namespace Declarative.ApiServer.Http;

/// <summary>
/// Long answers in large pieces, of several TLS records each: a connection's own blocks hold one (<see cref="Transport.RecordPool"/>), and elsewhere than on
/// Linux a quarter of one.
/// </summary>
/// <param name="expected">Bytes in all.</param>
internal sealed class Pieces(PipeWriter writer, long expected)
{
    private const int PieceBytesMax = 64 * 1024;
    private static readonly byte[] Comma = ","u8.ToArray();
    private readonly int _pieceBytes = (int)Math.Clamp(expected, 1, PieceBytesMax);
    private Memory<byte> _room; // left in the piece at hand
    private int _written; // into it

    /// <summary>Objects with commas between them.</summary>
    public async ValueTask WriteItems(IReadOnlyList<Stored> items, CancellationToken stop)
    {
        for (var next = 0; next < items.Count; next++)
        {
            next = WriteThoseWithRoom(items, next);
            if (next == items.Count) return;
            if (next > 0) await Write(Comma, stop);
            await Write(items[next].Json, stop);
        }
    }

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

    // A list of thousands is over before the runtime would find that this loop is worth its optimizing.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int WriteThoseWithRoom(IReadOnlyList<Stored> items, int next)
    {
        var room = _room.Span;
        var written = 0;
        for (; next < items.Count; next++)
        {
            if (next % Ahead.Items == 0) Ahead.Touch(items, next);
            var json = items[next].Json.Span;
            var comma = next > 0 ? 1 : 0;
            if (comma + json.Length > room.Length - written) break;
            if (comma > 0) room[written++] = (byte)',';
            json.CopyTo(room[written..]);
            written += json.Length;
        }
        _room = _room[written..];
        _written += written;
        return next;
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
