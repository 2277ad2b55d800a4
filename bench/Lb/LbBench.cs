using System.Globalization;
using Declarative.Bench.Lb.Show;

namespace Declarative.Bench.Lb;

/// <summary>
/// Load on the balancer on this machine, and on HAProxy and nginx in its place: backends, proxies and clients in processes of their own, the CPU
/// of the proxy's process alone counted. wrk, h2load (nghttp2-client), haproxy and nginx (with libnginx-mod-stream) are Debian's packages.
/// </summary>
public static class LbBench
{
    private static readonly string[] AllCases = ["small", "close", "tls", "h2", "1mb", "tcp", "tcp1mb", "ws", "hostile"];
    private static readonly string[] AllTargets = ["declarative", "haproxy", "nginx"];

    private const string Usage = """
        bench lb [--seconds S] [--connections C] [--backends N] [--cases small,close,tls,h2,1mb,tcp,tcp1mb,ws,hostile] [--targets declarative,haproxy,nginx]
                 [--sockets N] [--services N] [--changes N]
        bench lb show [--short] [--once] [--haproxy]
          no request fails and no connection is cut while pods are scaled, rolled out and drained and the configuration changes; --haproxy: the
          same afterwards with the load on HAProxy, which is reloaded with every change; exit code 1 = something failed through the balancer; --short: less of
          everything; --once: one round
        bench lb (the first form)
          --seconds      length of each measurement (default 5)
          --connections  client connections (default 32)
          --backends     nginx processes that answer (default 2)
          --cases        small: keep-alive, 13 bytes; close: a connection per request; tls: small over TLS; h2: small over HTTP/2 and TLS;
                         1mb: 1 MB answers; tcp: small, passed through as TCP; tcp1mb: 1 MB answers passed through as TCP; ws: messages on idle websockets; hostile: others' p99 while clients
                         mean harm (10,000 idle connections, slowloris, floods of headers and bodies, of resets and continuations over HTTP/2; not with nginx); "" = none
          --targets      what is measured, in turn (default all three)
          --sockets      websockets of ws (default 1000)
          --services     Services of the measurement of changes (default 10000, 0: none)
          --changes      endpoint changes timed (default 500)
        """;

    /// <summary>Exit code: 0, 1 where the show has failed, or 2 for wrong options.</summary>
    public static int Run(string[] args)
    {
        if (args is ["backend", ..]) return Backend.Serve();
        if (args is ["attack", var kind, var target, var connections]) return Attack.Run(kind, int.Parse(target, CultureInfo.InvariantCulture), int.Parse(connections, CultureInfo.InvariantCulture)).GetAwaiter().GetResult();
        if (args is ["show-server"]) return ShowServer.Serve().GetAwaiter().GetResult();
        if (args is ["show", .. var how] && how.All(x => x is "--short" or "--haproxy" or "--once"))
        {
            var show = (how.Contains("--short") ? ShowOptions.Short : ShowOptions.Whole) with { Peer = how.Contains("--haproxy") };
            return ShowRun.Run(how.Contains("--once") ? show with { Rounds = 1 } : show).GetAwaiter().GetResult();
        }
        if (args is ["serve", var http, var sockets]) return OurOwn.Serve([.. http.Split(',').Select(x => int.Parse(x, CultureInfo.InvariantCulture))], int.Parse(sockets, CultureInfo.InvariantCulture)).GetAwaiter().GetResult();
        var options = new BenchOptions();
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--targets" when value.Split(',').All(AllTargets.Contains):
                    options = options with { Targets = value.Split(',') };
                    break;
                case "--cases" when value.Length == 0 || value.Split(',').All(AllCases.Contains):
                    options = options with { Cases = value.Length == 0 ? [] : value.Split(',') };
                    break;
                case "--sockets" when int.TryParse(value, out var n) && n > 0:
                    options = options with { Sockets = n };
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
        if (options.Cases.Count > 0) await Throughput.Run(options);
        if (options.Services > 0) await Changes.Run(options);
    }
}

internal sealed record BenchOptions
{
    public int Seconds { get; init; } = 5;
    public int Connections { get; init; } = 32;
    public int Backends { get; init; } = 2;
    public IReadOnlyList<string> Cases { get; init; } = ["small", "close", "tls", "h2", "1mb", "tcp", "tcp1mb", "ws", "hostile"];
    public IReadOnlyList<string> Targets { get; init; } = ["declarative", "haproxy", "nginx"];
    public int Sockets { get; init; } = 1000;
    public int Services { get; init; } = 10_000;
    public int Changes { get; init; } = 500;
}
