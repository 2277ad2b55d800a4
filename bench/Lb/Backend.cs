using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Declarative.Bench.Lb;

/// <summary>A server of websockets that sends every short message back. Prints its port; ends with its input.</summary>
internal static class Backend
{
    private const string Key = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3

    public static int Serve()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(4096);
        Console.WriteLine(((IPEndPoint)listener.LocalEndPoint!).Port.ToString(CultureInfo.InvariantCulture));
        var serving = Accept(listener);
        Console.In.ReadToEnd();
        listener.Dispose();
        serving.GetAwaiter().GetResult();
        return 0;
    }

    private static async Task Accept(Socket listener)
    {
        while (true)
        {
            try
            {
                _ = Connection(await listener.AcceptAsync());
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private static async Task Connection(Socket socket)
    {
        using var mine = socket;
        socket.NoDelay = true;
        var buffer = new byte[4096];
        try
        {
            var filled = 0;
            while (buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8) < 0)
            {
                var some = await socket.ReceiveAsync(buffer.AsMemory(filled));
                if (some == 0) return;
                filled += some;
            }
            var head = Encoding.ASCII.GetString(buffer, 0, filled);
            var line = head.Split("\r\n").First(x => x.StartsWith("Sec-WebSocket-Key: ", StringComparison.OrdinalIgnoreCase));
            var accept = Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(line.Split(' ')[1] + Key)));
            await socket.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"));
            filled = 0;
            while (await socket.ReceiveAsync(buffer.AsMemory(filled)) is > 0 and var count)
            {
                filled += count;
                while (filled >= 6 && filled >= 6 + (buffer[1] & 0x7f))
                {
                    var length = buffer[1] & 0x7f;
                    var mask = BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(2));
                    var answer = new byte[2 + length];
                    (answer[0], answer[1]) = (0x82, (byte)length);
                    for (var i = 0; i < length; i++) answer[2 + i] = (byte)(buffer[6 + i] ^ (mask >> i % 4 * 8));
                    await socket.SendAsync(answer);
                    buffer.AsSpan((6 + length)..filled).CopyTo(buffer);
                    filled -= 6 + length;
                }
            }
        }
        catch (SocketException)
        {
            return; // the client went away
        }
    }
}
