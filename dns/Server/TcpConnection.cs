using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using Declarative.Dns.Wire;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>
/// DNS over a stream (RFC 1035, 4.2.2; RFC 7766), plain or TLS: messages with a two-byte length before them, any number of queries sent
/// without waiting; what we know is answered in order, what has to be asked for elsewhere when it is there; closed when idle.
/// </summary>
internal sealed class TcpConnection(Stream stream, IPAddress client, DnsZones zones, ServerParts parts, Answering answering, ILogger logger) : IDisposable
{
    private const int LengthSize = 2;
    private const int AnswerSizeMax = ushort.MaxValue;
    private readonly SemaphoreSlim _writing = new(1);
    private readonly byte[] _address = client.GetAddressBytes();
    private readonly ForeignQuestions? _foreign = parts.Forwarder is { } forwarder ? new ForeignQuestions(forwarder, logger) : null;

    public async Task Run(CancellationToken stop)
    {
        var input = ArrayPool<byte>.Shared.Rent(2 * (LengthSize + DnsLimits.QueryBytesMax));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        try
        {
            var held = 0;
            while (true)
            {
                limit.CancelAfter(TimeSpan.FromSeconds(DnsLimits.TcpIdleSeconds));
                var got = await stream.ReadAsync(input.AsMemory(held), limit.Token);
                if (got == 0)
                    break;
                held += got;
                limit.CancelAfter(TimeSpan.FromSeconds(DnsLimits.TcpWriteSeconds));
                var used = await AnswerAll(input.AsMemory(0, held), limit);
                if (used < 0)
                    return;
                input.AsSpan(used, held - used).CopyTo(input);
                held -= used;
            }
            // A client that has sent all its questions still gets the answers (RFC 7766, 6.2.4).
            if (_foreign is not null)
                await _foreign.Rest(stop);
        }
        finally
        {
            await limit.CancelAsync();
            if (_foreign is not null)
                await _foreign.Rest(CancellationToken.None);
            ArrayPool<byte>.Shared.Return(input);
        }
    }

    public void Dispose() => _writing.Dispose();

    /// <summary>Answers all whole queries; returns what they took of the input, -1 to close. An idle connection holds no answer's room.</summary>
    private async Task<int> AnswerAll(ReadOnlyMemory<byte> input, CancellationTokenSource limit)
    {
        var output = ArrayPool<byte>.Shared.Rent(2 * (LengthSize + AnswerSizeMax));
        try
        {
            var used = 0;
            while (true)
            {
                var (read, written, left) = AnswerSome(input.Span[used..], output);
                await Send(output.AsMemory(0, written), limit.Token);
                if (left is { Fate: AnswerFate.Transfer })
                    await Transfer(left, limit);
                else if (left is not null)
                    await AskElsewhere(left, limit.Token);
                if (read < 0)
                    return -1;
                used += read;
                if (left is null && read == 0)
                    return used;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(output);
        }
    }

    private async ValueTask Send(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        if (bytes.Length == 0)
            return;
        await _writing.WaitAsync(stop);
        try
        {
            await stream.WriteAsync(bytes, stop);
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task AskElsewhere(Left left, CancellationToken stop)
    {
        // Who asks for very much at once is read from more slowly.
        while (_foreign!.Open >= DnsLimits.ForwardsPerConnectionMax)
            await _foreign.One(stop);
        _foreign.Start(left.Packet, left.Local, stream: true, answer => SendMessage(answer, stop), stop);
    }

    private async ValueTask SendMessage(ReadOnlyMemory<byte> message, CancellationToken stop)
    {
        var framed = new byte[LengthSize + message.Length];
        BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)message.Length);
        message.Span.CopyTo(framed.AsSpan(LengthSize));
        await Send(framed, stop);
    }

    /// <summary>A large zone may take as long as the client goes on reading.</summary>
    private async Task Transfer(Left left, CancellationTokenSource limit)
    {
        foreach (var message in new ZoneTransfer(parts, logger).Messages(left.Packet, zones.Cell.Current, client, zones.Ticks))
        {
            limit.CancelAfter(TimeSpan.FromSeconds(DnsLimits.TcpWriteSeconds));
            await SendMessage(message, limit.Token);
        }
    }

    /// <summary>
    /// Answers whole queries while there is room for another longest answer, until one leaves something to do. Read -1: the client sends what
    /// is no query, and with it the place of the next length is in doubt.
    /// </summary>
    private (int Read, int Written, Left? Left) AnswerSome(ReadOnlySpan<byte> input, Span<byte> output)
    {
        int read = 0, written = 0;
        Left? left = null;
        answering.Begin();
        while (left is null && input.Length - read >= LengthSize && output.Length - written >= LengthSize + AnswerSizeMax)
        {
            var length = BinaryPrimitives.ReadUInt16BigEndian(input[read..]);
            if (length is < Header.Size or > DnsLimits.QueryBytesMax)
            {
                read = -1;
                break;
            }
            if (input.Length - read - LengthSize < length)
                break;
            var packet = input.Slice(read + LengthSize, length);
            var room = output.Slice(written + LengthSize, AnswerSizeMax);
            var answer = answering.Write(packet, room, stream: true, _address, out var fate);
            read += LengthSize + length;
            if (fate != AnswerFate.Done)
            {
                left = new Left(fate, packet.ToArray(), room[..answer].ToArray());
                break;
            }
            if (answer == 0)
                continue;
            BinaryPrimitives.WriteUInt16BigEndian(output[written..], (ushort)answer);
            written += LengthSize + answer;
        }
        answering.End();
        return (read, written, left);
    }

    /// <summary>A query that is not done with.</summary>
    private sealed record Left(AnswerFate Fate, byte[] Packet, byte[] Local);
}
