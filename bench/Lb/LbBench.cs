using System.Globalization;

namespace Declarative.Bench.Lb;

/// <summary>
/// Load on the balancer on this machine: backends and clients in processes of their own, the balancer in this one, so that its CPU per
/// request is its own. HAProxy in its place with <c>--against haproxy</c>.
/// </summary>
public static class LbBench
{
    private const string Usage = """
        bench lb [--seconds S] [--connections C] [--backends N] [--cases small,close,1mb,tcp] [--wrk] [--against haproxy] [--services N] [--changes N]
          --seconds      length of each measurement (default 5)
          --connections  client connections (default 32)
          --backends     processes that answer (default 2)
          --cases        small: keep-alive, 13 bytes; close: a connection per request; 1mb: 1 MB answers; tcp: small, passed through as TCP
          --wrk          measure with wrk (must be on PATH) instead of the built-in client; not for close
          --against      measure haproxy (must be on PATH) after the balancer, with the same backends
          --services     Services of the measurement of changes (default 10000, 0: none)
          --changes      endpoint changes timed (default 500)
        """;

    /// <summary>Exit code: 0, or 2 for wrong options.</summary>
    public static int Run(string[] args)
    {
        if (args is ["backend", ..]) return Backend.Serve();
        if (args is ["load", var port, var path, var connections, var seconds]) return Load.Run(int.Parse(port, CultureInfo.InvariantCulture), path, int.Parse(connections, CultureInfo.InvariantCulture), int.Parse(seconds, CultureInfo.InvariantCulture));
        var options = new BenchOptions();
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--wrk":
                    options = options with { Wrk = true };
                    continue;
                case "--against" when value == "haproxy":
                    options = options with { HaProxy = true };
                    break;
                case "--cases" when value.Split(',').All(x => x is "small" or "close" or "1mb" or "tcp"):
                    options = options with { Cases = value.Split(',') };
                    break;
                case "--seconds" when int.TryParse(value, out var n) && n > 0:
                    options = options with { Seconds = n };
                    break;
                case "--connections" when int.TryParse(value, out var n) && n > 0:
                    options = options with { Connections = n };
                    break;
                case "--backends" when int.TryParse(value, out var n) && n > 0:
                    options = options with { Backends = n };
                    break;
                case "--services" when int.TryParse(value, out var n) && n >= 0:
                    options = options with { Services = n };
                    break;
                case "--changes" when int.TryParse(value, out var n) && n > 0:
                    options = options with { Changes = n };
                    break;
                default:
                    Console.Error.WriteLine($"bench lb: unknown or incomplete option {args[i]}\n{Usage}");
                    return 2;
            }
            i++;
        }
        Measure(options).GetAwaiter().GetResult();
        return 0;
    }

    private static async Task Measure(BenchOptions options)
    {
        await Throughput.Run(options);
        if (options.Services > 0) await Changes.Run(options);
    }
}

internal sealed record BenchOptions
{
    public int Seconds { get; init; } = 5;
    public int Connections { get; init; } = 32;
    public int Backends { get; init; } = 2;
    public IReadOnlyList<string> Cases { get; init; } = ["small", "close", "1mb", "tcp"];
    public bool Wrk { get; init; }
    public bool HaProxy { get; init; }
    public int Services { get; init; } = 10_000;
    public int Changes { get; init; } = 500;
}
