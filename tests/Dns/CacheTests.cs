using System.Net;
using Declarative.Dns;
using Declarative.Dns.Server;
using Declarative.Dns.Wire;
using Declarative.Tests.Mesos;
using Xunit;
using Record = Declarative.Dns.Wire.Record;

namespace Declarative.Tests.Dns;

/// <summary>What is kept of other servers' answers.</summary>
public class CacheTests
{
    private readonly Clock _time = new();

    [Fact]
    public void OldestGoFirstWhenItIsFull()
    {
        var cache = new AnswerCache(_time, 10);
        for (var i = 0; i < 1000; i++)
        {
            cache.Add(Name(i), RecordType.A, Positive(Name(i), 60));
            cache.Add(Name(999), RecordType.A, Positive(Name(999), 60));
            _time.Advance(TimeSpan.FromMilliseconds(1));
            Assert.InRange(cache.Count, 1, 10);
        }
        Assert.Null(cache.Find(Name(0), RecordType.A));
        Assert.NotNull(cache.Find(Name(998), RecordType.A));
    }

    [Fact]
    public void TimeRunsOffAndEnds()
    {
        var cache = new AnswerCache(_time, 10);
        cache.Add(Name(1), RecordType.A, Positive(Name(1), 60));
        _time.Advance(TimeSpan.FromSeconds(25));
        Assert.Equal(35u, Assert.Single(cache.Find(Name(1), RecordType.A)!.Answers).Ttl);
        Assert.Null(cache.Find(Name(1), RecordType.Aaaa));
        _time.Advance(TimeSpan.FromSeconds(35));
        Assert.Null(cache.Find(Name(1), RecordType.A));
        // An hour at most, whatever the other server says.
        cache.Add(Name(2), RecordType.A, Positive(Name(2), 1_000_000));
        _time.Advance(TimeSpan.FromSeconds(DnsLimits.CacheSecondsMax));
        Assert.Null(cache.Find(Name(2), RecordType.A));
    }

    /// <summary>RFC 2308, 5: as long as the lesser of the SOA's TTL and its MINIMUM; without an SOA not at all.</summary>
    [Theory]
    [InlineData(60u, 30u, 30)]
    [InlineData(20u, 30u, 20)]
    [InlineData(100_000u, 100_000u, DnsLimits.CacheNegativeSecondsMax)]
    [InlineData(null, 0u, 0)]
    public void NegativeAnswersLiveAsTheirSoaSays(uint? ttl, uint minimum, int seconds)
    {
        var zone = DnsName.Parse("example.org");
        var cache = new AnswerCache(_time, 10);
        cache.Add(Name(1), RecordType.A, Answered(Name(1), ResponseCode.NxDomain, null, ttl is { } soa ? Record.OfSoa(zone, soa, zone, zone, 1, 1, 1, 1, minimum) : null));
        Assert.Equal(seconds > 0, cache.Find(Name(1), RecordType.A) is not null);
        _time.Advance(TimeSpan.FromSeconds(seconds - 1));
        Assert.Equal(seconds > 0, cache.Find(Name(1), RecordType.A) is not null);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Null(cache.Find(Name(1), RecordType.A));
    }

    private static DnsName Name(int number) => DnsName.Parse($"n{number}.example.org");

    private static Message Positive(DnsName name, uint ttl) => Answered(name, ResponseCode.NoError, Record.OfAddress(name, ttl, IPAddress.Loopback), null);

    private static Message Answered(DnsName name, ResponseCode code, Record? answer, Record? authority)
    {
        var buffer = new byte[1000];
        var writer = new MessageWriter(buffer);
        byte[] question = [.. name.Wire, 0, 1, 0, 1];
        writer.Question(question);
        if (answer is not null)
            writer.Record(answer);
        if (authority is not null)
            writer.Record(authority);
        new Header(1, (ushort)(Header.Response | (int)code), 1, (ushort)(answer is null ? 0 : 1), (ushort)(authority is null ? 0 : 1), 0).Write(buffer);
        return Message.Read(buffer.AsSpan(0, writer.Position))!;
    }
}
