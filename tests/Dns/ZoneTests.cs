using System.Net;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using FsCheck.Fluent;
using Xunit;
using Record = Declarative.Dns.Wire.Record;

namespace Declarative.Tests.Dns;

public class ZoneTests
{
    [Theory]
    [InlineData("pod_123$abc", "pod-123abc")]
    [InlineData("a.b.c.d.e", "a-b-c-d-e")]
    [InlineData("a.c.d_de.", "a-c-d-de")]
    [InlineData("hello----------------------------------------------------------f", "hellof")]
    public void LabelsAreMangledAsMesosDnsDoes(string name, string label) => Assert.Equal(label, MesosLabel.Rfc1123(name));

    [Theory]
    [InlineData("89fdgsf---gs7-fgs--d7fddg-123", "fdgsf---gs7-fgs--d7fddg1")]
    [InlineData("chronos with a space AND MIXED CASE-2.0.1", "chronoswithaspaceandmixe")]
    public void Rfc952LabelsAreShorter(string name, string label) => Assert.Equal(label, MesosLabel.Rfc952(name));

    [Theory]
    [InlineData("marathon.prod", "marathon.prod")]
    [InlineData("(@ host . com", "host.com")]
    public void FrameworkNamesKeepTheirDots(string name, string domain) => Assert.Equal(domain, MesosLabel.Domain(name));

    [Fact]
    public void TaskSuffixIsHashAndAgent()
    {
        Assert.Equal("-iffe9-s1", MesosLabel.TaskSuffix("test", "20140827-000744-3041283216-5050-2116-S1"));
        Assert.Equal("-iffe9-alone", MesosLabel.TaskSuffix("test", "Alone"));
    }

    /// <summary>Any order of any changes ends in the same zones as the last state put at once, and every ancestor exists as long as it must.</summary>
    [Fact]
    public void ContentsDependOnlyOnTheLastState()
    {
        var name = Gen.Elements("a", "b.a", "c.b.a", "x", "y.x", "_s._tcp.x", "q.w.e.r").Select(n => DnsName.Parse(n + ".mesos"));
        var record = from n in name from b in Gen.Choose(0, 3) select Record.OfAddress(n, 5, new IPAddress([10, 0, 0, (byte)b]));
        var change = from source in Gen.Elements("s1", "s2", "s3", "s4") from records in record.ListOf() from publish in Gen.Elements(true, false)
            select (source, records, publish);
        Arbitrary.Holds(change.ListOf(), changes =>
        {
            var contents = ZoneCase.NewContents();
            foreach (var (source, records, publish) in changes)
            {
                contents.Put(source, [.. records]);
                if (publish)
                    contents.Publish(1);
            }
            contents.Publish(1);
            var fresh = ZoneCase.NewContents();
            foreach (var last in changes.GroupBy(c => c.source).Select(g => g.Last()))
                fresh.Put(last.source, [.. last.records]);
            fresh.Publish(1);
            var (a, b) = (contents.Current.Names.Sorted(), fresh.Current.Names.Sorted());
            Assert.Equal(b.Select(Describe), a.Select(Describe));
            Assert.Equal(a.Count, contents.Current.Names.Count);
            return a.All(e => e.HasRecords || e.Children > 0);
        });

        static string Describe(NameEntry e) => $"{e.Name} {e.Children} {string.Join(',', e.Records)}";
    }

    [Fact]
    public void MapIsAsADictionaryAndOldVersionsStay() =>
        Arbitrary.Holds(Gen.Zip(Gen.Choose(0, 60), Gen.Elements(true, false)).ListOf(), steps =>
        {
            var map = NameMap.Empty;
            var model = new SortedDictionary<string, NameEntry>(StringComparer.Ordinal);
            foreach (var (number, add) in steps)
            {
                var name = DnsName.Parse($"n{number}.");
                var before = (map, names: map.Sorted().Select(e => e.Name.ToString()).ToArray());
                var editor = map.Edit();
                if (add)
                    editor.Set(model[name.ToString()] = new NameEntry(name, [], number, null));
                else if (model.Remove(name.ToString()) | true)
                    editor.Remove(name);
                map = editor.Freeze();
                Assert.Equal(before.names, before.map.Sorted().Select(e => e.Name.ToString()));
                Assert.Equal(model.GetValueOrDefault(name.ToString()), map.Find(name.Wire));
            }
            return map.Count == model.Count && map.Sorted().SequenceEqual(model.Values);
        }, tests: 300);

    [Fact]
    public void NamesOfOneHashStayApart()
    {
        // Two names found to share their 32-bit hash among many.
        var seen = new Dictionary<uint, DnsName>();
        DnsName? first = null, second = null;
        for (var i = 0; second is null && i < 2_000_000; i++)
        {
            var name = DnsName.Parse($"n{i}.mesos");
            if (!seen.TryAdd(name.Hash, name))
                (first, second) = (seen[name.Hash], name);
        }
        var editor = NameMap.Empty.Edit();
        editor.Set(new NameEntry(first!, [], 1, null));
        editor.Set(new NameEntry(second!, [], 2, null));
        var map = editor.Freeze();
        Assert.Equal((1, 2, 2), (map.Find(first!.Wire)!.Children, map.Find(second!.Wire)!.Children, map.Count));
        editor.Remove(first);
        Assert.Null(editor.Freeze().Find(first.Wire));
        Assert.Equal(2, editor.Freeze().Find(second.Wire)!.Children);
        Assert.Equal(1, map.Find(first.Wire)!.Children);
    }

    [Fact]
    public void ChangingOneNameOfManyCopiesLittle()
    {
        var contents = ZoneCase.NewContents();
        for (var i = 0; i < 100_000; i++)
            contents.Put($"s{i}", [Record.OfAddress(DnsName.Parse($"n{i}.mesos"), 5, new IPAddress([10, 0, (byte)(i >> 8), (byte)i]))]);
        contents.Publish(1);
        Change(0);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Change(1);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 100_000);

        void Change(int i)
        {
            contents.Put($"s{i}", [Record.OfAddress(DnsName.Parse($"n{i}.mesos"), 5, IPAddress.Loopback)]);
            contents.Publish(2);
        }
    }

    [Fact]
    public void MarkRemembersAnswersThatNamedAWithdrawnPod()
    {
        var contents = ZoneCase.NewContents();
        var name = DnsName.Parse("web.mesos");
        contents.Put("pod/a", [Record.OfAddress(name, 5, IPAddress.Parse("10.0.0.1"), "a")]);
        contents.Put("pod/b", [Record.OfAddress(name, 5, IPAddress.Parse("10.0.0.2"), "b")]);
        Assert.Empty(contents.Publish(1));
        contents.Current.Names.Find(name.Wire)!.Mark!.Answered(100);
        // A version in between shares the mark.
        contents.Put("pod/c", [Record.OfAddress(name, 5, IPAddress.Parse("10.0.0.3"), "c")]);
        contents.Publish(105);
        contents.Remove("pod/a");
        var withdrawal = Assert.Single(contents.Publish(110));
        Assert.Equal(("a", "10.0.0.1", 100L), (withdrawal.PodUid, withdrawal.Address, withdrawal.Mark.Last(110, 50)));
        // Later answers do not name it; but of the next pod withdrawn, the mark before its own counts too.
        var mark = contents.Current.Names.Find(name.Wire)!.Mark!;
        Assert.Equal(100, mark.Last(111, 50));
        mark.Answered(120);
        Assert.Equal((100L, 120L), (withdrawal.Mark.Last(120, 50), mark.Last(120, 50)));
    }

    /// <summary>While a loop still answers from the version before, it cannot be said that no such answer is to come.</summary>
    [Fact]
    public void CellIsQuietWhenNoLoopHoldsAnOlderVersion()
    {
        var contents = ZoneCase.NewContents();
        var cell = new ZoneCell();
        var reader = cell.Open();
        var other = cell.Open();
        cell.Publish(contents.Current);
        Assert.Same(contents.Current, reader.Enter());
        contents.Put("x", [Record.OfAddress(DnsName.Parse("x.mesos"), 5, IPAddress.Loopback)]);
        contents.Publish(1);
        cell.Publish(contents.Current);
        Assert.False(cell.IsQuiet);
        Assert.Same(contents.Current, other.Enter());
        Assert.False(cell.IsQuiet);
        reader.Exit();
        Assert.True(cell.IsQuiet);
        reader.Enter();
        Assert.True(cell.IsQuiet);
    }

    [Theory]
    [InlineData("a..b", "cluster.local", "declarative")]
    [InlineData("same", "SAME.", "declarative")]
    [InlineData("mesos", "cluster.local", "!?")]
    public void NamesThatGiveNoZoneAreRefused(string mesos, string cluster, string framework) =>
        Assert.Throws<FormatException>(() => new DnsZones(new DnsOptions { MesosDomain = mesos, ClusterDomain = cluster, Framework = framework }));

    /// <summary>A name whose pods come and go for long keeps only the marks that can still matter.</summary>
    [Fact]
    public void MarksDoNotGather()
    {
        var contents = ZoneCase.NewContents();
        var name = DnsName.Parse("web.mesos");
        contents.Put("pod/x", [Record.OfAddress(name, 5, IPAddress.Loopback, "x")]);
        for (var i = 0; i < 10_000; i++)
        {
            contents.Put("pod/y", i % 2 == 0 ? [Record.OfAddress(name, 5, IPAddress.Parse("10.0.0.1"), "y")] : []);
            contents.Publish(i * 10);
        }
        // Ten ticks per step, a withdrawal every other one, TTL 50 ticks and 10 on top.
        Assert.InRange(contents.Current.Names.Find(name.Wire)!.Mark!.Length, 1, 6);
    }

    /// <summary>With TTL 0 nothing is cached; answers that no longer name the pod must not keep it either.</summary>
    [Theory]
    [InlineData(0u)]
    [InlineData(5u)]
    public void LaterAnswersDoNotKeepAWithdrawnPod(uint ttl)
    {
        var contents = ZoneCase.NewContents();
        var name = DnsName.Parse("web.mesos");
        contents.Put("pod/a", [Record.OfAddress(name, ttl, IPAddress.Loopback, "a")]);
        contents.Put("pod/b", [Record.OfAddress(name, ttl, IPAddress.Parse("10.0.0.2"), "b")]);
        contents.Publish(1);
        contents.Current.Names.Find(name.Wire)!.Mark!.Answered(10);
        contents.Remove("pod/a");
        var ledger = new DrainLedger();
        ledger.Add(contents.Publish(11));
        for (var now = 11L; now < 100; now++)
        {
            contents.Current.Names.Find(name.Wire)!.Mark!.Answered(now);
            var inFlight = Assert.Single(ledger.Report([("a", "127.0.0.1")], now).Draining).InFlight;
            Assert.Equal(now < 10 + ttl * 10 + 1 ? 1 : 0, inFlight);
            ledger.Prune(now);
        }
    }
}
