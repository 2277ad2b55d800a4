using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Declarative.Mesos.Protocol;
using Xunit;

namespace Declarative.Tests.Mesos;

public sealed class RecordIoTests
{
    [Fact]
    public async Task Records_of_any_size_arrive_whole_however_they_are_cut()
    {
        var random = new Random(7);
        var records = Enumerable.Range(0, 50).Select(i => RandomBytes(random, i == 20 ? 300_000 : random.Next(0, 200))).ToList();
        var buffer = new ArrayBufferWriter<byte>();
        foreach (var record in records)
            RecordWriter.Write(buffer, record);
        var pipe = new Pipe();
        var feed = Feed(pipe.Writer, buffer.WrittenMemory, random);
        await using var reader = new RecordReader(pipe.Reader);
        foreach (var record in records)
            Assert.Equal(record, (await reader.Read(CancellationToken.None))!.Value.ToArray());
        Assert.Null(await reader.Read(CancellationToken.None));
        await feed;
    }

    [Theory]
    [InlineData("x\nabc")]
    [InlineData("\nabc")]
    [InlineData("-1\nabc")]
    [InlineData("12 \nabc")]
    [InlineData("123456789012345678901234567890")]
    [InlineData("11\n0123456789a")]
    [InlineData("5\nabc")]
    [InlineData("5")]
    public async Task What_is_no_record_is_refused(string text)
    {
        await using var reader = new RecordReader(new MemoryStream(Encoding.ASCII.GetBytes(text)), recordBytesMax: 10);
        await Assert.ThrowsAsync<InvalidDataException>(async () => await reader.Read(CancellationToken.None));
    }

    private static byte[] RandomBytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    private static async Task Feed(PipeWriter writer, ReadOnlyMemory<byte> bytes, Random random)
    {
        while (bytes.Length > 0)
        {
            var length = Math.Min(bytes.Length, random.Next(1, 5000));
            await writer.WriteAsync(bytes[..length]);
            bytes = bytes[length..];
        }

        await writer.CompleteAsync();
    }
}
