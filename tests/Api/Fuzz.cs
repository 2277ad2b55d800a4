using Declarative.Tests.Simulation;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Declarative.Tests.Api;

/// <summary>Inputs that nobody well-meaning sends, for everything that reads what clients send.</summary>
internal static class Fuzz
{
    /// <summary>What one small input may allocate: far more than any needs, far less than a bomb takes.</summary>
    private const long AllocatedBytesMax = 32 * 1024 * 1024;

    /// <summary>Of one parser.</summary>
    public static int Inputs => Seeds.All ? 1_000_000 : 20_000;

    /// <summary>Seeds with up to four places changed: bytes taken out, one of <paramref name="pieces"/> put in, or a byte changed.</summary>
    public static Gen<byte[]> Mutated(IReadOnlyList<byte[]> seeds, IReadOnlyList<byte[]> pieces)
    {
        var edit =
            from at in Gen.Choose(0, int.MaxValue)
            from gone in Gen.Choose(0, 6)
            from piece in Gen.Choose(0, (2 * pieces.Count) - 1)
            from value in Gen.Choose(0, 255)
            select (at, gone, Piece: piece < pieces.Count ? pieces[piece] : [(byte)value]);
        return
            from seed in Gen.Elements(seeds.ToArray())
            from count in Gen.Choose(0, 4)
            from edits in edit.ArrayOf(count)
            select edits.Aggregate(seed, (bytes, x) => Edited(bytes, x.at, x.gone, x.Piece));
    }

    /// <summary>Holds for every input, none of which may take much memory; what it may take bounds the work as well.</summary>
    public static void Holds<T>(Gen<T> gen, Func<T, bool> property, int? inputs = null) =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(inputs ?? Inputs), Prop.ForAll(gen.ToArbitrary(), input =>
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            var holds = property(input);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocatedBytesMax);
            return holds;
        }));

    private static byte[] Edited(byte[] bytes, int at, int gone, byte[] piece)
    {
        at %= bytes.Length + 1;
        return [.. bytes.AsSpan(0, at), .. piece, .. bytes.AsSpan(Math.Min(bytes.Length, at + gone))];
    }
}
