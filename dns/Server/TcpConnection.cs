using System.Buffers;
using System.Buffers.Binary;
using System.Net.Sockets;

namespace Declarative.Dns.Server;

/// <summary>
/// DNS over a stream (RFC 1035, 4.2.2; RFC 7766): messages with a two-byte length before them, any number of queries sent without waiting,
/// answered in their order; closed when idle.
/// </summary>
internal sealed class TcpConnection(Socket socket, Answering answering)
{
    private const int LengthSize = 2;
    private const int AnswerSizeMax = ushort.MaxValue;

    public async Task Run(CancellationToken stop)
    {
        socket.NoDelay = true;
        var input = ArrayPool<byte>.Shared.Rent(2 * (LengthSize + DnsLimits.QueryBytesMax));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        try
        {
            var held = 0;
            while (true)
            {
                limit.CancelAfter(TimeSpan.FromSeconds(DnsLimits.TcpIdleSeconds));
                var got = await socket.ReceiveAsync(input.AsMemory(held), SocketFlags.None, limit.Token);
                if (got == 0)
                    return;
                held += got;
                limit.CancelAfter(TimeSpan.FromSeconds(DnsLimits.TcpWriteSeconds));
                var used = await AnswerAll(input.AsMemory(0, held), limit.Token);
                if (used < 0)
                    return;
                input.AsSpan(used, held - used).CopyTo(input);
                held -= used;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(input);
        }
    }

    /// <summary>Answers all whole queries; returns what they took of the input, -1 to close. An idle connection holds no answer's room.</summary>
    private async Task<int> AnswerAll(ReadOnlyMemory<byte> input, CancellationToken stop)
    {
        var output = ArrayPool<byte>.Shared.Rent(2 * (LengthSize + AnswerSizeMax));
        try
        {
            var used = 0;
            while (true)
            {
                var (read, written) = AnswerSome(input.Span[used..], output);
                await Send(output.AsMemory(0, written), stop);
                if (read <= 0)
                    return read < 0 ? -1 : used;
                used += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(output);
        }
    }

    private async Task Send(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        while (bytes.Length > 0)
            bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, stop)..];
    }

    /// <summary>
    /// Answers whole queries while there is room for another longest answer. Read -1: the client sends what is no query, and with it the
    /// place of the next length is in doubt.
    /// </summary>
    private (int Read, int Written) AnswerSome(ReadOnlySpan<byte> input, Span<byte> output)
    {
        int read = 0, written = 0;
        answering.Begin();
        while (input.Length - read >= LengthSize && output.Length - written >= LengthSize + AnswerSizeMax)
        {
            var length = BinaryPrimitives.ReadUInt16BigEndian(input[read..]);
            if (length is < Wire.Header.Size or > DnsLimits.QueryBytesMax)
            {
                read = -1;
                break;
            }
            if (input.Length - read - LengthSize < length)
                break;
            var answer = answering.Write(input.Slice(read + LengthSize, length), output.Slice(written + LengthSize, AnswerSizeMax), stream: true);
            read += LengthSize + length;
            if (answer == 0)
                continue;
            BinaryPrimitives.WriteUInt16BigEndian(output[written..], (ushort)answer);
            written += LengthSize + answer;
        }
        answering.End();
        return (read, written);
    }
}
