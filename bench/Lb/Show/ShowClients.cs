using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.WebSockets;

namespace Declarative.Bench.Lb.Show;

/// <summary>What became of the requests and connections of one kind.</summary>
internal sealed class Tally(string name)
{
    private long _done;
    private long _failed;

    public string Name => name;
    public long Done => Volatile.Read(ref _done);
    public long Failed => Volatile.Read(ref _failed);

    /// <summary>Of the first failures: when, and why.</summary>
    public ConcurrentQueue<string> Why { get; } = new();

    /// <summary>One request or connection, from its beginning to its end.</summary>
    public async Task Count(Func<Task> one)
    {
        try
        {
            await one();
            Interlocked.Increment(ref _done);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or WebSocketException or OperationCanceledException or InvalidDataException)
        {
            Interlocked.Increment(ref _failed);
            if (Why.Count < 10) Why.Enqueue(string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:HH:mm:ss.fff} {e.Message} {e.InnerException?.Message}"));
        }
    }
}

/// <summary>The load of the show: requests at a rate, and websockets, streams and downloads that each live for a while and are begun again.</summary>
/// <param name="seconds">Life of a websocket, a stream and a download.</param>
internal sealed class ShowClients(string name, int web, int talk, ShowLoad load, int seconds) : IDisposable
{
    private const int RequestsPerWorker = 10;
    private static readonly TimeSpan MessageEvery = TimeSpan.FromMilliseconds(250);

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(60) };
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];

    public string Name => name;

    public Tally[] Tallies { get; } = [new("requests"), new("websockets"), new("streams"), new("downloads")];

    public long Failed => Tallies.Sum(x => x.Failed);

    public void Start()
    {
        Start(load.RequestsPerSecond / RequestsPerWorker, Tallies[0], Ask, TimeSpan.FromSeconds(1.0 / RequestsPerWorker));
        Start(load.WebSockets, Tallies[1], Socket, TimeSpan.Zero);
        Start(load.Streams, Tallies[2], Stream, TimeSpan.Zero);
        Start(load.Downloads, Tallies[3], Download, TimeSpan.Zero);
    }

    /// <summary>Begins nothing new and waits until everything has ended by itself.</summary>
    public async Task Stop()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
    }

    public void Dispose()
    {
        _http.Dispose();
        _stop.Dispose();
    }

    private void Start(int count, Tally tally, Func<Task> one, TimeSpan every)
    {
        for (var i = 0; i < count; i++) _running.Add(Task.Run(() => Repeat(tally, one, every)));
    }

    private async Task Repeat(Tally tally, Func<Task> one, TimeSpan every)
    {
        await Task.Delay(Random.Shared.Next(1000));
        while (!_stop.IsCancellationRequested)
        {
            var due = Task.Delay(every);
            await tally.Count(one);
            await due;
        }
    }

    private async Task Ask()
    {
        using var answer = await _http.GetAsync($"http://127.0.0.1:{web}/");
        var text = await answer.Content.ReadAsStringAsync();
        if (answer.StatusCode != HttpStatusCode.OK) throw new InvalidDataException($"{(int)answer.StatusCode} {text}");
    }

    private async Task Socket()
    {
        using var socket = new ClientWebSocket();
        using var late = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{web}/ws"), late.Token);
        var buffer = new byte[16];
        for (var end = DateTime.UtcNow.AddSeconds(seconds); DateTime.UtcNow < end && !_stop.IsCancellationRequested; await Task.Delay(MessageEvery))
        {
            await socket.SendAsync("message"u8.ToArray(), WebSocketMessageType.Text, true, late.Token);
            var got = await socket.ReceiveAsync(buffer, late.Token);
            if (!buffer.AsSpan(0, got.Count).SequenceEqual("message"u8)) throw new InvalidDataException($"a websocket was closed: {got.CloseStatus}");
        }
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, late.Token);
    }

    private async Task Stream()
    {
        using var late = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var content = new Spoken();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://127.0.0.1:{talk}/show.Echo/Talk") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = content };
        request.Headers.TE.ParseAdd("trailers");
        using var answer = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, late.Token);
        if (answer.StatusCode != HttpStatusCode.OK) throw new InvalidDataException($"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(late.Token)}");
        await using var back = await answer.Content.ReadAsStreamAsync(late.Token);
        var said = await content.Stream;
        var message = new byte[] { 0, 0, 0, 0, 3, 1, 2, 3 };
        var got = new byte[message.Length];
        for (var end = DateTime.UtcNow.AddSeconds(seconds); DateTime.UtcNow < end && !_stop.IsCancellationRequested; await Task.Delay(MessageEvery))
        {
            await said.WriteAsync(message, late.Token);
            await said.FlushAsync(late.Token);
            await back.ReadExactlyAsync(got, late.Token);
        }
        content.End();
        if (await back.ReadAsync(got, late.Token) != 0 || !answer.TrailingHeaders.TryGetValues("grpc-status", out var status) || status.Single() != "0") throw new InvalidDataException("a stream ended without its trailer");
    }

    private async Task Download()
    {
        using var answer = await _http.GetAsync($"http://127.0.0.1:{web}/download?seconds={seconds}", HttpCompletionOption.ResponseHeadersRead);
        if (answer.StatusCode != HttpStatusCode.OK) throw new InvalidDataException($"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        await using var body = await answer.Content.ReadAsStreamAsync();
        var (buffer, got) = (new byte[64 * 1024], 0L);
        while (await body.ReadAsync(buffer) is > 0 and var count) got += count;
        if (got != ShowServer.BytesOf(seconds)) throw new InvalidDataException($"{got} bytes of {ShowServer.BytesOf(seconds)}");
    }

    /// <summary>A body that is written while the answer is read.</summary>
    private sealed class Spoken : HttpContent
    {
        private readonly TaskCompletionSource<Stream> _stream = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Spoken() => Headers.ContentType = new("application/grpc");

        public Task<Stream> Stream => _stream.Task;

        public void End() => _end.TrySetResult();

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.FlushAsync();
            _stream.TrySetResult(stream);
            await _end.Task;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }

        protected override void Dispose(bool disposing)
        {
            _end.TrySetResult();
            base.Dispose(disposing);
        }
    }
}

/// <summary>How many of each at once.</summary>
internal sealed record ShowLoad(int RequestsPerSecond, int WebSockets, int Streams, int Downloads);
