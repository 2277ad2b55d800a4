using System.Security.Cryptography;
using System.Text;

namespace Declarative.ApiServer.Storage.Encryption;

/// <summary>
/// The keys that Secrets are encrypted with at rest: the first one writes, all of them read. A file has one key a line, <c>NAME:BASE64</c> with
/// 32 bytes; to change keys put a new line in front, start again, and remove the old line when <see cref="EncryptedJournal"/> has written all anew.
/// </summary>
public sealed class EncryptionKeys
{
    private const int KeyBytes = 32;
    private const int NameCharsMax = 63;

    private readonly List<(string Name, byte[] Key)> _keys;

    private EncryptionKeys(List<(string Name, byte[] Key)> keys) => _keys = keys;

    /// <summary>The key that writes.</summary>
    internal (string Name, byte[] Key) First => _keys[0];

    /// <summary>Null for a key that is not in the file.</summary>
    internal byte[]? Find(string name) => _keys.Find(x => x.Name == name).Key;

    /// <param name="path">Named in the errors.</param>
    /// <exception cref="JournalException">A line that is no key, a name twice, or no key at all; keys are never in the message.</exception>
    public static EncryptionKeys Read(string path, string text)
    {
        var keys = new List<(string Name, byte[] Key)>();
        var number = 0;
        foreach (var line in text.Split('\n', StringSplitOptions.TrimEntries))
        {
            number++;
            if (line.Length == 0 || line.StartsWith('#')) continue;
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var name = colon < 0 ? "" : line[..colon];
            var key = new byte[KeyBytes + 1];
            if (name.Length is 0 or > NameCharsMax || !name.All(x => char.IsAsciiLetterOrDigit(x) || x is '-' or '_' or '.')
                || !Convert.TryFromBase64String(line[(colon + 1)..].Trim(), key, out var length) || length != KeyBytes)
            {
                throw new JournalException($"{path}, line {number}: expected NAME:KEY, a key of {KeyBytes} bytes in base64 (for example made with: head -c {KeyBytes} /dev/urandom | base64)");
            }
            if (keys.Exists(x => x.Name == name)) throw new JournalException($"{path}, line {number}: a second key with the name {name}");
            keys.Add((name, key[..KeyBytes]));
        }
        return keys.Count > 0 ? new(keys) : throw new JournalException($"{path}: expected at least one line NAME:KEY");
    }

    /// <summary>Keys never reach a log.</summary>
    public override string ToString() => $"keys {string.Join(", ", _keys.Select(x => x.Name))}";
}

/// <summary>
/// One encrypted value: <c>{"enc":"aesgcm","key":NAME,"nonce":…,"tag":…,"data":…}</c>, AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits.
/// The place of the object is authenticated too, so that a value moved to another one does not open. It is JSON, so every journal can keep it.
/// </summary>
internal static class Envelope
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private static readonly byte[] Head = "{\"enc\":\"aesgcm\",\"key\":\""u8.ToArray();

    public static bool Is(ReadOnlySpan<byte> json) => json.StartsWith(Head);

    public static byte[] Seal((string Name, byte[] Key) key, string place, ReadOnlySpan<byte> json)
    {
        var nonce = RandomNumberGenerator.GetBytes(NonceBytes);
        var tag = new byte[TagBytes];
        var data = new byte[json.Length];
        using (var aes = new AesGcm(key.Key, TagBytes)) aes.Encrypt(nonce, json, data, tag, Encoding.UTF8.GetBytes(place));
        return Encoding.UTF8.GetBytes($"{Encoding.UTF8.GetString(Head)}{key.Name}\",\"nonce\":\"{Convert.ToBase64String(nonce)}\",\"tag\":\"{Convert.ToBase64String(tag)}\",\"data\":\"{Convert.ToBase64String(data)}\"}}");
    }

    /// <exception cref="JournalException">The key is missing, or the value is not what was sealed for this place.</exception>
    public static byte[] Open(EncryptionKeys? keys, string place, ReadOnlyMemory<byte> sealedJson, out string keyName)
    {
        using var document = System.Text.Json.JsonDocument.Parse(sealedJson);
        var root = document.RootElement;
        keyName = root.GetProperty("key").GetString()!;
        var key = keys?.Find(keyName) ?? throw new JournalException($"{place} is encrypted with the key {keyName}, which is not among the {keys?.ToString() ?? "keys: none are given"}");
        var data = root.GetProperty("data").GetBytesFromBase64();
        var json = new byte[data.Length];
        try
        {
            using var aes = new AesGcm(key, TagBytes);
            aes.Decrypt(root.GetProperty("nonce").GetBytesFromBase64(), data, root.GetProperty("tag").GetBytesFromBase64(), json, Encoding.UTF8.GetBytes(place));
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or FormatException)
        {
            throw new JournalException($"{place} can not be decrypted with the key {keyName}: another key of this name, or the stored value was changed", e);
        }
        return json;
    }
}
