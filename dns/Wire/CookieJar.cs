using System.Buffers.Binary;
using System.Numerics;

namespace Declarative.Dns.Wire;

/// <summary>
/// DNS cookies (RFC 7873) in the interoperable form of RFC 9018: eight bytes of the client's, then
/// version(1) reserved(3) time(4) hash(8), the hash being SipHash-2-4 over all before it and the client's address.
/// </summary>
/// <param name="secret">16 bytes that nobody else knows.</param>
/// <param name="started">Seconds since 1970 at tick 0.</param>
internal sealed class CookieJar(ReadOnlyMemory<byte> secret, long started)
{
    public const ushort Option = 10;
    public const int ClientSize = 8;
    public const int Size = 24;
    private const byte Version = 1;
    private const int OldSeconds = 3600;
    private const int FutureSeconds = 300;

    private readonly ulong _k0 = BinaryPrimitives.ReadUInt64LittleEndian(secret.Span);
    private readonly ulong _k1 = BinaryPrimitives.ReadUInt64LittleEndian(secret.Span[8..]);

    /// <summary>Seconds since 1970, modulo 2^32, of a tick.</summary>
    public uint Seconds(long ticks) => (uint)(started + ticks / Zones.AnswerMark.TicksPerSecond);

    /// <summary>Writes the whole cookie, <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> target, ReadOnlySpan<byte> client, ReadOnlySpan<byte> address, uint now)
    {
        client[..ClientSize].CopyTo(target);
        target[8] = Version;
        target[9..12].Clear();
        BinaryPrimitives.WriteUInt32BigEndian(target[12..], now);
        BinaryPrimitives.WriteUInt64LittleEndian(target[16..], Hash(target[..16], address));
    }

    /// <summary>Whether a cookie was made here for this address, within the last hour: its sender gets our answers.</summary>
    public bool IsOurs(ReadOnlySpan<byte> cookie, ReadOnlySpan<byte> address, uint now)
    {
        if (cookie.Length != Size || cookie[8] != Version)
            return false;
        var age = (int)(now - BinaryPrimitives.ReadUInt32BigEndian(cookie[12..]));
        return age is >= -FutureSeconds and <= OldSeconds && BinaryPrimitives.ReadUInt64LittleEndian(cookie[16..]) == Hash(cookie[..16], address);
    }

    private ulong Hash(ReadOnlySpan<byte> sixteen, ReadOnlySpan<byte> address)
    {
        Span<byte> text = stackalloc byte[32];
        sixteen.CopyTo(text);
        address.CopyTo(text[16..]);
        return SipHash(text[..(16 + address.Length)], _k0, _k1);
    }

    /// <summary>SipHash-2-4 (Aumasson and Bernstein, 2012).</summary>
    internal static ulong SipHash(ReadOnlySpan<byte> text, ulong k0, ulong k1)
    {
        ulong v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d, v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
        var last = (ulong)text.Length << 56;
        for (; text.Length >= 8; text = text[8..])
            Take(BinaryPrimitives.ReadUInt64LittleEndian(text));
        for (var i = 0; i < text.Length; i++)
            last |= (ulong)text[i] << (8 * i);
        Take(last);
        v2 ^= 0xff;
        for (var i = 0; i < 4; i++)
            Round();
        return v0 ^ v1 ^ v2 ^ v3;

        void Take(ulong word)
        {
            v3 ^= word;
            Round();
            Round();
            v0 ^= word;
        }

        void Round()
        {
            v0 += v1;
            v1 = BitOperations.RotateLeft(v1, 13) ^ v0;
            v0 = BitOperations.RotateLeft(v0, 32);
            v2 += v3;
            v3 = BitOperations.RotateLeft(v3, 16) ^ v2;
            v0 += v3;
            v3 = BitOperations.RotateLeft(v3, 21) ^ v0;
            v2 += v1;
            v1 = BitOperations.RotateLeft(v1, 17) ^ v2;
            v2 = BitOperations.RotateLeft(v2, 32);
        }
    }
}
