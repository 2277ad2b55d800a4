namespace Declarative.Controllers.Workloads;

/// <summary>The value of pod-template-hash: letters and digits that make no words and stand well in names.</summary>
internal static class TemplateHash
{
    private const string Alphabet = "bcdfghjklmnpqrstvwxz2456789";

    /// <summary>FNV-1a of 32 bits over the canonical template, and over the collision count where there was a collision.</summary>
    public static string Of(ReadOnlySpan<byte> canonicalTemplate, int collisionCount)
    {
        var hash = 2166136261u;
        foreach (var b in canonicalTemplate) hash = (hash ^ b) * 16777619u;
        for (var rest = collisionCount; rest > 0; rest >>= 8) hash = (hash ^ (byte)rest) * 16777619u;
        Span<char> text = stackalloc char[7]; // 27^7 > 2^32
        for (var i = 0; i < text.Length; i++)
        {
            text[i] = Alphabet[(int)(hash % (uint)Alphabet.Length)];
            hash /= (uint)Alphabet.Length;
        }
        return text.ToString();
    }
}
