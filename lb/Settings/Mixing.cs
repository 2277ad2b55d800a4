using System.Net;

namespace Declarative.Lb.Settings;

/// <summary>Well-spread numbers without state: the finalizer of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators).</summary>
internal static class Mixing
{
    /// <summary>2^64 divided by the golden ratio: its multiples lie evenly, whatever the count.</summary>
    public const ulong Golden = 0x9E3779B97F4A7C15;

    public static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }

    public static ulong Hash(ReadOnlySpan<char> text)
    {
        var hash = Golden;
        foreach (var c in text) hash = Mix(hash ^ c);
        return hash;
    }

    public static ulong Hash(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).TryWriteBytes(bytes, out var count);
        var hash = Golden;
        foreach (var b in bytes[..count]) hash = Mix(hash ^ b);
        return hash;
    }
}
