using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Bench.Lb;

/// <summary>Many websockets, of which a few at a time send a message and wait for it to come back.</summary>
internal sealed class WebSockets : IDisposable
{
    private readonly List<Socket> _all = [];

    public static async Task<WebSockets> Open(int port, int count)
    {
        var sockets = new WebSockets();
        var buffer = new byte[4096];
        for (var i = 0; i < count; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            sockets._all.Add(socket);
            await socket.ConnectAsync(IPAddress.Loopback, port);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {Convert.ToBase64String(Guid.NewGuid().ToByteArray())}\r\n\r\n"));
            var got = await socket.ReceiveAsync(buffer);
            if (!buffer.AsSpan(0, got).StartsWith("HTTP/1.1 101"u8)) throw new InvalidOperationException("no websocket: " + Encoding.ASCII.GetString(buffer, 0, got));
        }
        return sockets;
    }

    /// <param name="atOnce">Messages under way.</param>
    public async Task<Sample> Talk(int atOnce, TimeSpan time)
    {
        var end = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
        var shares = Enumerable.Range(0, atOnce).Select(x => Talk([.. _all.Where((_, i) => i % atOnce == x)], end)).ToList();
        return Sample.Of([.. (await Task.WhenAll(shares)).SelectMany(x => x)], 0, time);
    }

    public void Dispose()
    {
        foreach (var socket in _all) socket.Dispose();
    }

    private static async Task<List<double>> Talk(Socket[] mine, long end)
    {
        var times = new List<double>();
        byte[] message = [0x82, 0x80 | 20, 1, 2, 3, 4, .. Enumerable.Repeat((byte)'m', 20)];
        var buffer = new byte[64];
        for (var i = 0; Stopwatch.GetTimestamp() < end; i++)
        {
            var socket = mine[i % mine.Length];
            var start = Stopwatch.GetTimestamp();
            await socket.SendAsync(message);
            for (var got = 0; got < 22;)
            {
                var count = await socket.ReceiveAsync(buffer.AsMemory(got));
                if (count == 0) throw new InvalidOperationException("a websocket was closed");
                got += count;
            }
            times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }
        return times;
    }
}
