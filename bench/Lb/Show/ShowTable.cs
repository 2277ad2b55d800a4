using System.Globalization;

namespace Declarative.Bench.Lb.Show;

/// <summary>What the show came to: one table, the kinds of failures, and whether the load was all there.</summary>
internal static class ShowTable
{
    /// <summary>Of what was wanted.</summary>
    private const double WholeLoad = 0.95;

    /// <param name="reloads">Of HAProxy; null = it was not there.</param>
    public static void Write(IReadOnlyList<ShowClients> clients, TimeSpan time, ShowOptions options, int changes, int? reloads)
    {
        Line($"{options.Rounds} rounds of {options.Replicas}->1->{options.Replicas}, rollout and node drain, {changes} changes of configuration in {time.TotalSeconds:F0} s");
        Line($"{"",-11} {"",-10} {"wanted",10} {"was",10} {"done",8} {"failed",7}");
        foreach (var one in clients)
        {
            foreach (var tally in one.Tallies)
            {
                Line($"{one.Name,-11} {tally.Name,-10} {$"{tally.Wanted}{(tally.IsRate ? "/s" : "")}",10} {Text($"{Was(tally, time):F1}{(tally.IsRate ? "/s" : "")}"),10} {tally.Done,8} {tally.Failed,7}");
            }
        }
        foreach (var one in clients)
        {
            foreach (var tally in one.Tallies.Where(x => x.Failed > 0))
            {
                Line($"{one.Name,-11} {tally.Name,-10} {string.Join(", ", tally.Failures.Select(x => Text($"{x.Count} {x.Kind}")))}; the first at {string.Join(", ", tally.First)}");
            }
        }
        if (reloads is { } count) Line($"haproxy was reloaded {count} times");
        var missing = clients.SelectMany(x => x.Tallies.Select(y => (Name: $"{x.Name}'s {y.Name}", Share: Was(y, time) / y.Wanted))).Where(x => x.Share < WholeLoad).ToList();
        Line($"the whole load was there: {(missing.Count == 0 ? "yes" : "no, " + string.Join(", ", missing.Select(x => Text($"{x.Name} {x.Share:P0}"))))}");
        Line($"failed through declarative: {clients[0].Failed}{(clients.Count > 1 ? Text($", through haproxy: {clients[1].Failed}") : "")}");
    }

    /// <summary>The rate, or how many were open at once in the mean.</summary>
    private static double Was(Tally tally, TimeSpan time) => tally.IsRate ? (tally.Done + tally.Failed) / time.TotalSeconds : tally.OpenAverage;

    private static void Line(FormattableString text) => Console.WriteLine(Text(text));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
