using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Pipelines;
using System.Text;
using Declarative.ApiServer.Streams.Spdy;
using Declarative.Tests.Simulation;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Declarative.Tests.ApiServer.Streams;

/// <summary>SPDY/3.1 byte by byte: header blocks, frames, and what malformed ones lead to.</summary>
public sealed class SpdyTests
{
    private static int HeaderBlocks => Seeds.All ? 1_000_000 : 5_000;
    private static int Connections => Seeds.All ? 250_000 : 1_000;

    [Fact]
    public void The_dictionary_is_the_one_of_the_draft()
    {
        var (a, b) = (1u, 0u);
        foreach (var x in HeaderDictionary.Bytes)
        {
            a = (a + x) % 65521;
            b = (b + a) % 65521;
        }
        Assert.Equal(1423, HeaderDictionary.Bytes.Length);
        Assert.Equal(HeaderDictionary.Adler32, (b << 16) | a);
    }

    [Fact]
    public void Header_blocks_follow_one_another_in_one_zlib_stream()
    {
        using var reader = new HeaderReader();
        var deflate = new Deflater();
        for (var i = 0; i < 100; i++)
        {
            var headers = reader.Read(deflate.Block(("streamtype", "data"), ("port", "8080"), ("requestid", $"{i}")));
            Assert.Equal(["data", "8080", $"{i}"], [headers["streamType"], headers["port"], headers["requestID"]]);
        }
    }

    [Fact]
    public void Header_blocks_are_bounded()
    {
        var large = new Deflater().Block(("a", new string('x', 100_000)));
        using var reader = new HeaderReader();
        Assert.Contains("more than 65536 bytes", Assert.Throws<SpdyFault>(() => reader.Read(large)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Malformed_header_blocks_are_faults_and_nothing_else()
    {
        var good = new Deflater().Block(("streamtype", "error"), ("port", "8080"));
        var changes = from at in Gen.Choose(0, good.Length - 1) from value in Gen.Choose(0, 255) from cut in Gen.Choose(1, good.Length) select (at, (byte)value, cut);
        Declarative.Tests.Dns.Arbitrary.Holds(changes, change =>
        {
            var block = good[..change.cut];
            if (change.at < block.Length) block[change.at] = change.Item2;
            using var reader = new HeaderReader();
            try
            {
                reader.Read(block);
            }
            catch (SpdyFault)
            {
                return true;
            }
            return true;
        }, HeaderBlocks);
    }

    [Fact]
    public async Task Streams_are_answered_carry_bytes_and_end_each_by_itself()
    {
        var (server, client) = Pair();
        await using var connection = new SpdyConnection(server);
        var deflate = new Deflater();
        await client.WriteAsync(Syn(1, deflate.Block(("streamtype", "error"))), Stop);
        await client.WriteAsync(Syn(3, deflate.Block(("streamtype", "data"))), Stop);
        Assert.Equal(FrameType.SynReply, (await Receive(client)).Head.Type);
        Assert.Equal(FrameType.SynReply, (await Receive(client)).Head.Type);
        var error = await connection.Opened.ReadAsync(Stop);
        var data = await connection.Opened.ReadAsync(Stop);

        await client.WriteAsync(Data(3, "in"u8.ToArray(), fin: true), Stop);
        var read = await data.Input.ReadAtLeastAsync(3, Stop);
        Assert.Equal("in", Encoding.ASCII.GetString(read.Buffer));
        Assert.True(read.IsCompleted);

        await data.Write("out"u8.ToArray(), Stop);
        await error.Finish(Stop);
        var (head, body) = await Receive(client);
        Assert.Equal((3, false, "out"), (head.Stream, head.IsFin, Encoding.ASCII.GetString(body)));
        Assert.Equal((1, true), ((await Receive(client)).Head is var fin ? fin.Stream : 0, fin.IsFin));

        byte[] ping = [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9];
        await client.WriteAsync(ping, Stop);
        Assert.Equal(ping[8..], (await Receive(client)).Body);
    }

    [Fact]
    public async Task Nonsense_ends_the_connection_and_every_stream_of_it()
    {
        foreach (var nonsense in (byte[][])[[0x80, 2, 0, 1, 0, 0, 0, 0], [0x80, 3, 0, 1, 0, 0, 0, 0], [0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff], Syn(2, new Deflater().Block()), "GET / HT"u8.ToArray()])
        {
            var (server, client) = Pair();
            await using var connection = new SpdyConnection(server);
            await client.WriteAsync(Syn(1, new Deflater().Block(("streamtype", "data"))), Stop);
            var stream = await connection.Opened.ReadAsync(Stop);
            await client.WriteAsync(nonsense, Stop);
            await client.DisposeAsync();
            Assert.True((await stream.Input.ReadAsync(Stop)).IsCompleted);
            await connection.Opened.Completion.WaitAsync(Stop);
        }
    }

    [Fact]
    public async Task Random_frames_never_break_the_server()
    {
        var random = new Random(1);
        var bytes = new byte[64];
        for (var i = 0; i < Connections; i++)
        {
            var (server, client) = Pair();
            await using var connection = new SpdyConnection(server);
            for (var frame = 0; frame < 4; frame++)
            {
                random.NextBytes(bytes);
                // Mostly frames of a known version and a length that is there: the rest ends at the first check.
                if (random.Next(4) > 0) (bytes[0], bytes[1], bytes[2], bytes[3], bytes[5], bytes[6], bytes[7]) = (0x80, 3, 0, (byte)random.Next(12), 0, 0, (byte)random.Next(57));
                await client.WriteAsync(bytes.AsMemory(0, 8 + bytes[7] % 57), Stop);
            }
            await client.DisposeAsync();
            await connection.Opened.Completion.WaitAsync(Stop);
        }
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static (Stream Server, Stream Client) Pair()
    {
        var (up, down) = (new Pipe(), new Pipe());
        return (new Duplex(up.Reader.AsStream(), down.Writer.AsStream()), new Duplex(down.Reader.AsStream(), up.Writer.AsStream()));
    }

    private static async Task<(FrameHead Head, byte[] Body)> Receive(Stream client)
    {
        var bytes = new byte[FrameHead.Bytes];
        await client.ReadExactlyAsync(bytes, Stop);
        var head = FrameHead.Read(bytes);
        var body = new byte[head.Length];
        await client.ReadExactlyAsync(body, Stop);
        return (head, body);
    }

    private static byte[] Syn(int stream, byte[] headers) => Frame(new(FrameType.SynStream, 0, 0, 10 + headers.Length), [.. Number(stream), 0, 0, 0, 0, 0, 0, .. headers]);

    private static byte[] Data(int stream, byte[] data, bool fin) => Frame(new(null, stream, fin ? FrameHead.Fin : (byte)0, data.Length), data);

    private static byte[] Frame(FrameHead head, byte[] body)
    {
        var frame = new byte[FrameHead.Bytes + body.Length];
        head.Write(frame);
        body.CopyTo(frame, FrameHead.Bytes);
        return frame;
    }

    private static byte[] Number(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    /// <summary>A client's end of the zlib stream, flushed after each block; it makes no use of the dictionary, which it need not.</summary>
    private sealed class Deflater
    {
        private readonly MemoryStream _out = new();
        private readonly DeflateStream _deflate;
        private bool _first = true;

        public Deflater() => _deflate = new(_out, CompressionLevel.Optimal);

        public byte[] Block(params (string Name, string Value)[] headers)
        {
            _out.SetLength(0);
            _deflate.Write(Number(headers.Length));
            foreach (var (name, value) in headers)
            {
                foreach (var word in (string[])[name, value])
                {
                    _deflate.Write(Number(word.Length));
                    _deflate.Write(Encoding.UTF8.GetBytes(word));
                }
            }
            _deflate.Flush();
            byte[] head = _first ? [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2] : [];
            _first = false;
            return [.. head, .. _out.ToArray()];
        }
    }

    private sealed class Duplex(Stream input, Stream output) : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush() { }

        public override int Read(byte[] buffer, int offset, int count) => input.Read(buffer, offset, count);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => input.ReadAsync(buffer, cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => output.Write(buffer, offset, count);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => output.WriteAsync(buffer, cancellationToken);

        protected override void Dispose(bool disposing)
        {
            input.Dispose();
            output.Dispose();
            base.Dispose(disposing);
        }
    }
}
