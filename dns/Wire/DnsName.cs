using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Declarative.Dns.Wire;

/// <summary>A domain name in lower case, held as it stands on the wire (uncompressed, final zero included).</summary>
public sealed class DnsName : IEquatable<DnsName>
{
    private readonly byte[] _wire;

    private DnsName(byte[] wire)
    {
        _wire = wire;
        Hash = NameWire.Hash(wire);
    }

    /// <summary>The root, <c>.</c>.</summary>
    public static DnsName Root { get; } = new([0]);

    /// <summary>The wire form, 1..255 bytes.</summary>
    public ReadOnlySpan<byte> Wire => _wire;

    internal byte[] WireArray => _wire;
    internal uint Hash { get; }
    internal bool IsRoot => _wire.Length == 1;

    /// <summary>The name without its first label; the root's parent is the root.</summary>
    public DnsName Parent => IsRoot ? Root : new DnsName(_wire[(_wire[0] + 1)..]);

    /// <summary>Takes a wire-form name, folding it. The caller has measured it.</summary>
    internal static DnsName FromWire(ReadOnlySpan<byte> name)
    {
        var folded = new byte[name.Length];
        NameWire.Fold(name, folded);
        return new DnsName(folded);
    }

    /// <summary>Takes a name that is in lower case already, without copying it.</summary>
    internal static DnsName FromFolded(byte[] wire) => new(wire);

    /// <summary>Reads presentation form (RFC 1035, 5.1): labels split by dots, <c>\.</c> and <c>\DDD</c> escapes, final dot optional.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out DnsName? name)
    {
        name = null;
        if (text is "." or "")
        {
            name = Root;
            return text.Length == 1;
        }
        Span<byte> buffer = stackalloc byte[NameWire.SizeMax + 1];
        int start = 0, at = 1;
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var i = 0; i < bytes.Length; i++)
        {
            var value = bytes[i];
            if (value == '.')
            {
                if (at == start + 1)
                    return false;
                buffer[start] = (byte)(at - start - 1);
                start = at++;
                if (at > NameWire.SizeMax)
                    return false;
                continue;
            }
            if (value == '\\' && !TryUnescape(bytes, ref i, out value))
                return false;
            if (at >= NameWire.SizeMax || at - start > NameWire.LabelMax)
                return false;
            buffer[at++] = value;
        }
        if (at > start + 1)
        {
            buffer[start] = (byte)(at - start - 1);
            start = at++;
            if (at > NameWire.SizeMax)
                return false;
        }
        buffer[start] = 0;
        name = FromWire(buffer[..(start + 1)]);
        return true;
    }

    /// <summary>As <see cref="TryParse"/>, for names known to be well formed.</summary>
    /// <exception cref="FormatException">The text is no domain name.</exception>
    public static DnsName Parse(string text) =>
        TryParse(text, out var name) ? name : throw new FormatException($"'{text}' is not a domain name: labels of 1..63 bytes, 255 bytes in all");

    /// <summary>Whether this name is <paramref name="apex"/> or stands below it.</summary>
    public bool IsWithin(DnsName apex) => SuffixStart(_wire, apex._wire) >= 0;

    /// <summary>Where in <paramref name="name"/> the suffix begins, on a label border; -1 if it does not end so.</summary>
    internal static int SuffixStart(ReadOnlySpan<byte> name, ReadOnlySpan<byte> suffix)
    {
        var start = name.Length - suffix.Length;
        if (start < 0 || !name[start..].SequenceEqual(suffix))
            return -1;
        var at = 0;
        while (at < start)
            at += name[at] + 1;
        return at == start ? start : -1;
    }

    /// <summary>Presentation form with a final dot.</summary>
    public override string ToString() => Text(_wire);

    internal static string Text(ReadOnlySpan<byte> wire)
    {
        if (wire.Length <= 1)
            return ".";
        var text = new StringBuilder(wire.Length);
        for (var at = 0; wire[at] != 0; at += wire[at] + 1)
        {
            foreach (var value in wire.Slice(at + 1, wire[at]))
            {
                if (value is (byte)'.' or (byte)'\\' or (byte)'"' or (byte)';' or (byte)'(' or (byte)')' or (byte)'@' or (byte)'$')
                    text.Append('\\').Append((char)value);
                else if (value is > 32 and < 127)
                    text.Append((char)value);
                else
                    text.Append('\\').Append(value.ToString("D3", null));
            }
            text.Append('.');
        }
        return text.ToString();
    }

    /// <inheritdoc/>
    public bool Equals(DnsName? other) => other is not null && Hash == other.Hash && _wire.AsSpan().SequenceEqual(other._wire);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as DnsName);

    /// <inheritdoc/>
    public override int GetHashCode() => (int)Hash;

    private static bool TryUnescape(ReadOnlySpan<byte> text, ref int at, out byte value)
    {
        value = 0;
        if (at + 1 >= text.Length)
            return false;
        if (text[at + 1] is < (byte)'0' or > (byte)'9')
        {
            value = text[++at];
            return true;
        }
        if (at + 3 >= text.Length || !int.TryParse(text.Slice(at + 1, 3), out var number) || number > 255)
            return false;
        value = (byte)number;
        at += 3;
        return true;
    }
}
