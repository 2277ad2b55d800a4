using System.Net;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using FsCheck.Fluent;
using Xunit;
using Record = Declarative.Dns.Wire.Record;

namespace Declarative.Tests.Dns;

/// <summary>Names hold their records in encoded form alone: all that was said of them can be read back.</summary>
public class EntryTests
{
    private static readonly DnsName Name = DnsName.Parse("web.mesos");

    /// <summary>Whatever several sources say of one name, in whatever order: each one's part is read back, and the sets are their union.</summary>
    [Fact]
    public void EverySourceReadsBackWhatItSaid()
    {
        var address = from last in Gen.Choose(0, 5) from six in Gen.Elements(true, false) from ttl in Gen.Elements(5u, 7u) from pod in Gen.Elements(null, "p", "q")
            select Record.OfAddress(Name, ttl, IPAddress.Parse(six ? $"fd00::{last}" : $"10.0.0.{last}"), pod);
        var service = from port in Gen.Choose(0, 3) from host in Gen.Elements("a", "b") from targets in Gen.Choose(0, 3).ListOf() from pod in Gen.Elements(null, "p")
            select Record.OfSrv(Name, 5, 0, 1, (ushort)port, DnsName.Parse(host + ".mesos")) with
            {
                PodUid = pod,
                Targets = [.. targets.Select(t => Record.OfAddress(DnsName.Parse(host + ".mesos"), 5, IPAddress.Parse(t % 2 == 0 ? $"fd00::{t}" : $"10.0.0.{t}")))],
            };
        var text = from length in Gen.Choose(0, 300) select Record.OfText(Name, 5, new string('t', length));
        var pointer = from type in Gen.Elements(RecordType.Ptr, RecordType.Ns) from host in Gen.Elements("a.mesos", "web.mesos", "x.y.z") select Record.OfName(Name, type, 5, DnsName.Parse(host));
        var contribution = from source in Gen.Elements("s1", "s2", "s3") from record in Gen.OneOf(address, service, text, pointer) select (source, record);
        Arbitrary.Holds(contribution.ListOf(), said =>
        {
            var sources = new[] { "s1", "s2", "s3" }.ToDictionary(k => k, k => new Source(k, "p"), StringComparer.Ordinal);
            var entry = new NameEntry(Name, [.. said.Select(s => new Contribution(sources[s.source], s.record))], 0, null);
            foreach (var source in sources.Values)
                Assert.Equal(Described(said.Where(s => s.source == source.Key).Select(s => s.record)), Described(entry.Of(source).Select(c => c.Record)));
            Assert.Equal(said.Select(s => Data(s.record)).Distinct().Order(), entry.Records.Select(Data).Order());
            return entry.Sets.All(s => s.Records(Name).All(r => r.Ttl == said.Where(o => o.record.Type == s.Type).Min(o => o.record.Ttl)));
        });

        static IEnumerable<string> Described(IEnumerable<Record> records) => records.Select(r => $"{r} {r.PodUid} [{string.Join(' ', r.Targets)}]").Order();
        static string Data(Record record) => $"{record.Type} {Convert.ToHexString(record.Rdata.Span)}";
    }

    /// <summary>RFC 2181, 5.2: the least TTL of a set counts, for as long as the record that brings it is there.</summary>
    [Fact]
    public void OneTtlPerSet()
    {
        var contents = ZoneCase.NewContents();
        contents.Put("long", [Record.OfAddress(Name, 60, IPAddress.Parse("10.0.0.1"))]);
        contents.Put("short", [Record.OfAddress(Name, 5, IPAddress.Parse("10.0.0.2"))]);
        contents.Publish(1);
        Assert.Equal([5u, 5u], Now(contents).Records.Select(r => r.Ttl));
        contents.Remove("short");
        contents.Publish(2);
        Assert.Equal([60u], Now(contents).Records.Select(r => r.Ttl));
    }

    /// <summary>A target of several sources (all agents) has the addresses of all, and loses those of one that goes.</summary>
    [Fact]
    public void SharedTargetsHaveTheAddressesOfAll()
    {
        var contents = ZoneCase.NewContents();
        var target = DnsName.Parse("slave.mesos");
        for (var i = 1; i <= 3; i++)
        {
            var address = Record.OfAddress(target, 5, IPAddress.Parse($"10.0.0.{i}"));
            contents.Put($"agent/{i}", [address, Record.OfSrv(Name, 5, 0, 1, 5051, target) with { Targets = [address] }]);
        }
        contents.Publish(1);
        Assert.Equal(["10.0.0.1", "10.0.0.2", "10.0.0.3"], Assert.Single(Now(contents).Records).Targets.Select(t => t.Address.ToString()).Order());
        contents.Remove("agent/2");
        contents.Publish(2);
        Assert.Equal(["10.0.0.1", "10.0.0.3"], Assert.Single(Now(contents).Records).Targets.Select(t => t.Address.ToString()).Order());
        Assert.Equal(2, contents.Current.Names.Find(target.Wire)!.Find(RecordType.A)!.Count);
    }

    /// <summary>Saying the same again makes no version: secondaries and watchers are not woken.</summary>
    [Fact]
    public void TheSameAgainChangesNothing()
    {
        var contents = ZoneCase.NewContents();
        Say();
        contents.Publish(1);
        var version = contents.Current.Version;
        Say();
        Assert.False(contents.Changed);
        contents.Publish(2);
        Assert.Equal(version, contents.Current.Version);

        void Say()
        {
            for (var i = 0; i < 3; i++)
            {
                var task = Record.OfAddress(DnsName.Parse($"web-{i}.mesos"), 5, IPAddress.Parse($"10.0.0.{i}"), $"u{i}");
                contents.Put($"pod/{i}",
                [
                    task, Record.OfAddress(Name, (uint)(5 + i), task.Address, $"u{i}"), Record.OfAddress(DnsName.Parse("web.slave.mesos"), 5, IPAddress.Loopback, $"u{i}"),
                    Record.OfSrv(DnsName.Parse("_web._tcp.mesos"), 5, 0, 1, 80, task.Name) with { Targets = [task], PodUid = $"u{i}" },
                ]);
            }
        }
    }

    /// <summary>From the packet to the answer nothing is allocated, whatever is asked.</summary>
    [Theory]
    [InlineData("one.mesos", RecordType.A)]
    [InlineData("ten.mesos", RecordType.A)]
    [InlineData("six.mesos", RecordType.Aaaa)]
    [InlineData("_s._tcp.mesos", RecordType.Srv)]
    [InlineData("_s._tcp.mesos", RecordType.Any)]
    [InlineData("alias.mesos", RecordType.A)]
    [InlineData("missing.mesos", RecordType.A)]
    [InlineData("one.mesos", RecordType.Txt)]
    [InlineData("example.org", RecordType.A)]
    public void AnswersAllocateNothing(string name, RecordType type)
    {
        var contents = ZoneCase.NewContents();
        var tens = Enumerable.Range(0, 10).Select(i => Record.OfAddress(DnsName.Parse("ten.mesos"), 5, IPAddress.Parse($"10.0.0.{i}"), $"u{i}")).ToList();
        contents.Put("x",
        [
            .. tens, Record.OfAddress(DnsName.Parse("one.mesos"), 5, IPAddress.Loopback), Record.OfAddress(DnsName.Parse("six.mesos"), 5, IPAddress.IPv6Loopback),
            Record.OfSrv(DnsName.Parse("_s._tcp.mesos"), 5, 0, 1, 80, DnsName.Parse("ten.mesos")) with { Targets = tens },
            Record.OfName(DnsName.Parse("alias.mesos"), RecordType.Cname, 5, DnsName.Parse("ten.mesos")),
        ]);
        contents.Publish(1);
        var query = new byte[300];
        var packet = query.AsSpan(0, Query.Write(query, 1, DnsName.Parse(name).Wire, type, 1232));
        var response = new byte[Answer.UdpSizeMax];
        var jar = new CookieJar(new byte[16], 0);
        Ask(packet, 100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Ask(packet, 1000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Ask(ReadOnlySpan<byte> asked, int times)
        {
            for (var i = 0u; i < times; i++)
                Assert.True(Answer.Write(contents.Current, asked, response, new AnswerTurn(false, i, i) { Cookies = jar, Client = [127, 0, 0, 1] }) > 0);
        }
    }

    private static NameEntry Now(ZoneContents contents) => contents.Current.Names.Find(Name.Wire)!;
}
