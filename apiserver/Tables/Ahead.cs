using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Declarative.Api;

namespace Declarative.ApiServer.Tables;

/// <summary>
/// The objects of a list lie all over the memory, and one is waited for longer than it takes to copy it. Where the first bytes of several are asked for one
/// right after the other the processor fetches them at the same time.
/// </summary>
internal static class Ahead
{
    /// <summary>So many at a time.</summary>
    public const int Items = 8;

    /// <summary>What the next objects are copied from.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Touch(IReadOnlyList<Stored> items, int from)
    {
        var to = Math.Min(from + Items, items.Count);
        for (var i = from; i < to; i++) First(items[i].Json.Span);
    }

    /// <summary>What the next rows are copied from, of those that are made already.</summary>
    /// <param name="withMetadata">And what stands in the objects themselves.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void TouchRows(IReadOnlyList<Stored> items, int from, bool withMetadata)
    {
        var to = Math.Min(from + Items, items.Count);
        for (var i = from; i < to; i++) (items[i].Made as Row)?.Touch();
        if (withMetadata) Touch(items, from);
    }

    /// <summary>Reads the first byte. Volatile: what nobody wants the result of is left out else.</summary>
    public static void First(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 0) Volatile.Read(ref MemoryMarshal.GetReference(bytes));
    }
}
