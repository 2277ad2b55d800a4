using System.Globalization;

namespace Declarative.Bench.Lb;

/// <summary>What others notice of clients that mean harm: the p99 of requests at a fixed rate with and without them, in turn, and the proxy's memory.</summary>
internal static class Hostile
{
    private const int Rounds = 5;
    private const double Rate = 500;
    private const int Connections = 16;
    private const int IdleConnections = 10_000;

    /// <summary>HAProxy is configured for 8,000 connections here; it gets what it takes.</summary>
    private const int IdleOfOthers = 7_000;

    public static void Run(BenchOptions options, IReadOnlyList<Target> targets)
    {
        foreach (var target in targets)
        {
            Measured(options, target, 1);
            foreach (var kind in Attack.Kinds)
            {
                var idle = target.Name == "declarative" ? IdleConnections : IdleOfOthers;
                var (before, quiet, loud, memory) = (target.ResidentBytes, new List<Sample>(), new List<Sample>(), 0L);
                for (var round = 0; round < Rounds; round++)
                {
                    quiet.Add(Measured(options, target, options.Seconds));
                    using var attack = Child.Self("attack", kind, target.Http.ToString(CultureInfo.InvariantCulture), idle.ToString(CultureInfo.InvariantCulture));
                    if (attack.Output.ReadLine() is null) throw new InvalidOperationException($"attack {kind} has ended");
                    loud.Add(Measured(options, target, options.Seconds));
                    memory = Math.Max(memory, target.ResidentBytes);
                }
                var (without, with) = (Middle(quiet), Middle(loud));
                var what = kind == "idle" ? string.Create(CultureInfo.InvariantCulture, $"{kind} {idle}") : kind;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"hostile {what,-10} {target.Name,-11} p99 of others {without:F0} µs without, {with:F0} µs with: {with / without:F2} ×; {loud.Sum(x => x.Failures)} of theirs failed; memory {before >> 20} -> {memory >> 20} MiB"));
            }
        }
    }

    private static Sample Measured(BenchOptions options, Target target, int seconds) => Clients.H2Load($"http://127.0.0.1:{target.Http}/", Connections, seconds, Rate, "--h1");

    private static double Middle(List<Sample> samples) => samples.Select(x => x.P99).Order().ElementAt(samples.Count / 2);
}
