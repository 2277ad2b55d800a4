using System.Globalization;

namespace Declarative.Bench.Lb.Show;

/// <summary>Of one way through the show.</summary>
/// <param name="Was">By tally: the rate, or how many were open at once in the mean.</param>
/// <param name="Reloads">null = there is nothing to reload.</param>
internal sealed record ShowResult(ShowClients Clients, TimeSpan Time, IReadOnlyList<double> Was, int Changes, int? Reloads)
{
    public IEnumerable<(Tally Tally, double Was)> Rows => Clients.Tallies.Zip(Was);
}

/// <summary>What the show came to: one table, the kinds of failures, and whether the load was all there.</summary>
internal static class ShowTable
{
    /// <summary>Of what was wanted.</summary>
    private const double WholeLoad = 0.95;

    public static void Write(IReadOnlyList<ShowResult> results, ShowOptions options)
    {
        foreach (var one in results)
        {
            Line($"{one.Clients.Name}: {options.Rounds} rounds of {options.Replicas}->1->{options.Replicas}, rollout and node drain, {one.Changes} changes of configuration in {one.Time.TotalSeconds:F0} s{(one.Reloads is { } count ? Text($", {count} reloads") : "")}");
        }
        Line($"{"",-11} {"",-10} {"wanted",10} {"was",10} {"done",8} {"failed",7}");
        foreach (var one in results)
        {
            foreach (var (tally, was) in one.Rows)
            {
                Line($"{one.Clients.Name,-11} {tally.Name,-10} {$"{tally.Wanted}{(tally.IsRate ? "/s" : "")}",10} {Text($"{was:F1}{(tally.IsRate ? "/s" : "")}"),10} {tally.Done,8} {tally.Failed,7}");
            }
        }
        foreach (var (one, tally) in results.SelectMany(x => x.Clients.Tallies.Where(y => y.Failed > 0).Select(y => (x, y))))
        {
            Line($"{one.Clients.Name,-11} {tally.Name,-10} {tally.Why}");
        }
        var missing = results.SelectMany(x => x.Rows.Select(y => (Name: $"{x.Clients.Name}'s {y.Tally.Name}", Share: y.Was / y.Tally.Wanted))).Where(x => x.Share < WholeLoad).ToList();
        Line($"the whole load was there: {(missing.Count == 0 ? "yes" : "no, " + string.Join(", ", missing.Select(x => Text($"{x.Name} {x.Share:P0}"))))}");
        Line($"failed through declarative: {results[0].Clients.Failed}{(results.Count > 1 ? Text($", through haproxy: {results[1].Clients.Failed}") : "")}");
    }

    private static void Line(FormattableString text) => Console.WriteLine(Text(text));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
