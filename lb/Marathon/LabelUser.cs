using System.Security.Cryptography;
using System.Text;

namespace Declarative.Lb.Marathon;

/// <summary>The user of label <c>HAPROXY_{n}_AUTH</c>. Knows the password as crypt(3) keeps it.</summary>
public sealed class LabelUser
{
    /// <summary>A hash of thousands of rounds for every request would make the balancer the slowest part: what has proved right is remembered, as a hash of its own.</summary>
    private byte[]? _proved;
    private readonly string _name;
    private readonly string _crypted;

    private LabelUser(string realm, string name, string crypted) => (Realm, _name, _crypted) = (realm, name, crypted);

    public string Realm { get; }

    /// <param name="label">REALM:USER:PASSWORD.</param>
    /// <returns>null where it has another form.</returns>
    public static LabelUser? Read(string label) =>
        label.Split(':', 3) is [{ Length: > 0 } realm, { Length: > 0 } name, var crypted] && !realm.Contains('"', StringComparison.Ordinal) && ShaCrypt.IsReadable(crypted) ? new(realm, name, crypted) : null;

    /// <param name="credentials">user-id ":" password (RFC 7617).</param>
    public bool Is(ReadOnlySpan<byte> credentials)
    {
        var hash = SHA256.HashData(credentials);
        if (Volatile.Read(ref _proved) is { } proved && CryptographicOperations.FixedTimeEquals(proved, hash)) return true;
        var colon = credentials.IndexOf((byte)':');
        if (colon < 0 || !credentials[..colon].SequenceEqual(Encoding.UTF8.GetBytes(_name)) || !ShaCrypt.Matches(credentials[(colon + 1)..].ToArray(), _crypted)) return false;
        Volatile.Write(ref _proved, hash);
        return true;
    }

    public override string ToString() => $"user {_name}";
}
