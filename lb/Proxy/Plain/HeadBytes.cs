using System.Buffers;
using System.Text;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>What the heads of requests and answers are made of (RFC 9110 sections 5.1, 5.5 and 5.6; RFC 9112 section 5).</summary>
internal static class HeadBytes
{
    /// <summary>token = 1*tchar</summary>
    private static readonly SearchValues<byte> Token = SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>field-content, as far as it is of ASCII: VCHAR, SP and HTAB.</summary>
    private static readonly SearchValues<byte> Value = SearchValues.Create([(byte)'\t', .. Enumerable.Range(0x20, 0x5f).Select(x => (byte)x)]);

    public static bool IsToken(ReadOnlySpan<byte> bytes) => !bytes.IsEmpty && !bytes.ContainsAnyExcept(Token);

    public static bool IsValue(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept(Value);

    /// <summary>Text that a server may also send: obs-text beside the rest.</summary>
    public static bool HasNoControls(ReadOnlySpan<byte> bytes) => bytes.IndexOfAnyInRange((byte)0, (byte)8) < 0 && bytes.IndexOfAnyInRange((byte)10, (byte)31) < 0 && bytes.IndexOf((byte)127) < 0;

    public static bool Is(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> lower) => bytes.Length == lower.Length && Ascii.EqualsIgnoreCase(bytes, lower);

    /// <summary>Digits alone, up to 18; -1 where it is anything else.</summary>
    public static long Length(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty || bytes.Length > 18) return -1;
        long number = 0;
        foreach (var digit in bytes)
        {
            if (digit is < (byte)'0' or > (byte)'9') return -1;
            number = number * 10 + digit - '0';
        }
        return number;
    }

    /// <summary>One line of the head: its name and its value without the white space around it; false where it is none.</summary>
    /// <param name="rest">Begins with the line.</param>
    /// <param name="bytes">Of the line, its end included.</param>
    public static bool TryLine(ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value, out int bytes)
    {
        name = value = default;
        bytes = rest.IndexOf((byte)'\n') + 1;
        if (bytes < 2 || rest[bytes - 2] != '\r') return false;
        var line = rest[..(bytes - 2)];
        var colon = line.IndexOf((byte)':');
        if (colon <= 0) return false;
        name = line[..colon];
        value = line[(colon + 1)..].Trim(" \t"u8);
        return IsToken(name);
    }
}
