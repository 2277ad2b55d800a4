using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Declarative.Lb.Marathon;

/// <summary>
/// Passwords as crypt(3) keeps them with SHA-256 ($5$) and SHA-512 ($6$): U. Drepper, "Unix crypt using SHA-256 and SHA-512". Steps are numbered
/// as there.
/// </summary>
internal static class ShaCrypt
{
    private const int RoundsDefault = 5000;
    private const int RoundsMin = 1000;

    /// <summary>The specification allows 999,999,999; a hundredth of a second per proof is enough of somebody else's choice.</summary>
    private const int RoundsMax = 50_000;
    private const int SaltCharsMax = 16;
    private const string Digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    public static bool IsReadable(string crypted) => TryRead(crypted, out _);

    public static bool Matches(byte[] password, string crypted) =>
        TryRead(crypted, out var parts) && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(Hash(password, parts)), Encoding.ASCII.GetBytes(parts.Hash));

    private static bool TryRead(string crypted, out Parts parts)
    {
        parts = default;
        if (crypted.Split('$') is not ["", "5" or "6", .. var rest]) return false;
        var rounds = RoundsDefault;
        if (rest is [var first, ..] && first.StartsWith("rounds=", StringComparison.Ordinal))
        {
            if (!int.TryParse(first.AsSpan("rounds=".Length), NumberStyles.None, CultureInfo.InvariantCulture, out rounds) || rounds > RoundsMax) return false;
            rounds = Math.Max(rounds, RoundsMin);
            rest = rest[1..];
        }
        var is512 = crypted[1] == '6';
        if (rest is not [{ Length: <= SaltCharsMax } salt, var hash] || hash.Length != (is512 ? 86 : 43)) return false;
        parts = new(is512, rounds, salt, hash);
        return true;
    }

    private static string Hash(byte[] password, Parts parts)
    {
        var name = parts.Is512 ? HashAlgorithmName.SHA512 : HashAlgorithmName.SHA256;
        var salt = Encoding.ASCII.GetBytes(parts.Salt);
        var b = Of(name, password, salt, password); // 4–8
        using var digest = IncrementalHash.CreateHash(name);
        digest.AppendData(password); // 1–3
        digest.AppendData(salt);
        digest.AppendData(Repeat(b, password.Length)); // 9, 10
        for (var length = password.Length; length > 0; length >>= 1) digest.AppendData((length & 1) != 0 ? b : password); // 11
        var a = digest.GetHashAndReset(); // 12
        for (var i = 0; i < password.Length; i++) digest.AppendData(password); // 13–15
        var p = Repeat(digest.GetHashAndReset(), password.Length); // 16
        for (var i = 0; i < 16 + a[0]; i++) digest.AppendData(salt); // 17–19
        var s = Repeat(digest.GetHashAndReset(), salt.Length); // 20
        for (var round = 0; round < parts.Rounds; round++) // 21
        {
            digest.AppendData((round & 1) != 0 ? p : a);
            if (round % 3 != 0) digest.AppendData(s);
            if (round % 7 != 0) digest.AppendData(p);
            digest.AppendData((round & 1) != 0 ? a : p);
            a = digest.GetHashAndReset();
        }
        return Encode(a, parts.Is512);
    }

    /// <summary>22: three bytes at a time, in an order that walks the thirds of the hash, then what is left over.</summary>
    private static string Encode(byte[] hash, bool is512)
    {
        var text = new StringBuilder(86);
        var third = hash.Length / 3;
        for (var i = 0; i < third; i++)
        {
            // The thirds change places from group to group: in turn to the left with SHA-512, to the right with SHA-256.
            var (x, y, z) = (i, i + third, i + 2 * third);
            var (high, middle, low) = (i % 3, is512) switch { (0, _) => (x, y, z), (1, true) => (y, z, x), (2, true) => (z, x, y), (1, false) => (z, x, y), _ => (y, z, x) };
            Append(hash[high] << 16 | hash[middle] << 8 | hash[low], 4);
        }
        if (is512) Append(hash[63], 2);
        else Append(hash[31] << 8 | hash[30], 3);
        return text.ToString();

        void Append(int bits, int digits)
        {
            for (; digits > 0; digits--, bits >>= 6) text.Append(Digits[bits & 63]);
        }
    }

    private static byte[] Of(HashAlgorithmName name, params ReadOnlySpan<byte[]> pieces)
    {
        using var digest = IncrementalHash.CreateHash(name);
        foreach (var piece in pieces) digest.AppendData(piece);
        return digest.GetHashAndReset();
    }

    private static byte[] Repeat(byte[] hash, int length)
    {
        var all = new byte[length];
        for (var i = 0; i < length; i++) all[i] = hash[i % hash.Length];
        return all;
    }

    private readonly record struct Parts(bool Is512, int Rounds, string Salt, string Hash);
}
