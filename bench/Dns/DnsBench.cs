using System.Diagnostics;
using System.Globalization;
using System.Net;
using Declarative.Dns;
using Declarative.Dns.Server;
using Declarative.Dns.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Bench.Dns;

/// <summary>
/// Load on the DNS server over UDP on this machine, in turn with other servers that hold the same zone: queries per second and CPU per query
/// of each server's process alone; and of this one memory per name, cost of a change, and the time until a change is answered.
/// </summary>
public static class DnsBench
{
    private const string Usage = """
        bench dns [--names N[,N…]] [--seconds S] [--rounds R] [--threads T] [--mesos-dns PATH] [--no-knot] [--own-client] [--changes N] [--write-zone FILE]
          --names      sizes of the zone in names (default 100,10000,1000000)
          --seconds    length of each measurement (default 1)
          --rounds     how often the servers are asked in turn; medians are printed, of ratios the rounds' (default 7)
          --threads    that answer UDP, of this server and of knotd (default 2)
          --mesos-dns  a Mesos-DNS binary that is measured too, up to 100,000 names
          --no-knot    leave knotd out (Debian package knot); it is measured where it is installed
          --own-client ask with the built-in client instead of dnsperf, which tells latencies too; other servers are left out
          --changes    status changes for the measurement of freshness (default 1000, 0: none)
          --write-zone write the zone of the last size as a zone file, to serve it with another server
        """;

    /// <summary>Exit code: 0; 1 where a program is missing; 2 for wrong options.</summary>
    public static int Run(string[] args)
    {
        int[] sizes = [100, 10_000, 1_000_000];
        int seconds = 1, rounds = 7, changes = 1000, threads = 2;
        bool ownClient = false, noKnot = false;
        string? zoneFile = null, mesosDns = null;
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--names" when value.Split(',').All(v => int.TryParse(v, out var n) && n > 0):
                    sizes = [.. value.Split(',').Select(int.Parse)];
                    i++;
                    break;
                case "--seconds" when int.TryParse(value, out seconds) && seconds > 0:
                case "--rounds" when int.TryParse(value, out rounds) && rounds > 0:
                case "--changes" when int.TryParse(value, out changes) && changes >= 0:
                case "--threads" when int.TryParse(value, out threads) && threads is > 0 and <= 64:
                    i++;
                    break;
                case "--write-zone" when value.Length > 0:
                    zoneFile = value;
                    i++;
                    break;
                case "--mesos-dns" when File.Exists(value):
                    mesosDns = value;
                    i++;
                    break;
                case "--help":
                    Console.WriteLine(Usage);
                    return 0;
                case "--no-knot":
                    noKnot = true;
                    break;
                case "--own-client":
                    ownClient = true;
                    break;
                default:
                    Console.Error.WriteLine($"bench dns: unknown or incomplete option {args[i]}\n{Usage}");
                    return 2;
            }
        }
        if (!ownClient && !Dnsperf.IsInstalled)
        {
            Console.Error.WriteLine("bench dns: dnsperf is not on PATH (Debian package dnsperf); --own-client does without");
            return 1;
        }
        var knot = noKnot || ownClient ? null : Knot.Program;
        if (knot is null && !noKnot && !ownClient)
            Console.WriteLine("knotd is not installed (Debian package knot): measured without it");
        foreach (var size in sizes)
            Measure(size, new Plan(TimeSpan.FromSeconds(seconds), rounds, threads, ownClient, knot, mesosDns, zoneFile));
        if (changes > 0)
            Freshness.Run(changes).GetAwaiter().GetResult();
        return 0;
    }

    private sealed record Plan(TimeSpan Length, int Rounds, int Threads, bool OwnClient, string? Knot, string? MesosDns, string? ZoneFile);

    private static void Measure(int size, Plan plan)
    {
        var zone = BenchZone.Of(size);
        if (plan.ZoneFile is not null)
            File.WriteAllLines(plan.ZoneFile, zone.Contents.Current.Lines());
        using var knot = plan.Knot is { } knotd ? Knot.Start(knotd, zone, plan.Threads) : null;
        using var mesosDns = plan.MesosDns is { } binary && size <= MesosDns.NamesMax ? MesosDns.Start(binary, zone) : null;
        var (name, service) = zone.MeasureUpdates();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{zone.Names} names: {zone.BytesPerName:F0} bytes/name; a change of one name {name.Time.TotalMicroseconds:F0} µs and {name.Bytes / 1024.0:F1} KiB allocated, of {BenchZone.NamesPerService} names {service.Time.TotalMicroseconds:F0} µs and {service.Bytes / 1024.0:F1} KiB"));

        var options = new DnsOptions();
        var zones = new DnsZones(options);
        zones.Cell.Publish(zone.Contents.Current);
        using var sockets = DnsSockets.Bind(new IPEndPoint(IPAddress.Loopback, 0), plan.Threads);
        sockets.Start(zones, new ServerParts(options, TimeProvider.System), NullLogger.Instance);
        var servers = new List<Server> { new("declarative", sockets.Address, Own) };
        foreach (var peer in new Peer?[] { knot, mesosDns }.OfType<Peer>())
            servers.Add(new Server(peer.Name, peer.Address, () => peer.Cpu));
        Console.WriteLine("  question     server         queries/s   server CPU µs/query    lost   p50 µs   p99 µs");
        foreach (var (label, type, question) in new (string, RecordType, Func<int, string>)[]
        {
            ("A (10)", RecordType.A, i => BenchZone.Addresses(i % zone.Services)),
            ("SRV (10+10)", RecordType.Srv, i => BenchZone.Ports(i % zone.Services)),
            ("NXDOMAIN", RecordType.A, i => $"missing{i % 1000}.declarative.mesos"),
        })
        {
            if (plan.OwnClient)
                Console.WriteLine(Load.Run(sockets.Address, type, question, plan.Length, clients: 2).Line(label, "declarative"));
            else
                InTurn(label, plan, servers, type, question);
        }
    }

    /// <summary>In this process only the server works while dnsperf asks.</summary>
    private static TimeSpan Own() => Process.GetCurrentProcess().TotalProcessorTime;

    /// <summary>The servers are asked one after the other, round by round, so that what else the machine does meets all of them.</summary>
    private static void InTurn(string label, Plan plan, IReadOnlyList<Server> servers, RecordType type, Func<int, string> question)
    {
        using var questions = new Dnsperf(type, question);
        foreach (var server in servers)
            questions.Run(server.Address, TimeSpan.FromSeconds(1), server.Cpu); // caches are filled, code is compiled
        var runs = servers.Select(_ => new List<Load.Result>()).ToArray();
        for (var round = 0; round < plan.Rounds; round++)
        {
            for (var i = 0; i < servers.Count; i++)
                runs[i].Add(questions.Run(servers[i].Address, plan.Length, servers[i].Cpu));
        }
        for (var i = 0; i < servers.Count; i++)
        {
            Console.WriteLine(Middle(runs[i]).Line(i == 0 ? label : "", servers[i].Name)
                + (i == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"   declarative: {Ratio(runs[0], runs[i], r => r.PerSecond):F2} x its rate, {Ratio(runs[0], runs[i], r => r.CpuPerQuery):F2} x its CPU")));
        }
    }

    /// <summary>The median of the rounds' ratios: what else the machine did met both servers of a round.</summary>
    private static double Ratio(List<Load.Result> ours, List<Load.Result> others, Func<Load.Result, double> figure) =>
        Median(ours.Zip(others, (a, b) => figure(a) / figure(b)));

    private static Load.Result Middle(List<Load.Result> runs) =>
        new(Median(runs.Select(r => r.PerSecond)), double.NaN, double.NaN, Median(runs.Select(r => r.CpuPerQuery)), runs.Sum(r => r.Lost));

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private sealed record Server(string Name, IPEndPoint Address, Func<TimeSpan> Cpu);
}
