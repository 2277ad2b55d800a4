using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Declarative.Cli.Commands;

/// <summary>
/// The tiny web server of the example manifests: answers with its pod's name. <c>/</c> and any other path 200, <c>/healthz</c> 200 and not logged,
/// <c>/slow?ms=N</c> after N milliseconds, <c>/exit?code=N</c> answers and ends with that code. Plain sockets, because it is started many
/// times and has to be ready at once in little memory.
/// </summary>
internal sealed class SampleWeb
{
    private const int HeadBytesMax = 16 * 1024;
    private const int Backlog = 512;
    private static readonly byte[] HeadEnd = "\r\n\r\n"u8.ToArray();

    private readonly string _name;
    private readonly TextWriter _output;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _connections = [];
    private readonly CancellationTokenSource _ending = new();
    private int _exitCode;
    private int _inFlight;

    /// <summary>Requests that are read and not yet answered.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    public SampleWeb(string name, TextWriter output, TimeProvider time)
    {
        _name = name;
        _output = output;
        _time = time;
    }

    /// <summary><c>declarative sample-web [--port N]</c>; without the option the port is $PORT. Runs until TERM or Ctrl-C.</summary>
    public static async Task<int> Run(string[] arguments, TimeProvider time)
    {
        if (Port(arguments) is not { } port)
        {
            await Console.Error.WriteLineAsync("usage: declarative sample-web [--port N]   (default: $PORT)");
            return 2;
        }

        var own = Environment.GetEnvironmentVariable("POD_NAME") is { Length: > 0 } pod ? pod : Environment.MachineName;
        using var stop = new CancellationTokenSource();
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        try
        {
            return await new SampleWeb(own, Console.Out, time).Serve(new IPEndPoint(IPAddress.Loopback, port), stop.Token);
        }
        catch (SocketException refused)
        {
            await Console.Error.WriteLineAsync($"cannot listen on 127.0.0.1:{port}: {refused.Message}");
            return 1;
        }

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }
    }

    /// <summary>Serves until <paramref name="stop"/> or /exit, then finishes the requests in flight.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> Serve(IPEndPoint address, CancellationToken stop)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, _ending.Token);
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(address);
        listener.Listen(Backlog);
        await _output.WriteLineAsync($"{_name} listens on {listener.LocalEndPoint}");
        try
        {
            while (true)
            {
                var connection = Answer(await listener.AcceptAsync(either.Token), either.Token);
                lock (_gate)
                {
                    _connections.RemoveWhere(static done => done.IsCompleted);
                    _connections.Add(connection);
                }
            }
        }
        catch (OperationCanceledException)
        {
            listener.Close();
        }

        Task[] open;
        lock (_gate)
            open = [.. _connections];
        await Task.WhenAll(open);
        await _output.WriteLineAsync($"{_name} ends");
        return _exitCode;
    }

    // One connection: request after request until the client closes, or we end.
    private async Task Answer(Socket socket, CancellationToken stop)
    {
        using var own = socket;
        socket.NoDelay = true;
        var buffer = new byte[HeadBytesMax];
        var filled = 0;
        try
        {
            while (true)
            {
                var end = buffer.AsSpan(0, filled).IndexOf(HeadEnd);
                if (end < 0)
                {
                    if (filled == buffer.Length)
                        return;
                    // Waiting for a request is not a request in flight: it ends at once.
                    var read = await socket.ReceiveAsync(buffer.AsMemory(filled), stop);
                    if (read == 0)
                        return;
                    filled += read;
                    continue;
                }

                var request = Request.Parse(Encoding.ASCII.GetString(buffer, 0, end));
                var start = end + HeadEnd.Length;
                var consumed = start + await Skip(socket, filled - start, request.ContentLength);
                buffer.AsSpan(Math.Min(consumed, filled), Math.Max(0, filled - consumed)).CopyTo(buffer);
                filled = Math.Max(0, filled - consumed);
                Interlocked.Increment(ref _inFlight);
                var keeps = await Reply(socket, request, stop);
                Interlocked.Decrement(ref _inFlight);
                if (!keeps)
                    return;
            }
        }
        catch (Exception gone) when (gone is SocketException or OperationCanceledException)
        {
            // The client went away, or we end.
            return;
        }
    }

    /// <returns>False when the connection is to be closed.</returns>
    private async Task<bool> Reply(Socket socket, Request request, CancellationToken stop)
    {
        var began = _time.GetTimestamp();
        var status = request.IsWellFormed ? "200 OK" : "400 Bad Request";
        if (request.Path == "/slow" && request.Number("ms") is { } milliseconds)
            await Task.Delay(TimeSpan.FromMilliseconds(milliseconds), _time);
        var ends = request.Path == "/exit" && request.Number("code") is not null;
        var keeps = request is { IsWellFormed: true, KeepsAlive: true } && !ends && !stop.IsCancellationRequested;
        var body = _name + "\n";
        var text =
            $"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n"
            + $"Connection: {(keeps ? "keep-alive" : "close")}\r\n\r\n{(request.Method == "HEAD" ? "" : body)}";
        await socket.SendAsync(Encoding.UTF8.GetBytes(text), SocketFlags.None);
        var took = _time.GetElapsedTime(began).TotalMilliseconds;
        // Its probes ask every second or so: they would hide the requests of users.
        if (request.Path != "/healthz") await _output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{request.Method} {request.Target} {status[..3]} {took:0.0} ms"));
        if (ends)
        {
            _exitCode = request.Number("code") ?? 0;
            _ending.Cancel();
        }

        return keeps;
    }

    // Reads past a body of which `buffered` bytes are here already. Returns how many of those belonged to it.
    private static async Task<int> Skip(Socket socket, int buffered, int length)
    {
        var rest = new byte[Math.Min(8192, Math.Max(0, length - buffered))];
        for (var left = length - buffered; left > 0; )
        {
            var read = await socket.ReceiveAsync(rest.AsMemory(0, Math.Min(rest.Length, left)), SocketFlags.None);
            if (read == 0)
                break;
            left -= read;
        }

        return Math.Min(buffered, length);
    }

    private static int? Port(string[] arguments)
    {
        var text = arguments switch
        {
            [] => Environment.GetEnvironmentVariable("PORT"),
            ["--port", var port] => port,
            [var port] when port.StartsWith("--port=", StringComparison.Ordinal) => port["--port=".Length..],
            _ => null,
        };
        return int.TryParse(text, CultureInfo.InvariantCulture, out var number) && number is >= 0 and <= 65535 ? number : null;
    }

    private readonly record struct Request(string Method, string Target, bool KeepsAlive, int ContentLength, bool IsWellFormed)
    {
        public string Path => Target.Split('?')[0];

        public static Request Parse(string head)
        {
            var lines = head.Split("\r\n");
            var parts = lines[0].Split(' ');
            if (parts.Length != 3 || !parts[2].StartsWith("HTTP/1.", StringComparison.Ordinal))
                return new("?", "?", false, 0, false);
            var keeps = parts[2] == "HTTP/1.1";
            var length = 0;
            var wellFormed = true;
            foreach (var line in lines.AsSpan(1))
            {
                var colon = line.IndexOf(':', StringComparison.Ordinal);
                var field = colon < 0 ? line : line[..colon];
                var value = colon < 0 ? "" : line[(colon + 1)..].Trim();
                if (field.Equals("Connection", StringComparison.OrdinalIgnoreCase))
                    keeps = !value.Equals("close", StringComparison.OrdinalIgnoreCase) && (keeps || value.Equals("keep-alive", StringComparison.OrdinalIgnoreCase));
                else if (field.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
                    wellFormed &= int.TryParse(value, CultureInfo.InvariantCulture, out length) && length >= 0;
                else if (field.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase))
                    keeps = false;
            }

            return new(parts[0], parts[1], keeps, length, wellFormed);
        }

        public int? Number(string parameter)
        {
            var query = Target.IndexOf('?', StringComparison.Ordinal) is > 0 and var mark ? Target[(mark + 1)..] : "";
            foreach (var pair in query.Split('&'))
            {
                if (pair.StartsWith(parameter + "=", StringComparison.Ordinal) && int.TryParse(pair.AsSpan(parameter.Length + 1), CultureInfo.InvariantCulture, out var number) && number >= 0)
                    return number;
            }

            return null;
        }
    }
}
