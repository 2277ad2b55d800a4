using System.Diagnostics;
using System.Globalization;
using System.Net;
using Declarative.Dns;
using Declarative.Dns.Server;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Bench.Dns;

/// <summary>
/// Load on the DNS server over UDP on this machine: queries per second, latency, CPU of the server per query, memory per name, cost of a
/// change. The zone is made of services: an A name of ten addresses, an SRV name of ten targets, and those ten.
/// </summary>
public static class DnsBench
{
    private const string Usage = """
        bench dns [--names N[,N…]] [--seconds S] [--clients C] [--dnsperf | --knot] [--threads T] [--changes N] [--write-zone FILE]
          --names    sizes of the zone in names (default 100,10000)
          --seconds  length of each measurement (default 3)
          --clients  client threads (default 2)
          --dnsperf  measure with dnsperf (must be on PATH) instead of the built-in client
          --knot     as --dnsperf, in turn with knotd (Debian package knot) serving the same zone
          --threads  that answer UDP, of this server and of knotd (default 2)
          --changes  status changes for the measurement of freshness (default 1000, 0: none)
          --write-zone  write the zone of the last size as a zone file, to serve it with another server
        """;
    private const int NamesPerService = 12;

    /// <summary>Exit code: 0, or 2 for wrong options.</summary>
    public static int Run(string[] args)
    {
        int[] sizes = [100, 10_000];
        int seconds = 3, clients = 2, changes = 1000;
        var threads = 2;
        bool dnsperf = false, knot = false;
        string? zoneFile = null;
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
                    i++;
                    break;
                case "--clients" when int.TryParse(value, out clients) && clients > 0:
                    i++;
                    break;
                case "--changes" when int.TryParse(value, out changes) && changes >= 0:
                    i++;
                    break;
                case "--write-zone" when value.Length > 0:
                    zoneFile = value;
                    i++;
                    break;
                case "--threads" when int.TryParse(value, out threads) && threads is > 0 and <= 64:
                    i++;
                    break;
                case "--dnsperf":
                    dnsperf = true;
                    break;
                case "--knot":
                    knot = true;
                    break;
                default:
                    Console.Error.WriteLine($"bench dns: unknown or incomplete option {args[i]}\n{Usage}");
                    return 2;
            }
        }
        foreach (var size in sizes)
            Measure(size, seconds, clients, threads, dnsperf, knot, zoneFile);
        if (changes > 0)
            Freshness.Run(changes).GetAwaiter().GetResult();
        return 0;
    }

    private static void Measure(int size, int seconds, int clients, int threads, bool dnsperf, bool knot, string? zoneFile)
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var services = Math.Max(1, size / NamesPerService);
        var objects = Enumerable.Range(0, services).Select(i => Service(i, 0)).ToArray();
        var withObjects = GC.GetTotalMemory(forceFullCollection: true);
        var contents = new ZoneContents([new ZoneAuthority(ZoneNames.Default.Mesos, ZoneNames.Default.Times)], serial: 1);
        for (var i = 0; i < services; i++)
            contents.Put($"service/{i}", objects[i]);
        contents.Publish(1);
        var names = contents.Current.Names.Count;
        if (zoneFile is not null)
            File.WriteAllLines(zoneFile, contents.Current.Lines());
        var after = GC.GetTotalMemory(forceFullCollection: true);
        GC.KeepAlive(objects);
        var (update, allocated) = Update(contents, services);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{names} names: {(after - withObjects) / names} bytes/name, {(after - before) / names} with the records themselves; one service of {NamesPerService} names changed in {update.TotalMicroseconds:F0} µs, {allocated / 1024} KiB allocated"));

        var options = new DnsOptions();
        var zones = new DnsZones(options);
        zones.Cell.Publish(contents.Current);
        using var sockets = DnsSockets.Bind(new IPEndPoint(IPAddress.Loopback, 0), threads);
        sockets.Start(zones, new ServerParts(options, TimeProvider.System), NullLogger.Instance);
        using var peer = knot ? Knot.Start("mesos.", contents.Current.Lines(), threads) ?? throw new InvalidOperationException("there is no knotd: install Debian's package knot") : null;
        Console.WriteLine("  question     queries/s   p50 µs   p99 µs   server CPU µs/query   lost");
        foreach (var (label, type, name) in new (string, RecordType, Func<int, string>)[]
        {
            ("A (10)", RecordType.A, i => $"w{i % services}.declarative.mesos"),
            ("SRV (10+10)", RecordType.Srv, i => $"_w{i % services}._tcp.declarative.mesos"),
            ("NXDOMAIN", RecordType.A, i => $"missing{i % 1000}.declarative.mesos"),
        })
        {
            if (peer is not null)
                InTurn(label, seconds, (sockets.Address, Own), (peer.Address, () => peer.Cpu), type, name);
            else if (dnsperf)
                Console.WriteLine(Dnsperf.Run(sockets.Address, type, name, seconds, Own).Line(label));
            else
                Console.WriteLine(Load.Run(sockets.Address, type, name, seconds, clients).Line(label));
        }
    }

    private static TimeSpan Own() => Process.GetCurrentProcess().TotalProcessorTime;

    /// <summary>The two servers are asked one after the other, three times, so that what else the machine does meets both; the medians count.</summary>
    private static void InTurn(
        string label, int seconds, (IPEndPoint Address, Func<TimeSpan> Cpu) ours, (IPEndPoint Address, Func<TimeSpan> Cpu) peer, RecordType type, Func<int, string> name)
    {
        var (own, others) = (new List<Load.Result>(), new List<Load.Result>());
        for (var round = 0; round < 3; round++)
        {
            own.Add(Dnsperf.Run(ours.Address, type, name, seconds, ours.Cpu));
            others.Add(Dnsperf.Run(peer.Address, type, name, seconds, peer.Cpu));
        }
        var (mine, knot) = (Median(own), Median(others));
        Console.WriteLine(mine.Line(label));
        Console.WriteLine(knot.Line("  knot"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {"",-11}{mine.PerSecond / knot.PerSecond:F2} x knot's rate, {mine.CpuPerQuery / knot.CpuPerQuery:F2} x its CPU per query"));

        static Load.Result Median(List<Load.Result> runs) =>
            new(runs.Select(r => r.PerSecond).Order().ElementAt(1), double.NaN, double.NaN, runs.Select(r => r.CpuPerQuery).Order().ElementAt(1), runs.Sum(r => r.Lost));
    }

    /// <summary>Median of 100 changes of one service.</summary>
    private static (TimeSpan Time, long Bytes) Update(ZoneContents contents, int services)
    {
        var times = new List<(TimeSpan Time, long Bytes)>();
        for (var i = 0; i < 100; i++)
        {
            var records = Service(i % services, i + 1);
            var bytes = GC.GetAllocatedBytesForCurrentThread();
            var start = Stopwatch.GetTimestamp();
            contents.Put($"service/{i % services}", records);
            contents.Publish(1);
            times.Add((Stopwatch.GetElapsedTime(start), GC.GetAllocatedBytesForCurrentThread() - bytes));
        }
        times.Sort();
        return times[50];
    }

    private static List<Record> Service(int number, int version)
    {
        var records = new List<Record>();
        var name = DnsName.Parse($"w{number}.declarative.mesos");
        var srv = DnsName.Parse($"_w{number}._tcp.declarative.mesos");
        for (var i = 0; i < 10; i++)
        {
            var address = new IPAddress([10, (byte)(number >> 8), (byte)number, (byte)(i + version)]);
            var task = Record.OfAddress(DnsName.Parse($"w{number}-{i}-s1.declarative.mesos"), 5, address, $"{number}-{i}");
            records.Add(Record.OfAddress(name, 5, address, task.PodUid));
            records.Add(task);
            records.Add(Record.OfSrv(srv, 5, 0, 1, (ushort)(31000 + i), task.Name) with { Targets = [task], PodUid = task.PodUid });
        }
        return records;
    }
}
