using System.Net;
using System.Net.Sockets;
using System.Text;
using Declarative.Lb.Proxy.Plain;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>The way of plain requests: what goes by it, what does not, and that the two cannot be told apart from outside.</summary>
public sealed class PlainTests
{
    private static readonly TimeSpan HangAfter = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0)]
    [InlineData("POST /x?y=%20 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\nabcGET", 3)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 0)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 0)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", 0)] // who expects need not wait
    public void APlainRequestIsReadWhole(string text, int behind)
    {
        Assert.True(RequestHead.TryRead(Encoding.Latin1.GetBytes(text), new byte[1024], out var head, out _, out _));
        Assert.Equal(text.Length - behind, head.Bytes);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n")]
    [InlineData("GET / HTTP/1.0\r\nHost: a\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\nHost: a\n\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n")]
    [InlineData("GET  / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("GET /\u00e4 HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost : a\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: \u0001\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")]
    [InlineData("DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret\r\nX-Secret: 1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")]
    [InlineData("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("get / HTTP/1.1\r\nHost: a\r\n\r\n")]
    public void WhateverIsNotSurelyOneRequestIsLeftToOthers(string text) =>
        Assert.False(RequestHead.TryRead(Encoding.Latin1.GetBytes(text), new byte[1024], out _, out _, out _));

    /// <summary>Of bytes that are no request nothing is said: they may be another protocol's.</summary>
    [Theory]
    [InlineData("GET / HTTP/1.1\r\n", "X: 1\r\n", 101, true)]
    [InlineData("GET / HTTP/1.1\r\n", "X: 1\r\n", 100, false)]
    [InlineData("GET / HTTP/1.1\r\n\r\n", "X: 1\r\n", 1000, false)]
    [InlineData("hello\r\n", "X: 1\r\n", 1000, false)]
    [InlineData("\u0016\u0003\u0001\n", "\n", 1000, false)]
    public void AHeadOfTooManyLinesIsSeenBeforeItsEnd(string begin, string line, int lines, bool expected) =>
        Assert.Equal(expected, RequestHead.HasTooManyLines(Encoding.Latin1.GetBytes(begin + string.Concat(Enumerable.Repeat(line, lines)))));

    /// <summary>The number of a descriptor that is closed is another one's at once.</summary>
    [Fact]
    public async Task AConnectionToAnEndpointIsClosedOnce()
    {
        using var loop = new EventLoop(0, static e => Assert.Fail(e.ToString()));
        var held = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        loop.Post(() =>
        {
            var first = new Upstream(loop, new(new("127.0.0.1", 1, "uid", "pod", Ready: true, Terminating: false), static _ => { }), Libc.NewBell());
            loop.Add(first);
            first.Break();
            var next = Libc.NewBell();
            first.Break();
            first.Close();
            held.SetResult(File.Exists($"/proc/self/fd/{next}"));
            Libc.Close(next);
        });
        Assert.True(await held.Task);
    }

    /// <summary>The end is found wherever the bytes are cut, and nothing behind it is taken.</summary>
    [Theory]
    [InlineData("0\r\n\r\n")]
    [InlineData("5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("1a;name=\"x\"\r\nabcdefghijklmnopqrstuvwxyz\r\n1\r\n!\r\n000\r\nTrailer: 1\r\nOther: 2\r\n\r\n")]
    public void AChunkedBodyEndsWhereItEnds(string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text + "HTTP/1.1");
        for (var step = 1; step <= bytes.Length; step++)
        {
            var scanner = new ChunkScanner();
            var taken = 0;
            for (var at = 0; at < bytes.Length && !scanner.IsDone; at += step) taken += scanner.Scan(bytes.AsSpan(at, Math.Min(step, bytes.Length - at)));
            Assert.Equal((true, text.Length), (scanner.IsDone, taken));
        }
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData("g\r\n")]
    [InlineData("1\na\n")]
    [InlineData("1\r\nab")]
    [InlineData("1;\nx\r\na\r\n")]
    [InlineData("11111111111111\r\n")]
    [InlineData("0\r\n\n")]
    public void WhatIsNoChunkedBodyIsSeen(string text)
    {
        var scanner = new ChunkScanner();
        scanner.Scan(Encoding.Latin1.GetBytes(text));
        Assert.True(scanner.IsBad);
    }

    /// <summary>Answers in every framing and in pieces of every size, over one connection of the client.</summary>
    [Fact]
    public async Task AnswersArriveAsTheyWereSentHoweverTheyAreCut()
    {
        await using var world = await LbWorld.Start();
        string[] answers =
        [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ];
        var port = LbWorld.FreePort();
        await world.Listening("s", port, "http");
        foreach (var answer in answers)
        {
            for (var step = 1; step <= answer.Length; step += 7)
            {
                await using var server = new Scripted(answer, step);
                await world.Slice("s", [new($"p{server.Port}", server.Port)]);
                await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Ready is [{ } only] && only.Port == server.Port, "the server is routed to");
                Assert.Equal("hello", await world.Get(port));
                Assert.Equal("hello", await world.Get(port));
            }
        }
    }

    /// <summary>What surrounds the data may be as long as HAProxy lets it be.</summary>
    [Fact]
    public async Task AnAnswerWithLongExtensionsAndTrailersArrives()
    {
        await using var world = await LbWorld.Start();
        var trailers = string.Concat(Enumerable.Repeat($"X: {new string('t', 145)}\r\n", 100));
        await using var server = new Scripted($"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;{new string('e', 15_000)}\r\nhello\r\n0\r\n{trailers}\r\n", 5000);
        var port = LbWorld.FreePort();
        await world.Listening("s", port, "http");
        await world.Slice("s", [new("s", server.Port)]);
        await world.Routed("s", 1);
        Assert.Equal("hello", await world.Get(port));
        Assert.Equal("hello", await world.Get(port));
    }

    /// <summary>An answer without a length ends with its connection, here as there.</summary>
    [Fact]
    public async Task AnAnswerUntilTheEndOfTheConnectionArrivesWhole()
    {
        await using var world = await LbWorld.Start();
        await using var server = new Scripted("HTTP/1.1 200 OK\r\n\r\nhello", 3) { Closes = true };
        var port = LbWorld.FreePort();
        await world.Listening("s", port, "http");
        await world.Slice("s", [new("s", server.Port)]);
        await world.Routed("s", 1);
        Assert.Equal("hello", await world.Get(port));
    }

    /// <summary>An endpoint that closes the connections it has kept: the next request goes by a new one, and nobody notices.</summary>
    [Fact]
    public async Task AConnectionThatTheEndpointClosedInTheMeantimeIsNoFailure()
    {
        await using var world = await LbWorld.Start();
        await using var server = new Scripted("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1000) { RequestsPerConnection = 1 };
        var port = LbWorld.FreePort();
        await world.Listening("s", port, "http");
        await world.Slice("s", [new("s", server.Port)]);
        await world.Routed("s", 1);
        for (var i = 0; i < 50; i++) Assert.Equal("hello", await world.Get(port));
        Assert.Equal(0, world.Lb.Routes.Table.Clusters.Single().Counts.Failures);
    }

    /// <summary>What cannot be an answer is none, and the client learns that; half an answer is not taken for a whole one.</summary>
    [Theory]
    [InlineData("SSH-2.0-OpenSSH\r\n", "502")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "502")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", "502")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "cut")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "cut")]
    public async Task ABadAnswerIsToldApartFromAGoodOne(string answer, string expected)
    {
        await using var world = await LbWorld.Start();
        await using var server = new Scripted(answer, 1000) { Closes = true };
        var port = LbWorld.FreePort();
        await world.Listening("s", port, "http");
        await world.Slice("s", [new("s", server.Port)]);
        await world.Routed("s", 1);
        if (expected == "cut") await Assert.ThrowsAnyAsync<HttpRequestException>(() => world.Get(port));
        else Assert.StartsWith(expected, await world.Ask(port), StringComparison.Ordinal);
        await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight == 0, "nothing is in flight");
    }

    /// <summary>Requests that come in one piece, plain and others in turn, are answered in their order.</summary>
    [Fact]
    public async Task PipelinedRequestsOfBothWaysKeepTheirOrder()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        var requests = new StringBuilder();
        for (var i = 0; i < 20; i++) requests.Append(System.Globalization.CultureInfo.InvariantCulture, $"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n<{i:00}>");
        requests.Append("POST /echo HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<20>\r\n0\r\n\r\n");
        requests.Append("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\n<21>");
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), Stop);
        await socket.SendAsync(Encoding.ASCII.GetBytes(requests.ToString()), SocketFlags.None, Stop);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        limit.CancelAfter(HangAfter);
        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        var all = await reader.ReadToEndAsync(limit.Token);
        var at = 0;
        for (var i = 0; i < 22; i++)
        {
            var next = all.IndexOf($"<{i:00}>", at, StringComparison.Ordinal);
            Assert.True(next >= 0, $"no answer {i} behind {at}: {all}");
            at = next;
        }
        Assert.Equal(22, backend.Requests);
    }

    /// <summary>A client that does not read holds up its endpoint and not the balancer's memory.</summary>
    [Fact]
    public async Task AClientThatDoesNotReadGetsEverythingOnceItDoes()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), Stop);
        await socket.SendAsync("GET /download HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"u8.ToArray(), SocketFlags.None, Stop);
        await Eventually.True(() => backend.Inside == 1, "the endpoint answers");
        backend.Release();
        Assert.Equal("a", await world.Get(port)); // others go on meanwhile
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        limit.CancelAfter(HangAfter);
        var all = new MemoryStream();
        await using var stream = new NetworkStream(socket);
        await stream.CopyToAsync(all, limit.Token);
        var head = Encoding.ASCII.GetString(all.ToArray(), 0, 1000).IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
        Assert.Equal(2_000_000, all.Length - head);
    }

    /// <summary>A server that answers every request with the same bytes, so many at a time.</summary>
    private sealed class Scripted : IAsyncDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly byte[] _answer;
        private readonly int _step;
        private readonly Task _accepting;
        private readonly List<Task> _connections = [];
        private readonly CancellationTokenSource _stop = new();

        public Scripted(string answer, int step)
        {
            (_answer, _step) = (Encoding.Latin1.GetBytes(answer), step);
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listener.Listen();
            Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
            _accepting = Task.Run(Accept);
        }

        public int Port { get; }
        public bool Closes { get; init; }
        public int RequestsPerConnection { get; init; } = int.MaxValue;

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _accepting;
            await Task.WhenAll(_connections);
            _listener.Dispose();
            _stop.Dispose();
        }

        private async Task Accept()
        {
            try
            {
                while (true) _connections.Add(Answer(await _listener.AcceptAsync(_stop.Token)));
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }

        private async Task Answer(Socket socket)
        {
            using var mine = socket;
            socket.NoDelay = true;
            var buffer = new byte[8192];
            try
            {
                for (var i = 0; i < RequestsPerConnection; i++)
                {
                    for (var filled = 0; buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8) < 0;)
                    {
                        var count = await socket.ReceiveAsync(buffer.AsMemory(filled), SocketFlags.None, _stop.Token);
                        if (count == 0) return;
                        filled += count;
                    }
                    for (var at = 0; at < _answer.Length; at += _step)
                    {
                        await socket.SendAsync(_answer.AsMemory(at, Math.Min(_step, _answer.Length - at)), SocketFlags.None, _stop.Token);
                        await Task.Yield();
                    }
                    if (Closes) return;
                }
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException)
            {
                return; // the balancer has closed, or the test is over
            }
        }
    }
}
