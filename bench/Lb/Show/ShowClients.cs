using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using static Declarative.Bench.Lb.Show.ShowHttp;

namespace Declarative.Bench.Lb.Show;

/// <summary>How many of each at once.</summary>
internal sealed record ShowLoad(int RequestsPerSecond, int WebSockets, int Streams, int Downloads);

/// <summary>
/// The load of the show: requests at a rate, and websockets, streams and downloads that each live for a while and are begun again. On bare sockets. A request
/// whose time has come waits for no other: those that are late are made up for.
/// </summary>
/// <param name="seconds">Life of a websocket, a stream and a download.</param>
internal sealed class ShowClients(string name, int web, int talk, ShowLoad load, int seconds)
{
    /// <summary>Each on a connection of its own, so many a second.</summary>
    private const int RequestsPerWorker = 5;
    private static readonly TimeSpan MessageEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>The first connections come while the platform's code is still being compiled.</summary>
    private static readonly TimeSpan BeginMax = TimeSpan.FromSeconds(30);

    /// <summary>Each of them ends now and then and is begun again.</summary>
    private const double WholeAtBegin = 0.75;

    /// <summary>For an answer, of any kind.</summary>
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(60);

    private static readonly byte[] Request = "GET / HTTP/1.1\r\nHost: show.example\r\n\r\n"u8.ToArray();
    private static readonly byte[] Message = "message"u8.ToArray();

    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];

    public string Name => name;

    public Tally[] Tallies { get; } =
    [
        new("requests", load.RequestsPerSecond, isRate: true), new("websockets", load.WebSockets, isRate: false), new("streams", load.Streams, isRate: false), new("downloads", load.Downloads, isRate: false),
    ];

    public long Failed => Tallies.Sum(x => x.Failed);

    public void Start()
    {
        var workers = Math.Max(1, load.RequestsPerSecond / RequestsPerWorker);
        for (var i = 0; i < workers; i++) Begin(() => Requests(TimeSpan.FromSeconds((double)workers / load.RequestsPerSecond)));
        Begin(load.WebSockets, Tallies[1], Socket);
        Begin(load.Streams, Tallies[2], Stream);
        Begin(load.Downloads, Tallies[3], Download);
    }

    /// <summary>Websockets, streams and downloads are all there; from here on the rates are counted.</summary>
    public async Task Begun()
    {
        for (var end = DateTime.UtcNow + BeginMax; DateTime.UtcNow < end && Tallies.Any(x => !x.IsRate && x.Open < x.Wanted * WholeAtBegin);) await Task.Delay(LookEvery);
        foreach (var tally in Tallies) tally.Begin();
        Begin(Looks);
    }

    /// <summary>Begins nothing new and waits until everything has ended by itself.</summary>
    public async Task Stop()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        _stop.Dispose();
    }

    private void Begin(Func<Task> one) => _running.Add(Task.Run(one));

    private void Begin(int count, Tally tally, Func<Tally, Task> one)
    {
        for (var i = 0; i < count; i++)
        {
            Begin(async () =>
            {
                await Task.Delay(Random.Shared.Next(1000));
                while (!_stop.IsCancellationRequested)
                {
                    var failed = tally.Failed;
                    await tally.Count(() => one(tally));
                    if (tally.Failed > failed) await Task.Delay(100);
                }
            });
        }
    }

    private async Task Looks()
    {
        for (; !_stop.IsCancellationRequested; await Task.Delay(LookEvery))
        {
            foreach (var tally in Tallies) tally.Look();
        }
    }

    private async Task Requests(TimeSpan every)
    {
        await Task.Delay(Random.Shared.Next(1000));
        var connection = new Kept(web);
        var due = Stopwatch.GetTimestamp();
        while (!_stop.IsCancellationRequested)
        {
            await Tallies[0].Count(connection.Ask);
            due += (long)(every.TotalSeconds * Stopwatch.Frequency);
            var wait = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due);
            if (wait > TimeSpan.Zero) await Task.Delay(wait);
        }
        connection.Close();
    }

    private async Task Socket(Tally tally)
    {
        using var late = new CancellationTokenSource(AnswerMax + TimeSpan.FromSeconds(seconds));
        using var socket = await Connect(web, late.Token);
        var reader = new HeadReader(socket);
        await Send(socket, "GET /ws HTTP/1.1\r\nHost: show.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvdyBzaG93IHNob3chIQ==\r\n\r\n"u8.ToArray(), late.Token);
        await Expect(reader, 101, late.Token);
        await tally.WhileOpen(async () =>
        {
            for (var end = DateTime.UtcNow.AddSeconds(seconds); DateTime.UtcNow < end && !_stop.IsCancellationRequested; await Task.Delay(MessageEvery, late.Token)) await Said(WebSocketWire.Text, Message);
        });
        await Said(WebSocketWire.Close, [3, 232]); // 1000, normal closure

        async Task Said(byte code, byte[] message)
        {
            await Send(socket, WebSocketWire.Of(code, message, mask: true), late.Token);
            if (await WebSocketWire.Read(reader, late.Token) is not (var back, var got)) throw new InvalidDataException("cut");
            if (back != code || !got.AsSpan().SequenceEqual(message)) throw new InvalidDataException("another message than was sent");
        }
    }

    private async Task Stream(Tally tally)
    {
        using var late = new CancellationTokenSource(AnswerMax + TimeSpan.FromSeconds(seconds));
        using var socket = await Connect(talk, late.Token);
        var frames = new Frames(socket);
        byte[] message = [0, 0, 0, 0, 3, 1, 2, 3];
        (string, string)[] headers = [(":method", "POST"), (":scheme", "http"), (":path", "/show.Echo/Talk"), (":authority", "show.example"), ("content-type", "application/grpc"), ("te", "trailers")];
        await Send(socket, [.. Frames.Preface, .. Frames.Of(Frames.Settings, 0, 0, []), .. Frames.Of(Frames.Headers, Frames.EndHeaders, 1, Frames.Block(headers))], late.Token);
        Frame head;
        while ((head = await Next()).Type != Frames.Headers)
        {
            // Words about the connection come before it.
        }
        if (head.Payload.Span is not [Frames.Status200, ..]) throw new InvalidDataException($"refused: {await Text()}");
        await tally.WhileOpen(async () =>
        {
            for (var end = DateTime.UtcNow.AddSeconds(seconds); DateTime.UtcNow < end && !_stop.IsCancellationRequested; await Task.Delay(MessageEvery, late.Token))
            {
                await Send(socket, Frames.Of(Frames.Data, 0, 1, message), late.Token);
                for (var got = 0; got < message.Length;)
                {
                    var frame = await Next();
                    if (frame.Type == Frames.Headers || frame.Has(Frames.EndStream) && frame.Type == Frames.Data) throw new InvalidDataException("ended by the other side");
                    if (frame.Type != Frames.Data || frame.Payload.Length == 0) continue;
                    got += frame.Payload.Length;
                    await Send(socket, Frames.Room(1, frame.Payload.Length), late.Token);
                }
            }
        });
        await Send(socket, Frames.Of(Frames.Data, Frames.EndStream, 1, []), late.Token);
        while (await Next() is var last && !(last.Type == Frames.Headers && last.Has(Frames.EndStream)))
        {
            if (last.Type == Frames.Data && last.Has(Frames.EndStream)) throw new InvalidDataException("ended without its trailer");
        }

        async Task<string> Text()
        {
            var text = new StringBuilder();
            for (var frame = head; !frame.Has(Frames.EndStream);)
            {
                frame = await Next();
                if (frame.Type == Frames.Data) text.Append(Encoding.Latin1.GetString(frame.Payload.Span));
            }
            return text.ToString().TrimEnd();
        }

        async Task<Frame> Next()
        {
            while (true)
            {
                var frame = await frames.Read(late.Token) ?? throw new InvalidDataException("cut");
                if (frame.Type == Frames.Reset) throw new InvalidDataException("reset");
                if (frame.Type == Frames.Settings && !frame.Has(Frames.Ack)) await Send(socket, Frames.Of(Frames.Settings, Frames.Ack, 0, []), late.Token);
                else if (frame.Type == Frames.Ping && !frame.Has(Frames.Ack)) await Send(socket, Frames.Of(Frames.Ping, Frames.Ack, 0, frame.Payload.Span), late.Token);
                else if (frame.Stream == 1) return frame;
            }
        }
    }

    private async Task Download(Tally tally)
    {
        using var late = new CancellationTokenSource(AnswerMax + TimeSpan.FromSeconds(seconds));
        using var socket = await Connect(web, late.Token);
        var reader = new HeadReader(socket);
        await Send(socket, Encoding.ASCII.GetBytes($"GET /download?seconds={seconds} HTTP/1.1\r\nHost: show.example\r\n\r\n"), late.Token);
        await Expect(reader, 200, late.Token);
        await tally.WhileOpen(async () =>
        {
            var buffer = new byte[64 * 1024];
            for (var left = ShowServer.BytesOf(seconds); left > 0;)
            {
                var got = await reader.Read(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), late.Token);
                if (got == 0) throw new InvalidDataException("cut");
                left -= got;
            }
        });
    }

    /// <summary>A connection that is kept for the next request. One that was closed while nobody used it, or before any byte of an answer, is made again once: so do browsers.</summary>
    private sealed class Kept(int port)
    {
        private Socket? _socket;
        private HeadReader _reader = null!;

        public async Task Ask()
        {
            using var late = new CancellationTokenSource(AnswerMax);
            for (var isLast = _socket is null; ; isLast = true)
            {
                try
                {
                    if (await TryAsk(late.Token)) return;
                    if (isLast) throw new InvalidDataException("cut before an answer");
                }
                catch (SocketException) when (!isLast && _reader.IsEmpty)
                {
                    Close();
                }
                catch
                {
                    Close();
                    throw;
                }
            }
        }

        public void Close()
        {
            _socket?.Dispose();
            _socket = null;
        }

        /// <returns>False where the connection has ended without a byte.</returns>
        private async Task<bool> TryAsk(CancellationToken stop)
        {
            if (_socket is null)
            {
                _socket = await Connect(port, stop);
                _reader = new(_socket);
            }
            await Send(_socket, Request, stop);
            if (await _reader.Read(stop) is not { } head)
            {
                Close();
                return false;
            }
            await Expected(head, _reader, 200, stop);
            if (Length(head) is not { } length || await _reader.Take(length, stop) is null) throw new InvalidDataException("cut within an answer");
            if (head.Contains("connection: close", StringComparison.OrdinalIgnoreCase)) Close();
            return true;
        }
    }
}
