using System.IO.Pipelines;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>Lists in pieces: whatever the sizes of the objects are, they come whole and in order.</summary>
public sealed class PiecesTests
{
    private const int Piece = 64 * 1024;

    [Theory]
    [InlineData(new[] { 1 })]
    [InlineData(new[] { Piece, Piece, 1, Piece - 1, 1, 1 })]
    [InlineData(new[] { 3 * Piece + 7, 2, Piece - 10, 3, 4, 5, 6, 7, 8, 9, 10, 11 })]
    [InlineData(new[] { 2, 200_000, Piece - 3, Piece - 2, Piece - 1, 30_000, 30_000, 30_000 })]
    public async Task Objects_come_whole_and_in_order(int[] lengths)
    {
        var items = lengths.Select((length, i) => new Stored(new(Kind.ConfigMap, "default", $"a{i}"), "uid", i + 1, Enumerable.Repeat((byte)('a' + i), length).ToArray())).ToList();
        using var written = new MemoryStream();
        var writer = PipeWriter.Create(written, new StreamPipeWriterOptions(leaveOpen: true));
        var pieces = new Pieces(writer, lengths.Sum() + lengths.Length + 1);
        await pieces.Write("["u8.ToArray(), TestContext.Current.CancellationToken);
        await pieces.WriteItems(items, TestContext.Current.CancellationToken);
        await pieces.Write("]"u8.ToArray(), TestContext.Current.CancellationToken);
        await pieces.Flush(TestContext.Current.CancellationToken);
        await writer.CompleteAsync();
        Assert.Equal("[" + string.Join(',', lengths.Select((length, i) => new string((char)('a' + i), length))) + "]", System.Text.Encoding.ASCII.GetString(written.ToArray()));
    }
}
