using Declarative.Dns.Wire;
using FsCheck.Fluent;
using Xunit;
using Record = Declarative.Dns.Wire.Record;

namespace Declarative.Tests.Dns;

public class CodecTests
{
    [Fact]
    public void NameTextRoundTrips() => Arbitrary.Holds(Arbitrary.Name, name => DnsName.Parse(name.ToString()).Equals(name));

    [Theory]
    [InlineData("hello.Declarative.MESOS", "hello.declarative.mesos.")]
    [InlineData(@"a\.b.c.", @"a\.b.c.")]
    [InlineData(@"\065.", "a.")]
    [InlineData(".", ".")]
    public void NameIsReadFromText(string text, string expected) => Assert.Equal(expected, DnsName.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("a..b")]
    [InlineData(".a")]
    [InlineData(@"a\")]
    [InlineData(@"\300.a")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123.x")]
    public void BadNameTextIsRefused(string text) => Assert.False(DnsName.TryParse(text, out _));

    [Fact]
    public void NamesAreAtMost255Bytes()
    {
        var label = new string('a', 63);
        var longest = $"{label}.{label}.{label}.{new string('b', 61)}";
        Assert.Equal(255, DnsName.Parse(longest).Wire.Length);
        Assert.False(DnsName.TryParse(longest + "b", out _));
    }

    [Fact]
    public void FoldingChangesCapitalsOnly()
    {
        var all = Enumerable.Range(0, 256).Select(v => (byte)v).ToArray();
        var folded = new byte[256];
        NameWire.Fold(all, folded);
        Assert.Equal(all.Select(v => v is >= (byte)'A' and <= (byte)'Z' ? (byte)(v + 32) : v), folded);
    }

    [Fact]
    public void MessageRoundTrips() =>
        Arbitrary.Holds(Gen.Zip(Arbitrary.Name, Arbitrary.Record.ListOf()), pair =>
        {
            var (question, records) = pair;
            var buffer = new byte[65535];
            var query = buffer[..Query.Write(buffer, 77, question.Wire, RecordType.Srv)];
            var writer = new MessageWriter(buffer);
            Assert.True(writer.Question(query.AsSpan(Header.Size)));
            foreach (var record in records)
                Assert.True(writer.Record(record));
            new Header(77, Header.Response, 1, (ushort)records.Count, 0, 0).Write(buffer);
            var message = Message.Read(buffer.AsSpan(0, writer.Position));
            return message is not null && message.Question.Equals(question) && message.Answers.SequenceEqual(records);
        });

    [Fact]
    public void RecordThatDoesNotFitLeavesNoTrace() =>
        Arbitrary.Holds(from a in Arbitrary.Record from b in Arbitrary.Record from n in Gen.Choose(12, 700) select (a, b, n), three =>
        {
            var (first, second, size) = three;
            var buffer = new byte[size];
            var writer = new MessageWriter(buffer);
            var before = writer.Position;
            var count = 0;
            foreach (var record in new[] { first, second })
            {
                if (writer.Record(record))
                    (count, before) = (count + 1, writer.Position);
                else
                    Assert.Equal(before, writer.Position);
            }
            new Header(1, Header.Response, 0, (ushort)count, 0, 0).Write(buffer);
            return Message.Read(buffer.AsSpan(0, writer.Position))?.Answers.Count == count;
        });

    [Fact]
    public void NamesAreCompressed()
    {
        var name = DnsName.Parse("hello.declarative.mesos");
        var buffer = new byte[512];
        var end = Query.Write(buffer, 1, name.Wire, RecordType.Cname);
        var writer = new MessageWriter(buffer);
        writer.Question(buffer.AsSpan(Header.Size, end - Header.Size));
        writer.Record(Record.OfName(name, RecordType.Cname, 5, DnsName.Parse("web.declarative.mesos")));
        // Pointer, 10 fixed bytes, then "web" and a pointer to "declarative.mesos".
        Assert.Equal(end + 2 + 10 + 4 + 2, writer.Position);
    }

    [Fact]
    public void QueryRoundTripsInItsOwnCase() =>
        Arbitrary.Holds(Gen.Zip(Arbitrary.Name, Gen.Choose(0, 4096)), pair =>
        {
            var (name, payload) = pair;
            var packet = new byte[300];
            var length = Query.Write(packet, 4711, name.Wire, RecordType.Aaaa, (ushort)payload);
            var reading = Query.Read(packet.AsSpan(0, length), new byte[255], out var query);
            return reading == Reading.Query && query.Name.SequenceEqual(name.Wire) && query is { Type: RecordType.Aaaa, Header.Id: 4711 }
                && query.HasEdns == payload > 0 && query.PayloadSize == Math.Max(512, payload);
        });

    [Fact]
    public void CompressionLoopsEnd()
    {
        // A record whose owner points at itself, and two that point at each other.
        byte[] self = [0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 1, 2, 3, 4];
        Assert.Null(Message.Read(self));
        byte[] two = [0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xC0, 14, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 1, 2, 3, 4];
        Assert.Null(Message.Read(two));
    }

    [Fact]
    public void DecodingAQueryAllocatesNothing()
    {
        var packet = new byte[300];
        var name = new byte[255];
        var length = Query.Write(packet, 1, DnsName.Parse("_hello._tcp.Declarative.mesos").Wire, RecordType.Srv, 1232);
        Query.Read(packet.AsSpan(0, length), name, out _);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
            Query.Read(packet.AsSpan(0, length), name, out _);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
