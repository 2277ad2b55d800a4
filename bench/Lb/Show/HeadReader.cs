using System.Net.Sockets;
using System.Text;

namespace Declarative.Bench.Lb.Show;

/// <summary>Heads of HTTP/1.1 messages, and the bytes behind them.</summary>
internal sealed class HeadReader(Socket socket)
{
    private readonly byte[] _buffer = new byte[32 * 1024];
    private int _from;
    private int _to;

    /// <summary>Nothing has come that nobody has taken.</summary>
    public bool IsEmpty => _from == _to;

    /// <summary>With its empty line; null = the connection has ended before its first byte.</summary>
    /// <exception cref="InvalidDataException">It has ended within.</exception>
    public async ValueTask<string?> Read(CancellationToken stop)
    {
        while (true)
        {
            var end = _buffer.AsSpan(_from, _to - _from).IndexOf("\r\n\r\n"u8);
            if (end >= 0)
            {
                var head = Encoding.Latin1.GetString(_buffer, _from, end + 4);
                _from += end + 4;
                return head;
            }
            if (await More(stop)) continue;
            return IsEmpty ? null : throw new InvalidDataException("cut within a head");
        }
    }

    /// <returns>0 = the end.</returns>
    public async ValueTask<int> Read(Memory<byte> to, CancellationToken stop)
    {
        if (IsEmpty) return await socket.ReceiveAsync(to, stop);
        var some = Math.Min(to.Length, _to - _from);
        _buffer.AsMemory(_from, some).CopyTo(to);
        _from += some;
        return some;
    }

    /// <summary>Exactly so many bytes, good until the next call; null = the connection has ended.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> Take(int count, CancellationToken stop)
    {
        while (_to - _from < count)
        {
            if (!await More(stop)) return null;
        }
        _from += count;
        return _buffer.AsMemory(_from - count, count);
    }

    private async ValueTask<bool> More(CancellationToken stop)
    {
        _buffer.AsSpan(_from, _to - _from).CopyTo(_buffer);
        (_to, _from) = (_to - _from, 0);
        if (_to == _buffer.Length) throw new InvalidDataException("a head that is too large");
        var got = await socket.ReceiveAsync(_buffer.AsMemory(_to), stop);
        _to += got;
        return got > 0;
    }
}
