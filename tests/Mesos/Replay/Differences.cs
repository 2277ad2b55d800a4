using System.Text.RegularExpressions;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>One deliberate difference from a real Mesos: where, and why it stays.</summary>
/// <param name="Recordings">Which recordings show it (a regular expression over their names); in each of them it must occur.</param>
/// <param name="Always">False: whether it shows is chance.</param>
/// <param name="What">A regular expression over what the comparison reports.</param>
internal sealed record Difference(string Recordings, string What, string Why, bool Always = true)
{
    public bool In(string recording) => Regex.IsMatch(recording, $"^(?:{Recordings})");

    public bool Covers(string report) => Regex.IsMatch(report, What);
}

internal static class Differences
{
    public static readonly IReadOnlyList<Difference> All =
    [
        new("05|10", @"missing \S*\.(completed_\w+|terminated_tasks|unreachable_tasks)\[\]", "what had happened on that cluster before the recording began"),
        new("06|08|09|10", @"missing \S*\.agent_info\.checkpoint", "a field of the internal protocol that the v1 API does not have"),
        new("09|10", @"missing \S*\.reregistered_time", "the recorded agents had been restarted before"),
        new("10", @"missing \S*\.?(build_|git_)", "there is no build of Mesos that it could name"),
        new("04", "too much .*mem_total_bytes", "measured by control groups, which the recorded agents did not use"),
        new("04|08|10", "TASK_STARTING SOURCE_EXECUTOR : too much .*container_status", "whether a pod's container has its address this early is chance there"),
        new(".*", "OFFERS: an offer does not come", "rounds of offers come at other moments, so that what was two offers is one; what is launched from them must run", Always: false),
        new("07", "UPDATE b12 .*message", "names what reservations an earlier recording had left"),
    ];
}
