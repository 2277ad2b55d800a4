using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Declarative.Api.Kinds;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Settings;

/// <summary>
/// The users of all Secrets of type kubernetes.io/basic-auth (Kubernetes doc "Secrets": username and password), as hashes. One writer, any
/// number of readers.
/// </summary>
internal sealed class Credentials
{
    public const string Type = "kubernetes.io/basic-auth";

    private ImmutableDictionary<ServiceKey, byte[]> _users = ImmutableDictionary<ServiceKey, byte[]>.Empty;

    /// <param name="secret">null = gone.</param>
    public void Apply(ServiceKey key, Secret? secret)
    {
        var user = secret is not null && secret.Data.TryGetValue("username", out var name) && secret.Data.TryGetValue("password", out var password) && name.Length > 0
            ? SHA256.HashData([.. name, (byte)':', .. password]) : null;
        Volatile.Write(ref _users, user is null ? _users.Remove(key) : _users.SetItem(key, user));
    }

    public bool Has(ServiceKey secret) => Volatile.Read(ref _users).ContainsKey(secret);

    /// <summary>RFC 7617 section 2: "Basic", base64 of user-id ":" password; null where there is none.</summary>
    public static byte[]? Read(string? authorization)
    {
        const string Scheme = "Basic ";
        if (authorization is null || !authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)) return null;
        var text = authorization.AsSpan(Scheme.Length).Trim();
        var bytes = new byte[Encoding.ASCII.GetMaxByteCount(text.Length)];
        return Convert.TryFromBase64Chars(text, bytes, out var count) ? bytes[..count] : null;
    }

    /// <param name="given">user-id ":" password.</param>
    public bool IsKnown(ReadOnlySpan<byte> given, ImmutableArray<ServiceKey> secrets)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(given, hash);
        var users = Volatile.Read(ref _users);
        var known = false;
        // All of them in every case: how long it takes tells nothing.
        foreach (var secret in secrets) known |= users.TryGetValue(secret, out var user) && CryptographicOperations.FixedTimeEquals(user, hash);
        return known;
    }
}
