using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Declarative.Bench.Lb.Show;

/// <summary>
/// What the pods of the show run: its pod's name at every path, echoing websockets at <c>/ws</c>, <c>/download?seconds=N</c> in pieces, and on a port of
/// its own HTTP/2 with streams that send every message back and end with gRPC's trailer. Ports come in the environment. On bare sockets: of the machine's
/// two cores the balancer and the platform shall have what there is, and pods come and go by the dozen.
/// </summary>
internal static class ShowServer
{
    private const int PieceBytes = 16 * 1024;
    private static readonly TimeSpan PieceEvery = TimeSpan.FromMilliseconds(100);
    private static readonly byte[] Piece = new byte[PieceBytes];

    public static int PiecesOf(int seconds) => seconds * 10;

    public static long BytesOf(int seconds) => (long)PiecesOf(seconds) * PieceBytes;

    public static async Task<int> Serve()
    {
        var name = Environment.GetEnvironmentVariable("POD_NAME") ?? "";
        var answer = Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {name.Length}\r\n\r\n{name}");
        // As servers do: what has begun is ended, whatever else waits is left.
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            told.TrySetResult();
        });
        // The port that the pod's readiness is asked on comes last: whoever is ready has both.
        var serving = Task.WhenAll(Accept(Port("PORT_TALK"), Talk), Accept(Port("PORT_WEB"), x => Web(x, answer)));
        await Task.WhenAny(serving, told.Task);
        while (Volatile.Read(ref Inside) > 0) await Task.Delay(50);
        return 0;
    }

    /// <summary>Answers and streams that have begun.</summary>
    private static int Inside;

    private static async Task Busy(Func<Task> one)
    {
        Interlocked.Increment(ref Inside);
        try
        {
            await one();
        }
        finally
        {
            Interlocked.Decrement(ref Inside);
        }
    }

    private static int Port(string name) => int.Parse(Environment.GetEnvironmentVariable(name)!, CultureInfo.InvariantCulture);

    private static async Task Accept(int port, Func<Socket, Task> serve)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
        listener.Listen(1024);
        while (true) _ = Carry(await listener.AcceptAsync(), serve);
    }

    private static async Task Carry(Socket socket, Func<Socket, Task> serve)
    {
        using var mine = socket;
        socket.NoDelay = true;
        try
        {
            await serve(socket);
        }
        catch (Exception e) when (e is SocketException or InvalidDataException)
        {
            return; // whoever it was is gone
        }
    }

    private static async Task Web(Socket socket, byte[] answer)
    {
        var reader = new HeadReader(socket);
        while (await reader.Read(CancellationToken.None) is { } head)
        {
            if (head.StartsWith("GET /ws ", StringComparison.Ordinal))
            {
                await socket.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {WebSocketWire.Accept(head)}\r\n\r\n"));
                await Busy(() => Echo(socket, reader));
                return;
            }
            if (head.StartsWith("GET /download?seconds=", StringComparison.Ordinal)) await Busy(() => Download(socket, int.Parse(head.AsSpan(22, head.IndexOf(' ', 22) - 22), NumberStyles.None, CultureInfo.InvariantCulture)));
            else await Busy(() => socket.SendAsync(answer));
        }
    }

    private static async Task Echo(Socket socket, HeadReader reader)
    {
        while (await WebSocketWire.Read(reader, CancellationToken.None) is (var code, var message))
        {
            await socket.SendAsync(WebSocketWire.Of(code, message, mask: false));
            if (code == WebSocketWire.Close) return;
        }
    }

    private static async Task Download(Socket socket, int seconds)
    {
        await socket.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {BytesOf(seconds)}\r\n\r\n"));
        var watch = Stopwatch.StartNew();
        for (var i = 1; i <= PiecesOf(seconds); i++)
        {
            for (var sent = 0; sent < PieceBytes;) sent += await socket.SendAsync(Piece.AsMemory(sent));
            if (i * PieceEvery - watch.Elapsed is { Ticks: > 0 } wait) await Task.Delay(wait);
        }
    }

    private static async Task Talk(Socket socket)
    {
        var frames = new Frames(socket);
        var streams = 0;
        try
        {
            await Talk(socket, frames, x => streams += x);
        }
        finally
        {
            Interlocked.Add(ref Inside, -streams);
        }
    }

    /// <param name="begun">Is told of each stream that begins (1) and ends (-1).</param>
    private static async Task Talk(Socket socket, Frames frames, Action<int> begun)
    {
        if (!await frames.Skip(Frames.Preface.Length, CancellationToken.None)) return;
        await socket.SendAsync(Frames.Of(Frames.Settings, 0, 0, []));
        while (await frames.Read(CancellationToken.None) is { } frame)
        {
            if (frame.Type == Frames.Headers) Count(1);
            byte[] back = frame.Type switch
            {
                Frames.Settings when !frame.Has(Frames.Ack) => Frames.Of(Frames.Settings, Frames.Ack, 0, []),
                Frames.Ping when !frame.Has(Frames.Ack) => Frames.Of(Frames.Ping, Frames.Ack, 0, frame.Payload.Span),
                Frames.Headers => Frames.Of(Frames.Headers, Frames.EndHeaders, frame.Stream, Frames.Block((":status", "200"), ("content-type", "application/grpc"))),
                Frames.Data when frame.Payload.Length > 0 => [.. Frames.Room(frame.Stream, frame.Payload.Length), .. Frames.Of(Frames.Data, 0, frame.Stream, frame.Payload.Span)],
                _ => [],
            };
            if (frame.Type is Frames.Headers or Frames.Data && frame.Has(Frames.EndStream))
            {
                back = [.. back, .. Frames.Of(Frames.Headers, Frames.EndHeaders | Frames.EndStream, frame.Stream, Frames.Block(("grpc-status", "0")))];
            }
            if (back.Length > 0) await socket.SendAsync(back);
            if (frame.Type == Frames.Reset || (frame.Type is Frames.Headers or Frames.Data && frame.Has(Frames.EndStream))) Count(-1);
        }

        void Count(int by)
        {
            Interlocked.Add(ref Inside, by);
            begun(by);
        }
    }
}
