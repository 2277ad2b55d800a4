using System.Text.RegularExpressions;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>One deliberate difference from a real Mesos: where, and why it stays. A row of Golden/mesos/differences.tsv.</summary>
/// <param name="Recordings">Which recordings show it (a regular expression over their names); in each of them it must occur.</param>
/// <param name="Always">False: whether it shows is chance.</param>
/// <param name="What">A regular expression over what the comparison reports.</param>
internal sealed record Difference(string Recordings, bool Always, string What, string Why)
{
    public bool Covers(string report) => Regex.IsMatch(report, What);
}

internal static class Differences
{
    private static readonly IReadOnlyList<Difference> All =
    [
        .. Recorded
            .Lines("differences.tsv")
            .Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => line.Split('\t'))
            .Select(cells => new Difference(cells[0], cells[1] == "always", cells[2], cells[3])),
    ];

    public static IReadOnlyList<Difference> In(string recording) => [.. All.Where(one => Regex.IsMatch(recording, $"^(?:{one.Recordings})"))];
}
