using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>Bytes that were sent on a connection of their own, and what came back. Text is Latin-1, one character a byte.</summary>
/// <param name="Note">What the recorder was after.</param>
/// <param name="IsClosed">The server closed the connection then; else it was open a few seconds later.</param>
internal sealed partial record RawExchange(string Note, string Request, string Answer, bool IsClosed)
{
    /// <summary>Those of a recording, in its order.</summary>
    public static IEnumerable<RawExchange> Of(string recording)
    {
        var (note, request) = ("", "");
        foreach (var part in Recording.Text(recording, Encoding.Latin1).Split("\n=== ").Skip(1))
        {
            var title = part.Split('\n', 2)[0];
            // The recorder put one newline behind each.
            var body = part.Length > title.Length + 1 ? part[(title.Length + 1)..^1] : "";
            if (NoteLine().Match(title) is { Success: true } found) note = found.Groups[1].Value;
            else if (title.Contains("C->S", StringComparison.Ordinal) && title.EndsWith(" raw", StringComparison.Ordinal)) request = OnTheWire(body);
            else if (title.Contains("S->C", StringComparison.Ordinal) && title.EndsWith(" raw", StringComparison.Ordinal))
                yield return new(note, request, End().Replace(body, ""), body.Contains("# (server closed)", StringComparison.Ordinal));
        }
    }

    /// <summary>With the line ends of HTTP again, which recordings show as single newlines: in heads and between chunks, not in bodies.</summary>
    private static string OnTheWire(string text)
    {
        var wire = new StringBuilder();
        while (text.Length > 0)
        {
            var end = text.IndexOf("\n\n", StringComparison.Ordinal);
            if (end < 0) return wire.Append(text.ReplaceLineEndings("\r\n")).ToString();
            var head = text[..end];
            text = text[(end + 2)..];
            wire.Append(head.ReplaceLineEndings("\r\n")).Append("\r\n\r\n");
            if (head.Contains("Transfer-Encoding: chunked", StringComparison.OrdinalIgnoreCase)) return wire.Append(text.ReplaceLineEndings("\r\n")).ToString();
            // Line ends within compressed bytes are lost: they are made again of what they were.
            if (head.Contains("Content-Encoding: gzip", StringComparison.Ordinal)) return wire.Replace("Content-Length: 41", $"Content-Length: {Zipped.Length}").Append(Zipped).ToString();
            var length = Length().Match(head) is { Success: true } of ? Math.Min(int.Parse(of.Groups[1].Value), text.Length) : 0;
            wire.Append(text, 0, length);
            text = text[length..];
        }
        return wire.ToString();
    }

    private static string Zipped { get; } = Zip("""{"type":"GET_HEALTH"}""");

    private static string Zip(string text)
    {
        using var zipped = new MemoryStream();
        using (var zip = new GZipStream(zipped, CompressionLevel.Fastest, leaveOpen: true)) zip.Write(Encoding.UTF8.GetBytes(text));
        return Encoding.Latin1.GetString(zipped.ToArray());
    }

    [GeneratedRegex(@"^\+[0-9.]+s\s+NOTE (.*)$")]
    private static partial Regex NoteLine();

    [GeneratedRegex("(?i)content-length: ([0-9]+)")]
    private static partial Regex Length();

    [GeneratedRegex(@"\n?# \((server closed|still open after [0-9]+ s)\)\s*$")]
    private static partial Regex End();
}
