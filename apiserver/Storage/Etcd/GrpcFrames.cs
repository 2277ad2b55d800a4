using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using Google.Protobuf;

namespace Declarative.ApiServer.Storage.Etcd;

/// <summary>
/// gRPC's form on HTTP/2: a message is one byte 0 (not compressed), four bytes of length, the bytes; the outcome is <c>grpc-status</c> in the
/// trailers, or in the headers where there is no message. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
/// </summary>
internal static class GrpcFrames
{
    private const int HeadBytes = 5;

    public static byte[] Write(IMessage message)
    {
        var size = message.CalculateSize();
        var frame = new byte[HeadBytes + size];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), size);
        message.WriteTo(frame.AsSpan(HeadBytes));
        return frame;
    }

    /// <summary>The next message; null at the end of the stream.</summary>
    public static async Task<byte[]?> Read(Stream stream, CancellationToken stop)
    {
        var head = new byte[HeadBytes];
        var read = await stream.ReadAtLeastAsync(head, HeadBytes, throwOnEndOfStream: false, stop);
        if (read == 0) return null;
        if (read < HeadBytes || head[0] != 0) throw new IOException("the answer is no uncompressed gRPC message");
        var size = BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(1));
        if (size > EtcdLimits.MessageBytesMax) throw new IOException($"a message of {size} bytes, more than {EtcdLimits.MessageBytesMax}");
        var message = new byte[size];
        await stream.ReadExactlyAsync(message, stop);
        return message;
    }

    /// <summary>Throws what the status says; nothing where it is 0. Called after the body has been read to its end.</summary>
    public static void Check(HttpResponseMessage answer)
    {
        if (answer.StatusCode != HttpStatusCode.OK) throw new EtcdException(EtcdException.Unavailable, $"HTTP {(int)answer.StatusCode}");
        if (!answer.TrailingHeaders.TryGetValues("grpc-status", out var values) && !answer.Headers.TryGetValues("grpc-status", out values))
            throw new EtcdException(EtcdException.Unavailable, "the answer ended without a status");
        var code = int.Parse(values.First(), CultureInfo.InvariantCulture);
        if (code == 0) return;
        var message = answer.TrailingHeaders.TryGetValues("grpc-message", out var texts) || answer.Headers.TryGetValues("grpc-message", out texts) ? Uri.UnescapeDataString(texts.First()) : "";
        throw new EtcdException(code, message.Length > 0 ? message : $"gRPC status {code}");
    }
}
