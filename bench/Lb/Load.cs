using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Bench.Lb;

/// <summary>The built-in client: a closed loop on each connection. Prints <c>requests failures p50-µs p99-µs</c>.</summary>
internal static class Load
{
    public static int Run(int port, string path, int connections, int seconds)
    {
        var close = path == "/close";
        var request = Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{(close ? "Connection: close\r\n" : "")}\r\n");
        var end = Stopwatch.GetTimestamp() + seconds * Stopwatch.Frequency;
        var loops = Enumerable.Range(0, connections).Select(_ => Loop(port, request, close, end)).ToList();
        var results = Task.WhenAll(loops).GetAwaiter().GetResult();
        var times = results.SelectMany(x => x.Times).Order().ToArray();
        string At(double share) => times.Length == 0 ? "0" : (times[(int)Math.Min(times.Length - 1, times.Length * share)] * 1e6 / Stopwatch.Frequency).ToString("F0", CultureInfo.InvariantCulture);
        Console.WriteLine($"{times.Length} {results.Sum(x => x.Failures)} {At(0.5)} {At(0.99)}");
        return 0;
    }

    private static async Task<(List<long> Times, int Failures)> Loop(int port, byte[] request, bool close, long end)
    {
        var times = new List<long>();
        var failures = 0;
        var buffer = new byte[256 * 1024];
        Socket? socket = null;
        for (long start; (start = Stopwatch.GetTimestamp()) < end;)
        {
            try
            {
                if (socket is null)
                {
                    socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                    await socket.ConnectAsync(IPAddress.Loopback, port);
                }
                await socket.SendAsync(request);
                await Answer(socket, buffer);
                times.Add(Stopwatch.GetTimestamp() - start);
                if (!close) continue;
            }
            catch (Exception e) when (e is SocketException or InvalidDataException)
            {
                failures++;
            }
            socket?.Dispose();
            socket = null;
        }
        socket?.Dispose();
        return (times, failures);
    }

    private static async Task Answer(Socket socket, byte[] buffer)
    {
        var filled = 0;
        int head;
        while ((head = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8)) < 0)
        {
            var count = await socket.ReceiveAsync(buffer.AsMemory(filled));
            if (count == 0) throw new InvalidDataException("cut");
            filled += count;
        }
        var text = Encoding.ASCII.GetString(buffer, 0, head);
        if (!text.StartsWith("HTTP/1.1 200", StringComparison.Ordinal)) throw new InvalidDataException(text);
        var at = text.IndexOf("content-length: ", StringComparison.OrdinalIgnoreCase) + 16;
        var stop = text.IndexOf('\r', at);
        var left = int.Parse(text.AsSpan(at, (stop < 0 ? text.Length : stop) - at), CultureInfo.InvariantCulture) - (filled - head - 4);
        while (left > 0)
        {
            var count = await socket.ReceiveAsync(buffer);
            if (count == 0) throw new InvalidDataException("cut");
            left -= count;
        }
    }
}
