using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Bench.Lb;

/// <summary>The cheapest server that speaks enough HTTP: <c>/1mb</c> gives 1 MB, everything else 13 bytes. Prints its port; ends with its input.</summary>
internal static class Backend
{
    private static readonly byte[] Small = Answer(13, "keep-alive");
    private static readonly byte[] SmallAndClose = Answer(13, "close");
    private static readonly byte[] Large = Answer(1_000_000, "keep-alive");

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
        var buffer = new byte[16 * 1024];
        var filled = 0;
        try
        {
            while (await socket.ReceiveAsync(buffer.AsMemory(filled)) is > 0 and var count)
            {
                filled += count;
                while (buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8) is >= 0 and var end)
                {
                    var request = buffer.AsMemory(0, end);
                    var close = request.Span.IndexOf("onnection: close"u8) >= 0;
                    var answer = request.Span.StartsWith("GET /1mb"u8) ? Large : close ? SmallAndClose : Small;
                    for (var sent = 0; sent < answer.Length;) sent += await socket.SendAsync(answer.AsMemory(sent));
                    if (close) return;
                    buffer.AsSpan((end + 4)..filled).CopyTo(buffer);
                    filled -= end + 4;
                }
            }
        }
        catch (SocketException)
        {
            return; // the client went away
        }
    }

    private static byte[] Answer(int bytes, string connection) =>
        [.. Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {bytes}\r\nConnection: {connection}\r\n\r\n"), .. Enumerable.Repeat((byte)'x', bytes)];
}
