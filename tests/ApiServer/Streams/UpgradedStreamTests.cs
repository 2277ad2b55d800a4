using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Declarative.ApiServer.Authentication;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.Streams;

/// <summary>
/// Connections that were taken over from HTTP, by a client that writes their bytes itself: what it sends together with the request, both directions full
/// at the same time, and an end that comes together with data.
/// </summary>
public sealed class UpgradedStreamTests : IAsyncLifetime
{
    private const int Megabytes = 1024 * 1024;
    private const int SocketBytes = 64 * 1024;
    private const byte Binary = 0x82;
    private static readonly byte[] End = [0x88, 0x80, 0, 0, 0, 0]; // a close without a reason
    private readonly TcpListener _task = new(IPAddress.Loopback, 0);
    private RunningFace _server = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        // Else what is in the air has room for more than is sent.
        (_task.Server.SendBufferSize, _task.Server.ReceiveBufferSize) = (SocketBytes, SocketBytes);
        _task.Start();
        _server = await RunningFace.Start();
        await RunningPod.MakeNode(_server, "agent-0", agentPort: 1);
        await RunningPod.Make(_server, "web", "agent-0", ports: [(8080, ((IPEndPoint)_task.LocalEndpoint).Port)]);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _task.Dispose();
    }

    [Fact]
    public async Task What_is_sent_with_the_request_and_while_both_directions_are_full_arrives_whole()
    {
        await Task.WhenAll(Enumerable.Range(0, 1).Select(async number =>
        {
            var sent = RandomNumberGenerator.GetBytes(24 * Megabytes);
            await using var client = await Connect();
            // The first bytes are on their way before there is an answer.
            await client.WriteAsync((byte[])[.. Request(), .. Frame(sent.AsSpan(0, 1000))], Stop);
            using var port = await _task.AcceptSocketAsync(Stop);
            var echoing = Echo(port);
            var sizes = new Random(number);
            var written = 0;
            var writing = Task.Run(async () =>
            {
                for (var at = 1000; at < sent.Length;)
                {
                    var size = Math.Min(sent.Length - at, sizes.Next(1, 200_000));
                    await client.WriteAsync(Frame(sent.AsSpan(at, size)), Stop);
                    Volatile.Write(ref written, at += size);
                }
            }, Stop);
            // Nothing is read until nothing more can be written.
            for (var before = -1; before != Volatile.Read(ref written); await Task.Delay(100, Stop)) before = Volatile.Read(ref written);
            Assert.False(writing.IsCompleted, "nothing was full");
            var reader = new Frames(client);
            await reader.Head();
            for (var at = 0; at < sent.Length;)
            {
                var (channel, bytes) = await reader.Next();
                // The first message of each channel is the number of the port.
                if (bytes is [0x90, 0x1f]) continue;
                Assert.Equal(0, channel);
                Assert.True(sent.AsSpan(at, bytes.Length).SequenceEqual(bytes), $"other bytes at {at}");
                at += bytes.Length;
            }
            await writing;
            await client.DisposeAsync();
            await echoing;
        }));
    }

    [Fact]
    public async Task What_is_sent_together_with_the_end_reaches_the_task()
    {
        for (var i = 0; i < 5; i++)
        {
            await using var client = await Connect();
            await client.WriteAsync(Request(), Stop);
            using var port = await _task.AcceptSocketAsync(Stop);
            var bytes = RandomNumberGenerator.GetBytes(200_000);
            await client.WriteAsync((byte[])[.. Frame(bytes), .. End], Stop);
            var came = new byte[bytes.Length];
            await using var stream = new NetworkStream(port);
            await stream.ReadExactlyAsync(came, Stop);
            Assert.Equal(bytes, came);
            Assert.Equal(0, await stream.ReadAsync(came, Stop));
        }
    }

    private static async Task Echo(Socket port)
    {
        var buffer = new byte[64 * 1024];
        while (await port.ReceiveAsync(buffer, Stop) is > 0 and var count)
        {
            for (var sent = 0; sent < count;) sent += await port.SendAsync(buffer.AsMemory(sent, count - sent), Stop);
        }
    }

    private async Task<SslStream> Connect()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, SendBufferSize = SocketBytes, ReceiveBufferSize = SocketBytes };
        await socket.ConnectAsync(IPAddress.Loopback, _server.Face.Port, Stop);
        var stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost", RemoteCertificateValidationCallback = (_, _, _, _) => true }, Stop);
        return stream;
    }

    private byte[] Request() => Encoding.ASCII.GetBytes(string.Join("\r\n",
        "GET /api/v1/namespaces/default/pods/web/portforward?ports=8080 HTTP/1.1", "Host: localhost",
        "Authorization: Bearer " + _server.Face.Pki.Token(Identity.All.First(x => x.Role == "admin")),
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: v4.channel.k8s.io", "", ""));

    /// <summary>RFC 6455, 5.2, with a mask of zeros; the first byte of a message is the channel.</summary>
    private static byte[] Frame(ReadOnlySpan<byte> data)
    {
        var frame = new byte[15 + data.Length];
        (frame[0], frame[1]) = (Binary, 0x80 | 127);
        BinaryPrimitives.WriteInt64BigEndian(frame.AsSpan(2), 1 + data.Length);
        data.CopyTo(frame.AsSpan(15));
        return frame;
    }

    /// <summary>What the server says.</summary>
    private sealed class Frames(Stream stream)
    {
        private readonly BufferedStream _stream = new(stream, 64 * 1024);

        public async Task Head()
        {
            var head = new List<byte>();
            var one = new byte[1];
            while (head is not [.., 13, 10, 13, 10])
            {
                await _stream.ReadExactlyAsync(one, Stop);
                head.Add(one[0]);
            }
            Assert.StartsWith("HTTP/1.1 101 ", Encoding.ASCII.GetString([.. head]), StringComparison.Ordinal);
        }

        public async Task<(byte Channel, byte[] Bytes)> Next()
        {
            var head = new byte[10];
            await _stream.ReadExactlyAsync(head.AsMemory(0, 2), Stop);
            Assert.Equal(Binary, head[0]);
            long length = head[1];
            if (length == 126)
            {
                await _stream.ReadExactlyAsync(head.AsMemory(2, 2), Stop);
                length = BinaryPrimitives.ReadUInt16BigEndian(head.AsSpan(2));
            }
            else if (length == 127)
            {
                await _stream.ReadExactlyAsync(head.AsMemory(2, 8), Stop);
                length = BinaryPrimitives.ReadInt64BigEndian(head.AsSpan(2));
            }
            var message = new byte[length];
            await _stream.ReadExactlyAsync(message, Stop);
            return (message[0], message[1..]);
        }
    }
}
