namespace Declarative.Bench.Placement;

/// <summary>From apply to Running stored, over the real HTTP APIs; and the matcher alone.</summary>
public static class PlacementBench
{
    private const string Usage = """
        bench placement [--agents N] [--pods N] [--of N] [--processes] [--matcher-only | --matcher-sizes | --end-to-end]
          --agents         emulated agents (default 100)
          --pods           pods (default 5000)
          --of             pods of one Deployment (default 1000)
          --processes      API server, Mesos and controllers as a process each, and the CPU of each
          --matcher-only   the matcher alone
          --matcher-sizes  the matcher alone, on 100, 1000, 5000 and 20000 agents
          --end-to-end     without the matcher alone
        """;

    /// <summary>Exit code: 0, 1 when not every pod came to run, or 2 for wrong options.</summary>
    public static int Run(string[] args)
    {
        if (args is ["--part", var part, var directory, var count]) return EndToEnd.Serve(part, directory, int.Parse(count, System.Globalization.CultureInfo.InvariantCulture)).GetAwaiter().GetResult();
        var (agents, pods, of, processes, only) = (100, 5_000, 1_000, false, "");
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--agents" when int.TryParse(value, out agents) && agents > 0:
                case "--pods" when int.TryParse(value, out pods) && pods > 0:
                case "--of" when int.TryParse(value, out of) && of > 0:
                    i++;
                    break;
                case "--processes":
                    processes = true;
                    break;
                case "--matcher-only" or "--matcher-sizes" or "--end-to-end":
                    only = args[i];
                    break;
                default:
                    Console.Error.WriteLine($"bench placement: unknown or incomplete option {args[i]}\n{Usage}");
                    return 2;
            }
        }
        if (only == "--matcher-sizes") MatcherBench.RunSizes(pods);
        else if (only != "--end-to-end") MatcherBench.Run(agents, pods);
        return only is "--matcher-only" or "--matcher-sizes" || new EndToEnd(agents, pods, of, processes).Run().GetAwaiter().GetResult() ? 0 : 1;
    }
}
