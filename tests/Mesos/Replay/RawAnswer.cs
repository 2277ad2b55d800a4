using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>One HTTP answer as it came: of a stream what has come of it so far, without the chunks' frames.</summary>
/// <param name="Rest">What follows it on the connection.</param>
internal sealed partial record RawAnswer(int Status, IReadOnlyDictionary<string, string> Heads, string Body, string Rest)
{
    public bool IsStream => Heads.ContainsKey("transfer-encoding");

    /// <summary>The records of a stream of JSON.</summary>
    public IEnumerable<string> Records => Record().Matches(Body).Select(x => x.Value);

    /// <summary>null where it is not whole yet. Interim answers are passed over: who does not expect them reads over them, too (RFC 9110, 15.2).</summary>
    /// <param name="newline">CRLF on the wire; recordings show LF.</param>
    public static RawAnswer? Parse(string text, string newline = "\r\n")
    {
        var end = text.IndexOf(newline + newline, StringComparison.Ordinal);
        if (end < 0) return null;
        var lines = text[..end].Split(newline);
        var body = text[(end + 2 * newline.Length)..];
        var status = int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture);
        if (status == 100) return Parse(body, newline);
        var heads = lines.Skip(1).Select(x => x.Split(": ", 2)).ToDictionary(x => x[0].ToLowerInvariant(), x => x[1], StringComparer.Ordinal);
        if (heads.ContainsKey("transfer-encoding")) return new(status, heads, newline == "\n" ? body : Unchunked(body), "");
        if (!heads.TryGetValue("content-length", out var length) || int.Parse(length, CultureInfo.InvariantCulture) is var bytes && body.Length < bytes) return newline == "\n" ? new(status, heads, body, "") : null;
        return new(status, heads, body[..bytes], body[bytes..]);
    }

    private static string Unchunked(string text)
    {
        var body = new StringBuilder();
        while (text.IndexOf("\r\n", StringComparison.Ordinal) is > 0 and var end && int.TryParse(text.AsSpan(0, end), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var size) && size > 0 && text.Length >= end + 2 + size)
        {
            body.Append(text, end + 2, size);
            text = text[Math.Min(text.Length, end + 4 + size)..];
        }
        return body.ToString();
    }

    [GeneratedRegex("^\\{.*\\}(?=[0-9a-f]*$)", RegexOptions.Multiline)]
    private static partial Regex Record();
}
