using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>What happened at one moment of a recording.</summary>
internal enum Moment
{
    Request,
    Response,
    Head,
    Record,
    StreamEnded,
    ClientClosed,
    Remark,
}

/// <summary>One entry of a recording. <paramref name="Text"/>: a message as it was on the wire, a record without its frame, or a remark.</summary>
/// <param name="At">Seconds since the start.</param>
/// <param name="Connection">0 for remarks.</param>
/// <param name="Port">Of requests.</param>
internal sealed record Entry(double At, Moment Moment, int Connection, int Port, string Text)
{
    /// <summary>Status, method or path line and headers of a request or a response.</summary>
    public string[] HeadLines => Text.Split("\n\n", 2)[0].Split('\n');

    public string Body => Text.Split("\n\n", 2) is [_, var body] ? body : "";

    public string? Header(string name) =>
        HeadLines.Skip(1).FirstOrDefault(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))?[(name.Length + 1)..].Trim();

    /// <summary>Of a request.</summary>
    public string Path => HeadLines[0].Split(' ')[1];

    /// <summary>Of a response.</summary>
    public int Status => int.Parse(HeadLines[0].Split(' ')[1]);
}

/// <summary>A scenario recorded from a real Mesos 1.12: requests, responses and stream records in the order of time.</summary>
internal static partial class Recording
{
    public static IEnumerable<string> Names() =>
        Directory.EnumerateFiles(Folder()).Select(file => Path.GetFileName(file)[..^".txt.gz".Length]).Order(StringComparer.Ordinal);

    public static string Text(string name, Encoding encoding)
    {
        using var file = new GZipStream(File.OpenRead(Path.Combine(Folder(), name + ".txt.gz")), CompressionMode.Decompress);
        using var reader = new StreamReader(file, encoding);
        return reader.ReadToEnd();
    }

    public static List<Entry> Read(string name)
    {
        List<Entry> entries = [];
        foreach (var part in Text(name, Encoding.UTF8).Split("\n=== ").Skip(1))
        {
            var title = part.Split('\n', 2)[0];
            var body = part.Length > title.Length ? part[(title.Length + 1)..] : "";
            if (Title().Match(title) is not { Success: true } match)
                continue;
            var at = double.Parse(match.Groups["at"].Value, System.Globalization.CultureInfo.InvariantCulture);
            var connection = match.Groups["conn"].Success ? int.Parse(match.Groups["conn"].Value) : 0;
            var rest = match.Groups["rest"].Value;
            entries.Add(
                match.Groups["way"].Value switch
                {
                    "C->S" => new(at, Moment.Request, connection, PortOf(rest), Trimmed(body)),
                    "S->C" when rest.StartsWith("record", StringComparison.Ordinal) => new(at, Moment.Record, connection, 0, Unframed(body)),
                    "S->C" => new(at, rest.StartsWith("response head", StringComparison.Ordinal) ? Moment.Head : Moment.Response, connection, 0, Trimmed(body)),
                    _ when rest.Contains("server ended the stream", StringComparison.Ordinal) => new(at, Moment.StreamEnded, connection, 0, ""),
                    _ when rest.Contains("client closes", StringComparison.Ordinal) => new(at, Moment.ClientClosed, connection, 0, ""),
                    _ => new(at, Moment.Remark, 0, 0, rest + "\n" + body),
                }
            );
        }

        return entries;
    }

    // The recorder put one newline behind each message, and a remark where a connection stayed open.
    private static string Trimmed(string body) => body.IndexOf("\n# (", StringComparison.Ordinal) is >= 0 and var remark ? Trimmed(body[..remark]) : body.EndsWith("\n", StringComparison.Ordinal) ? body.TrimEnd('\n') + (body.Contains("\n\n", StringComparison.Ordinal) ? "" : "\n\n") : body;

    // Requests of bytes that were sent as they stand ("raw") went to the master.
    private static int PortOf(string rest) => rest.Split(':') is [_, var port, ..] ? int.Parse(port.Split(' ')[0]) : 5050;

    private static string Unframed(string body) => body.Split('\n', 2)[1].TrimEnd('\n');

    private static string Folder([CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "Golden", "mesos", "recordings");

    [GeneratedRegex(@"^\+(?<at>[0-9.]+)s\s+(?:(?<way>C->S|S->C)\s+)?(?:conn#(?<conn>[0-9]+)\s*)?(?<rest>.*)$")]
    private static partial Regex Title();
}
