using System.Net;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using FsCheck.Fluent;
using Xunit;
using Record = Declarative.Dns.Wire.Record;

namespace Declarative.Tests.Dns;

public class AnswerTests
{
    private static readonly ZoneSnapshot Zones = Sample();

    private static ZoneSnapshot Sample()
    {
        var contents = ZoneCase.NewContents();
        var web = DnsName.Parse("web.declarative.mesos");
        var srv = DnsName.Parse("_web._tcp.declarative.mesos");
        var big = DnsName.Parse("big.declarative.mesos");
        var records = new List<Record>();
        for (byte i = 0; i < 10; i++)
        {
            var task = Record.OfAddress(DnsName.Parse($"web-{i}.declarative.mesos"), 5, new IPAddress([10, 0, 0, i]));
            records.Add(Record.OfAddress(web, 5, new IPAddress([10, 0, 0, i])));
            records.Add(task);
            records.Add(Record.OfSrv(srv, 5, 0, 1, (ushort)(31000 + i), task.Name) with { Targets = [task] });
        }
        for (var i = 0; i < 200; i++)
            records.Add(Record.OfAddress(big, 5, new IPAddress([10, 1, (byte)(i >> 8), (byte)i])));
        for (var i = 0; i < 5000; i++)
            records.Add(Record.OfAddress(DnsName.Parse("huge.mesos"), 5, new IPAddress([10, 2, (byte)(i >> 8), (byte)i])));
        contents.Put("test", records);
        contents.Put("alias", [Alias("a", "b.cluster.local"), Alias("b", "c.cluster.local"), Alias("lost", "nowhere.cluster.local"),
            Alias("out", "www.example.org"), Alias("loop", "loop.cluster.local"), Record.OfAddress(DnsName.Parse("c.cluster.local"), 5, IPAddress.Loopback)]);
        contents.Publish(1);
        return contents.Current;

        static Record Alias(string name, string target) =>
            Record.OfName(DnsName.Parse(name + ".cluster.local"), RecordType.Cname, 5, DnsName.Parse(target));
    }

    private static Message Ask(string name, RecordType type, ushort payload = 0, bool stream = false, uint rotation = 0)
    {
        var query = new byte[300];
        var length = Query.Write(query, 99, DnsName.Parse(name).Wire, type, payload);
        return Message.Read(Send(query.AsSpan(0, length), stream, rotation))!;
    }

    private static byte[] Send(ReadOnlySpan<byte> packet, bool stream = false, uint rotation = 0)
    {
        var response = new byte[stream ? 65535 : Answer.UdpSizeMax];
        return response[..Answer.Write(Zones, packet, response, new AnswerTurn(stream, rotation, 1))];
    }

    [Fact]
    public void AddressesAreAnsweredInTurn()
    {
        var first = Ask("web.declarative.mesos", RecordType.A);
        var second = Ask("web.declarative.mesos", RecordType.A, rotation: 3);
        Assert.True(first.Authoritative);
        Assert.Equal(ResponseCode.NoError, first.Code);
        Assert.Equal(10, first.Answers.Count);
        Assert.Equal([.. first.Answers.Skip(3), .. first.Answers.Take(3)], second.Answers);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    public void ServicesBringTheirTargets(uint rotation)
    {
        var answer = Ask("_web._tcp.declarative.mesos", RecordType.Srv, 1232, rotation: rotation);
        Assert.Equal(10, answer.Answers.Count);
        Assert.Equal(31000 + rotation, answer.Answers[0].Port);
        Assert.Equal(answer.Answers.Select(r => r.Target.ToString()).Order(), answer.Additionals.Select(r => r.Name.ToString()).Order());
        Assert.All(answer.Additionals, r => Assert.Equal($"web-{r.Address.GetAddressBytes()[3]}.declarative.mesos.", r.Name.ToString()));
        Assert.False(answer.Truncated);
    }

    [Fact]
    public void AdditionalsThatDoNotFitAreLeftOutWithoutTc()
    {
        var answer = Ask("_web._tcp.declarative.mesos", RecordType.Srv);
        Assert.Equal(10, answer.Answers.Count);
        Assert.InRange(answer.Additionals.Count, 0, 9);
        Assert.False(answer.Truncated);
    }

    [Theory]
    [InlineData("nothing.declarative.mesos", RecordType.A, ResponseCode.NxDomain, "mesos.")]
    [InlineData("web.declarative.mesos", RecordType.Aaaa, ResponseCode.NoError, "mesos.")]
    [InlineData("_tcp.declarative.mesos", RecordType.A, ResponseCode.NoError, "mesos.")]
    [InlineData("declarative.mesos", RecordType.Srv, ResponseCode.NoError, "mesos.")]
    [InlineData("x.y.z.cluster.local", RecordType.Srv, ResponseCode.NxDomain, "cluster.local.")]
    [InlineData("cluster.local", RecordType.Txt, ResponseCode.NoError, "cluster.local.")]
    public void NegativeAnswersCarryTheSoaOfTheApex(string name, RecordType type, ResponseCode code, string apex)
    {
        var answer = Ask(name, type, 1232);
        Assert.Equal((code, true, 0), (answer.Code, answer.Authoritative, answer.Answers.Count));
        var soa = Assert.Single(answer.Authorities);
        Assert.Equal((apex, RecordType.Soa, 5u), (soa.Name.ToString(), soa.Type, soa.Ttl));
    }

    [Theory]
    [InlineData("www.example.org")]
    [InlineData("local")]
    [InlineData("notmesos")]
    [InlineData(".")]
    public void OtherZonesAreRefused(string name)
    {
        var answer = Ask(name, RecordType.A);
        Assert.Equal((ResponseCode.Refused, false), (answer.Code, answer.Authoritative));
        Assert.Empty(answer.Authorities);
    }

    [Fact]
    public void ApexAnswersSoaAndNs()
    {
        var soa = Assert.Single(Ask("mesos", RecordType.Soa).Answers);
        Assert.StartsWith("mesos. 5 IN SOA ns1.mesos. root.ns1.mesos. ", soa.ToString(), StringComparison.Ordinal);
        Assert.Equal("mesos. 5 IN NS ns1.mesos.", Assert.Single(Ask("mesos", RecordType.Ns).Answers).ToString());
    }

    [Fact]
    public void AnyGivesOneSet() => Assert.Single(Ask("_web._tcp.declarative.mesos", RecordType.Any).Answers.Select(r => r.Type).Distinct());

    [Fact]
    public void AliasesAreFollowedInOurZones()
    {
        Assert.Equal(["a.cluster.local. 5 IN CNAME b.cluster.local.", "b.cluster.local. 5 IN CNAME c.cluster.local.", "c.cluster.local. 5 IN A 127.0.0.1"],
            Ask("a.cluster.local", RecordType.A).Answers.Select(r => r.ToString()));
        var lost = Ask("lost.cluster.local", RecordType.A);
        Assert.Equal((ResponseCode.NxDomain, 1, 1), (lost.Code, lost.Answers.Count, lost.Authorities.Count));
        Assert.Equal((ResponseCode.NoError, 1), (Ask("out.cluster.local", RecordType.A).Code, Ask("out.cluster.local", RecordType.A).Answers.Count));
        Assert.Equal((ResponseCode.NoError, 1), (Ask("a.cluster.local", RecordType.Aaaa).Code, Ask("a.cluster.local", RecordType.Aaaa).Authorities.Count));
        Assert.Single(Ask("loop.cluster.local", RecordType.Cname).Answers);
        Assert.InRange(Ask("loop.cluster.local", RecordType.A).Answers.Count, 1, 8);
    }

    [Fact]
    public void QuestionKeepsItsCase()
    {
        var query = new byte[100];
        byte[] name = [3, (byte)'W', (byte)'e', (byte)'B', 11, .. "dEcLaRaTiVe"u8, 5, .. "MESOS"u8, 0];
        var answer = Message.Read(Send(query.AsSpan(0, Query.Write(query, 1, name, RecordType.A))))!;
        Assert.Equal(name, answer.QuestionWire.ToArray());
        Assert.Equal(10, answer.Answers.Count);
    }

    [Fact]
    public void TooManyAddressesForUdpAreCutAndWholeOverTcp()
    {
        foreach (ushort payload in new[] { 0, 512, 1232, 4096 })
        {
            var cut = Ask("big.declarative.mesos", RecordType.A, payload);
            Assert.True(cut.Truncated);
            Assert.Empty(cut.Answers);
        }
        Assert.Equal(200, Ask("big.declarative.mesos", RecordType.A, stream: true).Answers.Count);
        var huge = Ask("huge.mesos", RecordType.A, stream: true, rotation: 4990);
        Assert.True(huge.Truncated);
        Assert.InRange(huge.Answers.Count, 4000, 4999);
        Assert.Equal("10.2.19.126", huge.Answers[0].Address.ToString());
    }

    [Fact]
    public void OtherOpcodesVersionsClassesAndTransfers()
    {
        var query = new byte[100];
        var length = Query.Write(query, 7, DnsName.Parse("web.declarative.mesos").Wire, RecordType.A, 1232);
        var packet = query[..length];
        Assert.Equal(ResponseCode.NotImp, With(p => p[2] |= 0x28).Code);
        Assert.Equal(ResponseCode.FormErr, With(p => p[5] = 2).Code);
        Assert.Equal(ResponseCode.FormErr, With(p => p[5] = 0).Code);
        Assert.Equal(ResponseCode.FormErr, With(p => p[11] = 2).Code);
        Assert.Equal(ResponseCode.FormErr, Message.Read(Send(packet.AsSpan(0, length - 3)))!.Code);
        Assert.Equal(ResponseCode.BadVers, With(p => p[^5] = 1).Code);
        Assert.Equal(ResponseCode.Refused, With(p => p[^12] = 3).Code);
        Assert.Equal(ResponseCode.Refused, Ask("mesos", RecordType.Axfr).Code);
        Assert.Equal(RecordType.Soa, Assert.Single(Ask("mesos", RecordType.Ixfr).Answers).Type);
        Assert.Empty(Send(packet.AsSpan(0, 11)));
        var response = packet.ToArray();
        response[2] |= 0x80;
        Assert.Empty(Send(response));

        Message With(Action<byte[]> change)
        {
            var changed = packet.ToArray();
            change(changed);
            return Message.Read(Send(changed))!;
        }
    }

    [Fact]
    public void EveryAnswerFitsAndIsWholeSets() =>
        Arbitrary.Holds(
            from name in Gen.Elements("web.declarative.mesos", "_web._tcp.declarative.mesos", "big.declarative.mesos", "a.cluster.local", "no.mesos", "mesos")
            from type in Gen.Elements(RecordType.A, RecordType.Srv, RecordType.Any, RecordType.Soa, RecordType.Ns, RecordType.Txt)
            from payload in Gen.Choose(0, 1500)
            from rotation in Gen.Choose(0, 1000)
            select (name, type, payload, rotation),
            c =>
            {
                var query = new byte[300];
                var length = Query.Write(query, 99, DnsName.Parse(c.name).Wire, c.type, (ushort)c.payload);
                var bytes = Send(query.AsSpan(0, length), rotation: (uint)c.rotation);
                var cut = Message.Read(bytes)!;
                var whole = Ask(c.name, c.type, (ushort)c.payload, stream: true, rotation: (uint)c.rotation);
                return bytes.Length <= Math.Clamp(c.payload, 512, 1232)
                    && cut.Answers.SequenceEqual(whole.Answers.Take(cut.Answers.Count))
                    && cut.Additionals.SequenceEqual(whole.Additionals.Take(cut.Additionals.Count))
                    && Whole(cut.Answers, whole.Answers) && Whole(cut.Authorities, whole.Authorities)
                    && cut.Truncated == (cut.Answers.Count < whole.Answers.Count || cut.Authorities.Count < whole.Authorities.Count)
                    && cut.Code == whole.Code && cut.PayloadSize == (c.payload == 0 ? 0 : 1232);
            });

    private static bool Whole(IReadOnlyList<Record> cut, IReadOnlyList<Record> whole) =>
        cut.GroupBy(r => (r.Name, r.Type)).All(set => whole.Count(r => r.Name.Equals(set.Key.Name) && r.Type == set.Key.Type) == set.Count());

    /// <summary>Every packet is answered with a message that can be read, or not at all: random bytes, and queries with bytes changed.</summary>
    [Fact]
    public void NoPacketBreaksIt()
    {
        var random = new Random(20240501);
        var response = new byte[65535];
        var query = new byte[300];
        string[] names = ["web.declarative.mesos", "_web._tcp.declarative.mesos", "a.cluster.local", "x.mesos"];
        var answered = 0;
        var packets = Simulation.Seeds.All ? 1_000_000 : 20_000;
        for (var i = 0; i < packets; i++)
        {
            byte[] packet;
            if (i % 4 == 0)
            {
                packet = new byte[random.Next(0, 600)];
                random.NextBytes(packet);
            }
            else
            {
                var length = Query.Write(query, (ushort)i, DnsName.Parse(names[random.Next(names.Length)]).Wire, (RecordType)random.Next(0, 260), (ushort)(i % 3 * 600));
                packet = query[..random.Next(Math.Max(0, length - 3), length + 3)];
                for (var changes = random.Next(0, 4); changes > 0; changes--)
                    packet[random.Next(packet.Length)] = (byte)random.Next(256);
            }
            var stream = i % 2 == 0;
            var written = Answer.Write(Zones, packet, response.AsSpan(0, stream ? 65535 : Answer.UdpSizeMax), new AnswerTurn(stream, (uint)i, 1));
            if (written == 0)
                continue;
            answered++;
            var message = Message.Read(response.AsSpan(0, written));
            Assert.True(message is not null, Convert.ToHexString(packet));
            Assert.Equal(packet[..2], response[..2]);
            Assert.True((response[2] & 0x80) != 0);
        }
        Assert.InRange(answered, packets / 2, packets);
    }

    [Fact]
    public void TargetsKnownInBothFamiliesComeInBoth()
    {
        var contents = ZoneCase.NewContents();
        var target = DnsName.Parse("db-0.mesos");
        var srv = Record.OfSrv(DnsName.Parse("_db._tcp.mesos"), 5, 0, 1, 3306, target);
        contents.Put("slice", [srv with { Targets = [Record.OfAddress(target, 5, IPAddress.Loopback)] }, srv with { Targets = [Record.OfAddress(target, 5, IPAddress.IPv6Loopback)] }]);
        contents.Publish(1);
        var query = new byte[100];
        var response = new byte[Answer.UdpSizeMax];
        var length = Answer.Write(contents.Current, query.AsSpan(0, Query.Write(query, 1, srv.Name.Wire, RecordType.Srv)), response, default);
        var message = Message.Read(response.AsSpan(0, length))!;
        Assert.Equal((1, 2), (message.Answers.Count, message.Additionals.Count));
    }

    [Theory]
    [InlineData("_web._tcp.declarative.mesos", RecordType.Srv)]
    [InlineData("a.cluster.local", RecordType.A)]
    [InlineData("none.mesos", RecordType.A)]
    public void WritingAnAnswerAllocatesNothing(string name, RecordType type)
    {
        var packet = new byte[300];
        var response = new byte[Answer.UdpSizeMax];
        var length = Query.Write(packet, 1, DnsName.Parse(name).Wire, type, 1232);
        Answer.Write(Zones, packet.AsSpan(0, length), response, default);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0u; i < 1000; i++)
            Answer.Write(Zones, packet.AsSpan(0, length), response, new AnswerTurn(false, i, 1));
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
