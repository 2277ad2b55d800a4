using System.Security.Cryptography;
using System.Text;

namespace Declarative.Dns.Zones;

/// <summary>
/// How Mesos-DNS makes labels out of names: capitals folded, letters and digits and '-' kept, '.' and '_' made '-', everything else
/// dropped; no '-' at either end.
/// </summary>
internal static class MesosLabel
{
    private const string ZBase32 = "ybndrfg8ejkmcpqxot1uwisza345h769";

    /// <summary>RFC 1123: at most 63 characters (or fewer, where a suffix needs room).</summary>
    public static string Rfc1123(string name, int lengthMax = 63) => Cut(Map(name).TrimStart('-'), lengthMax);

    /// <summary>RFC 952: at most 24 characters, starting with a letter.</summary>
    public static string Rfc952(string name, int lengthMax = 24) => Cut(Map(name).TrimStart("-0123456789".ToCharArray()), Math.Min(24, lengthMax));

    /// <summary>A framework's name: its dots go on parting labels.</summary>
    public static string Domain(string name, bool rfc952 = false) =>
        string.Join('.', name.Split('.').Select(part => rfc952 ? Rfc952(part) : Rfc1123(part)).Where(label => label.Length > 0));

    /// <summary><c>-hash-agent</c>: makes the name of one task; five characters of the task id's SHA-1 in z-base-32, the agent id's last part.</summary>
    public static string TaskSuffix(string taskId, string agentId)
    {
        var hash = SHA1.HashData(Encoding.UTF8.GetBytes(taskId));
        var bits = (ulong)hash[0] << 24 | (ulong)hash[1] << 16 | (ulong)hash[2] << 8 | hash[3];
        var text = new StringBuilder("-");
        for (var shift = 27; shift >= 7; shift -= 5)
            text.Append(ZBase32[(int)(bits >> shift) & 31]);
        return text.Append('-').Append(agentId[(agentId.LastIndexOf('-') + 1)..].ToLowerInvariant()).ToString();
    }

    private static string Map(string name)
    {
        var text = new StringBuilder(name.Length);
        foreach (var c in name)
        {
            if (char.IsAsciiLetterOrDigit(c))
                text.Append(char.ToLowerInvariant(c));
            else if (c is '-' or '.' or '_')
                text.Append('-');
        }
        return text.ToString();
    }

    /// <summary>
    /// Cuts to a length without ending in '-': what is trimmed is filled up with what follows the dashes, as Mesos-DNS does
    /// (<c>hello</c>, 58 dashes, <c>f</c> becomes <c>hellof</c>).
    /// </summary>
    private static string Cut(string text, int lengthMax)
    {
        var rest = text.AsSpan();
        var head = "";
        while (true)
        {
            var take = Math.Min(lengthMax - head.Length, rest.Length);
            var cut = (head + rest[..take].ToString()).TrimEnd('-');
            rest = rest[take..].TrimStart('-');
            if (cut.Length == lengthMax || rest.IsEmpty)
                return cut;
            head = cut;
        }
    }
}
