using System.Diagnostics;
using System.Net;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;

namespace Declarative.Bench.Dns;

/// <summary>The zone that is measured: services, each an A name of ten addresses, an SRV name of ten targets, and those ten.</summary>
internal sealed class BenchZone
{
    public const int Instances = 10;
    public const int NamesPerService = Instances + 2;
    private const int NamesWeighed = 10_000;

    private BenchZone(int names)
    {
        Services = Math.Max(1, names / NamesPerService);
        Contents = new ZoneContents([new ZoneAuthority(ZoneNames.Default.Mesos, ZoneNames.Default.Times)], serial: 1);
        Contents.Put("server", [Record.OfAddress(DnsName.Parse("ns1.mesos"), 5, IPAddress.Loopback)]);
        for (var i = 0; i < Services; i++)
            Contents.Put($"service/{i}", Service(i, 0));
        Contents.Publish(1);
    }

    public ZoneContents Contents { get; }
    public int Services { get; }
    public int Names => Contents.Current.Names.Count;

    /// <summary>All that is held for the zone, in bytes per name: the records are held in no other form.</summary>
    public double BytesPerName { get; private init; }

    public static BenchZone Of(int names)
    {
        // What is made once per process does not count, and a small zone is too little to be weighed alone.
        GC.KeepAlive(new BenchZone(NamesPerService));
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var zones = Enumerable.Range(0, Math.Max(1, NamesWeighed / names)).Select(_ => new BenchZone(names)).ToArray();
        var weight = (double)(GC.GetTotalMemory(forceFullCollection: true) - before) / zones.Sum(z => z.Names);
        return new BenchZone(zones[0], weight);
    }

    private BenchZone(BenchZone zone, double bytesPerName) => (Contents, Services, BytesPerName) = (zone.Contents, zone.Services, bytesPerName);

    /// <summary>The name of a service's addresses.</summary>
    public static string Addresses(int service) => $"w{service}.declarative.mesos";

    /// <summary>The name of its SRV records.</summary>
    public static string Ports(int service) => $"_w{service}._tcp.declarative.mesos";

    public static IPAddress Address(int service, int instance, int version) =>
        new([10, (byte)(service >> 8), (byte)service, (byte)(instance + version)]);

    /// <summary>Medians of 100 changes: of one name alone, and of all twelve names of a service.</summary>
    public ((TimeSpan Time, long Bytes) Name, (TimeSpan Time, long Bytes) Service) MeasureUpdates()
    {
        var (names, services) = (new List<(TimeSpan, long)>(), new List<(TimeSpan, long)>());
        for (var i = 0; i < 100; i++)
        {
            var records = Service(i % Services, i + 1);
            services.Add(Measure($"service/{i % Services}", records));
            var single = Record.OfAddress(DnsName.Parse($"single{i % 7}.declarative.mesos"), 5, Address(0, i, 0), $"single-{i}");
            names.Add(Measure("single", [single]));
        }
        names.Sort();
        services.Sort();
        return (names[50], services[50]);
    }

    private (TimeSpan, long) Measure(string source, IReadOnlyList<Record> records)
    {
        var bytes = GC.GetAllocatedBytesForCurrentThread();
        var start = Stopwatch.GetTimestamp();
        Contents.Put(source, records);
        Contents.Publish(1);
        return (Stopwatch.GetElapsedTime(start), GC.GetAllocatedBytesForCurrentThread() - bytes);
    }

    private static List<Record> Service(int number, int version)
    {
        var records = new List<Record>();
        var name = DnsName.Parse(Addresses(number));
        var srv = DnsName.Parse(Ports(number));
        for (var i = 0; i < Instances; i++)
        {
            var task = Record.OfAddress(DnsName.Parse($"w{number}-{i}-s1.declarative.mesos"), 5, Address(number, i, version), PodUids[i]);
            records.Add(Record.OfAddress(name, 5, task.Address, task.PodUid));
            records.Add(task);
            records.Add(Record.OfSrv(srv, 5, 0, 1, (ushort)(31000 + i), task.Name) with { Targets = [task], PodUid = task.PodUid });
        }
        return records;
    }

    /// <summary>As with pods of the API, whose uids are theirs and cost the zone nothing.</summary>
    private static readonly string[] PodUids = [.. Enumerable.Range(0, Instances).Select(i => $"pod-{i}")];
}
