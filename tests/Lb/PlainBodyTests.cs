using System.Text;
using Declarative.Lb.Proxy.Plain;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Bodies that stream, on the event loops: as they come, in pieces of any size, as far as the endpoint takes them.</summary>
public sealed class PlainBodyTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello", true, 0)]
    [InlineData("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", "", true, 0)]
    [InlineData("PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n", "hello", false, 6)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000\r\n\r\n", "", false, 100_000_000_000)]
    public void ABodyThatHasNotComeStreams(string text, string come, bool chunked, long length)
    {
        Assert.True(RequestHead.TryRead(Encoding.Latin1.GetBytes(text + come), new byte[1024], out var head, out _, out _));
        Assert.Equal((true, text.Length, chunked, length, 0), (head.Streams, head.Bytes, head.IsChunked, head.Length, head.Body.Length));
    }

    [Theory]
    [InlineData("0\r\n\r\n", "")]
    [InlineData("5\r\nhello\r\n0\r\n\r\n", "hello")]
    [InlineData("3;a=\"b\"\r\nhel\r\n002\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n", "hello")]
    public void WhatChunksHoldIsFoundWhereverTheyAreCut(string text, string expected)
    {
        var bytes = Encoding.Latin1.GetBytes(text + "GET /");
        for (var step = 1; step <= bytes.Length; step++)
        {
            var scanner = new ChunkScanner();
            var held = new StringBuilder();
            var data = new byte[bytes.Length];
            for (var at = 0; at < bytes.Length && !scanner.IsDone; at += step)
            {
                scanner.Scan(bytes.AsSpan(at, Math.Min(step, bytes.Length - at)), data, out var count);
                held.Append(Encoding.Latin1.GetString(data, 0, count));
            }
            Assert.Equal((true, expected), (scanner.IsDone, held.ToString()));
        }
    }

    /// <summary>What surrounds the data is as much as anybody needs, and no more.</summary>
    [Theory]
    [InlineData("1;", "x", 17_000, true)]
    [InlineData("0\r\n", "X: 1\r\n", 5_000, true)]
    [InlineData("1;", "x", 16_000, false)]
    [InlineData("0\r\n", "X: 1\r\n", 4_000, false)]
    [InlineData("", "1;x=y\r\na\r\n", 10_000, false)] // each chunk has its own
    public void ExtensionsAndTrailersHaveALimit(string begin, string again, int times, bool bad)
    {
        var scanner = new ChunkScanner();
        scanner.Scan(Encoding.Latin1.GetBytes(begin + string.Concat(Enumerable.Repeat(again, times))));
        Assert.Equal(bad, scanner.IsBad);
    }

    /// <summary>They stay on the loop: there the names of headers go on as they came, by Kestrel and HttpClient they do not.</summary>
    [Theory]
    [InlineData("Transfer-Encoding: chunked", "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n", "Transfer-Encoding: chunked", "6\r\nhello!\r\n0\r\n\r\n")]
    [InlineData("Content-Length: 6", "hello!", "Content-Length: 6", "hello!")]
    public async Task TheEndpointReadsOneBodyFramedInOneWay(string framing, string body, string seenFraming, string seenBody)
    {
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        var port = await world.Publish("s", endpoint);
        using var client = await Peer.To(port);
        await client.Send($"POST /x HTTP/1.1\r\nHost: a\r\ncontent-TYPE: text/plain\r\n{framing}\r\n\r\n");
        using var server = await endpoint.Accept();
        Assert.Contains("\r\ncontent-TYPE: text/plain\r\n", await server.Until("\r\n\r\n"), StringComparison.Ordinal);
        Assert.Contains($"\r\n{seenFraming}\r\n", server.Read, StringComparison.OrdinalIgnoreCase);
        await client.Send(body);
        await server.Until("\r\n\r\n" + seenBody);
        Assert.EndsWith("\r\n\r\n" + seenBody, server.Read, StringComparison.Ordinal);
        await server.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        await client.Until("\r\n\r\nok");

        // Both connections are good for the next one.
        await client.Send("POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1");
        await server.Until("\r\n\r\n1");
    }

    /// <summary>Large ones through a server that sends everything back while it reads, with the next request right behind them.</summary>
    [Theory]
    [InlineData(false, 3_000_000, false)]
    [InlineData(true, 3_000_000, false)]
    [InlineData(true, 20_000, false)]
    [InlineData(false, 3_000_000, true)]
    [InlineData(true, 3_000_000, true)]
    [InlineData(true, 20_000, true)]
    public async Task ABodyArrivesAsItWasSent(bool chunked, int size, bool tls)
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        if (tls) await world.Host("a", "hello", port);
        var body = new byte[size];
        new Random(size).NextBytes(body);
        var bytes = new MemoryStream();
        bytes.Write(Encoding.ASCII.GetBytes($"POST /echo HTTP/1.1\r\nHost: a\r\n{(chunked ? "Transfer-Encoding: chunked" : $"Content-Length: {size}")}\r\n\r\n"));
        for (int at = 0, piece = 1; at < size; at += piece, piece = piece * 3 % 70_001)
        {
            var some = body.AsSpan(at, Math.Min(piece, size - at));
            if (chunked) bytes.Write(Encoding.ASCII.GetBytes($"{some.Length:X}\r\n"));
            bytes.Write(some);
            if (chunked) bytes.Write("\r\n"u8);
        }
        if (chunked) bytes.Write("0\r\n\r\n"u8);
        bytes.Write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"u8);
        using var client = tls ? await Peer.To(world.Options.HttpsPort, "a") : await Peer.To(port);
        var sending = client.Send(bytes.ToArray());
        var read = await client.ToEnd();
        await sending;
        var all = Encoding.Latin1.GetString(read);
        var second = all.LastIndexOf("HTTP/1.1 200 OK\r\n", StringComparison.Ordinal);
        Assert.True(second > 0, all[..Math.Min(all.Length, 1000)]);
        Assert.Equal(body, Held(read.AsSpan(0, second)));
        Assert.Equal(2, backend.Requests);
    }

    /// <summary>What the endpoint does not take stays with the client, and nobody waits for either.</summary>
    [Fact]
    public async Task AnEndpointThatDoesNotReadHoldsUpItsClientAlone()
    {
        const long Size = 64 * 1024 * 1024;
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        var port = await world.Publish("s", endpoint);
        using var client = await Peer.To(port);
        await client.Send($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {Size}\r\n\r\n");
        using var server = await endpoint.Accept();
        var piece = new byte[256 * 1024];
        var sent = 0L;
        // As far as it goes without waiting; the sockets' own buffers take some megabytes.
        for (var pauses = 0; pauses < 20 && sent < Size;)
        {
            var (some, error) = client.TrySend(piece);
            sent += some;
            pauses = error ? pauses + 1 : 0;
            if (error) await Task.Delay(10, Stop);
        }
        Assert.InRange(sent, 1, Size / 2);

        var other = await world.Publish("other", [await world.Backend("b")], appProtocol: "http");
        for (var i = 0; i < 20; i++) Assert.Equal("b", await world.Get(other));

        var sending = client.Send(new byte[Size - sent]);
        await server.Skip(Size);
        await sending;
        await server.Send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 201 ", await client.Until("\r\n\r\n"), StringComparison.Ordinal);
    }

    /// <summary>The answer does not wait for the request, and the request goes on behind it.</summary>
    [Fact]
    public async Task AnAnswerBeforeTheEndOfTheRequestArrivesAtOnce()
    {
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        var port = await world.Publish("s", endpoint);
        using var client = await Peer.To(port);
        await client.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        using var server = await endpoint.Accept();
        await server.Until("3\r\none\r\n");
        await server.Send("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok");
        await client.Until("\r\n\r\nok");
        Assert.Equal(1, world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight);
        await client.Send("3\r\ntwo\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        await server.Until("3\r\ntwo\r\n0\r\n\r\nGET /next HTTP/1.1\r\n");
        await server.Send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext");
        await client.Until("\r\n\r\nnext");
        await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight == 0, "nothing is in flight");
    }

    /// <summary>A client that waits to hear that its body is wanted hears it from the endpoint, and not before.</summary>
    [Theory]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\n", true)]
    [InlineData("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", false)]
    public async Task WhoAsksFirstIsToldByTheEndpoint(string word, bool wanted)
    {
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        var port = await world.Publish("s", endpoint);
        using var client = await Peer.To(port);
        await client.Send("POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 4\r\nExpect: 100-continue\r\n\r\n");
        using var server = await endpoint.Accept();
        Assert.Contains("\r\ncontent-LENGTH: 4\r\n", await server.Until("\r\n\r\n"), StringComparison.Ordinal);
        Assert.Contains("\r\nExpect: 100-continue\r\n", server.Read, StringComparison.Ordinal);
        await server.Send(word);
        Assert.StartsWith(word[..12], await client.Until("\r\n\r\n"), StringComparison.Ordinal);
        if (!wanted)
        {
            await client.ToEnd(); // nobody knows whether the body comes
            await server.ToEnd();
            Assert.Equal(0, world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight);
            return;
        }
        Assert.Equal(word, client.Read);
        await client.Send("body");
        await server.Until("\r\n\r\nbody");
        await server.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Assert.StartsWith(word + "HTTP/1.1 200 OK\r\n", await client.Until("\r\n\r\nok"), StringComparison.Ordinal);
    }

    /// <summary>RFC 9110 section 10.1.1: a client need not wait for ever. Here its body comes while the endpoint is being connected.</summary>
    [Fact]
    public async Task WhoAsksFirstAndDoesNotWaitIsServed()
    {
        await using var world = await LbWorld.Start(x => x with { ConnectTimeout = TimeSpan.FromSeconds(30) });
        using var endpoint = new Listening(backlog: 0);
        var port = await world.Publish("s", endpoint);
        var destination = world.Lb.Routes.Table.Clusters.Single().Destinations.Single();
        var before = await Peer.To(endpoint.Port); // now its queue is full, and the kernel asks for another connection once a second
        using var client = await Peer.To(port);
        await client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        await Eventually.True(() => destination.InFlight == 1, "an endpoint is chosen");
        await client.Send("one");
        (await endpoint.Accept()).Dispose();
        before.Dispose();
        using var server = await endpoint.Accept();
        await server.Until("\r\n\r\none");
        await server.Send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await client.Until("\r\n\r\nok"), StringComparison.Ordinal);
    }

    /// <summary>A head that fills the first look to the last byte: there is no news of the body behind it.</summary>
    [Fact]
    public async Task ABodyBehindAHeadAsLargeAsALookIsPassedOn()
    {
        const int look = 16 * 1024;
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        using var client = await Peer.To(await world.Publish("s", endpoint));
        const string begin = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-Long: ";
        await client.Send($"{begin}{new string('x', look - begin.Length - 4)}\r\n\r\none");
        using var server = await endpoint.Accept();
        await server.Until("\r\n\r\none");
    }

    /// <summary>Refused in the middle: the client reads why, and its connection ends.</summary>
    [Fact]
    public async Task AnEndpointThatRefusesABodyIsHeard()
    {
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        var port = await world.Publish("s", endpoint);
        using var client = await Peer.To(port);
        await client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nbegin");
        using (var server = await endpoint.Accept())
        {
            await server.Until("begin");
            await server.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n");
        }
        var answer = Encoding.Latin1.GetString(await client.ToEnd());
        Assert.StartsWith("HTTP/1.1 413 ", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\nno\n", answer, StringComparison.Ordinal);
        Assert.Equal(0, world.Lb.Routes.Table.Clusters.Single().Counts.Failures);
    }

    /// <summary>Time runs out for the one who is silent: an endpoint has not failed while it waits for the client.</summary>
    [Theory]
    [InlineData(6, "HTTP/1.1 408 Request Timeout\r\n", 0)]
    [InlineData(5, "HTTP/1.1 504 Gateway Timeout\r\n", 1)]
    public async Task AClientThatStallsItsBodyIsNoFailureOfTheEndpoint(int length, string expected, int failures)
    {
        await using var world = await LbWorld.Start(x => x with { ActivityTimeout = TimeSpan.FromSeconds(2) });
        using var endpoint = new Listening();
        var port = await world.Publish("s", endpoint);
        using var client = await Peer.To(port);
        await client.Send($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        using var server = await endpoint.Accept();
        await server.Until("\r\n\r\n");
        await client.Send("begin");
        await server.Until("\r\n\r\nbegin");
        Assert.StartsWith(expected, await client.Until("\r\n\r\n"), StringComparison.Ordinal);
        if (failures == 0) Assert.Contains("\r\nConnection: close\r\n", client.Read, StringComparison.Ordinal);
        Assert.Equal(failures, world.Lb.Routes.Table.Clusters.Single().Counts.Failures);
    }

    [Theory]
    [InlineData("5\r\nhello\r\nxyz\r\n")]
    [InlineData("5\r\nhelloo\r\n")]
    [InlineData("5\r\nhello\n0\r\n\r\n")]
    [InlineData("5;a\nb\r\nhello\r\n0\r\n\r\n")]
    [InlineData("-5\r\nhello\r\n0\r\n\r\n")]
    public async Task WhatIsNoBodyIsRefusedAndItsEndpointLearnsThatItIsNotWhole(string body)
    {
        await using var world = await LbWorld.Start();
        using var endpoint = new Listening();
        var port = await world.Publish("s", endpoint);
        using var client = await Peer.To(port);
        await client.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        using var server = await endpoint.Accept();
        await server.Until("\r\n\r\n");
        await client.Send(body + "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n");
        var answer = Encoding.Latin1.GetString(await client.ToEnd());
        Assert.StartsWith("HTTP/1.1 400 Bad Request\r\n", answer, StringComparison.Ordinal);
        var read = Encoding.Latin1.GetString(await server.ToEnd());
        Assert.DoesNotContain("hidden", read, StringComparison.Ordinal);
        Assert.DoesNotContain("0\r\n\r\n", read, StringComparison.Ordinal);
        await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight == 0, "nothing is in flight");
    }

    /// <summary>The body of an answer, of either framing.</summary>
    private static byte[] Held(ReadOnlySpan<byte> answer)
    {
        var head = answer.IndexOf("\r\n\r\n"u8) + 4;
        if (!Encoding.Latin1.GetString(answer[..head]).Contains("chunked", StringComparison.OrdinalIgnoreCase)) return answer[head..].ToArray();
        var data = new byte[answer.Length];
        var scanner = new ChunkScanner();
        scanner.Scan(answer[head..], data, out var count);
        Assert.True(scanner.IsDone);
        return data[..count];
    }
}
