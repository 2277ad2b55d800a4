using System.Runtime.CompilerServices;
using System.Text;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Lb;
using Declarative.Lb.Proxy;
using Declarative.Lb.Routes;
using Xunit;

namespace Declarative.Tests.Lb;

public sealed class RouteTests
{
    private static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "..", "Golden", "lb");

    public static TheoryData<string> Cases() => [.. Directory.GetDirectories(Folder()).Select(x => Path.GetFileName(x)).Order(StringComparer.Ordinal)];

    /// <summary>Rewritten with UPDATE_GOLDEN=1.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void RoutesAreAsWritten(string name)
    {
        var text = RouteCase.Text(File.ReadAllText(Path.Combine(Folder(), name, "in.yaml")));
        var golden = Path.Combine(Folder(), name, "routes.json");
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1") File.WriteAllText(golden, text);
        Assert.Equal(File.Exists(golden) ? File.ReadAllText(golden) : "", text);
    }

    /// <summary>However it came about, the table is the one that the last state of every Service gives when built at once.</summary>
    [Fact]
    public void ChangesInAnyOrderEndInTheSameTable()
    {
        for (var seed = 1; seed <= 200; seed++)
        {
            var random = new Random(seed);
            var table = RouteTable.Empty;
            var last = new SortedDictionary<ServiceKey, ServiceRoutes>();
            var bound = new SortedDictionary<ListenerKey, Cluster>();
            var stale = new List<Destination>();
            for (var step = 0; step < 60; step++)
            {
                var key = new ServiceKey("default", "s" + random.Next(6));
                var changes = new RouteChanges(_ => { });
                if (random.Next(5) == 0)
                {
                    last.Remove(key);
                    table = table.Without(key, changes);
                }
                else
                {
                    last[key] = Routes(key, random);
                    table = table.With(last[key], changes);
                }
                foreach (var removed in changes.Removed) Assert.True(bound.Remove(removed), "only a bound listener is removed");
                foreach (var set in changes.Set) bound[set.Key] = set.Cluster;
                stale.AddRange(changes.Gone);
                // What the sockets were told is what the table says.
                Assert.Equal(table.Listeners.Select(x => (x.Key, x.Value.Cluster)), bound.Select(x => (x.Key, x.Value)));
                Assert.All(stale, x => Assert.True(x.IsClosed));
            }
            var fresh = RouteTable.Empty;
            foreach (var routes in last.Values) fresh = fresh.With(routes, new RouteChanges(_ => { }));
            Assert.Equal(RouteCase.Text(fresh), RouteCase.Text(table));
        }
    }

    /// <summary>One endpoint of one Service: what is made anew for it does not grow with the others, but for the path to it in a tree.</summary>
    [Fact]
    public void AChangeCostsTheSameHoweverManyServicesThereAre()
    {
        var (few, many) = (BytesOfAChange(100), BytesOfAChange(10_000));
        Assert.InRange(many, 1, few * 2);

        static long BytesOfAChange(int services)
        {
            var table = RouteTable.Empty;
            for (var i = 0; i < services; i++) table = table.With(Listening(i, E(1)), new RouteChanges(_ => { }));
            for (var i = 0; i < 50; i++) table = table.With(Listening(i, E(1), E(2)), new RouteChanges(_ => { }));
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 50; i < 100; i++) table = table.With(Listening(i, E(1), E(2)), new RouteChanges(_ => { }));
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        static ServiceRoutes Listening(int number, params EndpointRoute[] endpoints)
        {
            var routes = Of(new("default", $"s{number:D5}"), endpoints);
            return routes with { Ports = [.. routes.Ports.Select(x => x with { Claims = [new(new($"127.64.{number / 250}.{number % 250}", 80), ListenerPurpose.ClusterIp, Held: true)] })] };
        }
    }

    [Fact]
    public void AnEndpointKeepsItsRequestsThroughChangesAroundIt()
    {
        var key = new ServiceKey("default", "s");
        var table = RouteTable.Empty.With(Of(key, E(1), E(2)), new(_ => { }));
        var cluster = table.Clusters.Single();
        var picked = cluster.Pick()!;
        var next = table.With(Of(key, E(0), E(1), E(2), E(3)), new(_ => { }));
        Assert.Same(cluster, next.Clusters.Single());
        Assert.Contains(picked, cluster.Destinations);
        Assert.Equal(1, picked.InFlight);
        picked.Release();
        Assert.Equal(0, picked.InFlight);
    }

    [Fact]
    public void AClosedDestinationTakesNothingAndTellsOfItsLastRequest()
    {
        var drained = 0;
        var destination = new Destination(E(1), _ => drained++);
        Assert.True(destination.TryEnter() && destination.TryEnter());
        destination.Close();
        Assert.False(destination.TryEnter());
        Assert.Equal((2, 0), (destination.InFlight, drained));
        destination.Release();
        Assert.Equal((1, 0), (destination.InFlight, drained));
        destination.Release();
        Assert.Equal((0, 1), (destination.InFlight, drained));
        destination.Reopen();
        Assert.True(destination.TryEnter());
        Assert.Equal((1, 1), (destination.InFlight, drained));
    }

    [Fact]
    public async Task NoRequestEntersAfterTheFirstZero()
    {
        for (var round = 0; round < 300; round++)
        {
            var destination = new Destination(E(1), _ => { });
            var inside = 0;
            var closed = 0;
            var workers = Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
            {
                while (destination.TryEnter())
                {
                    Interlocked.Increment(ref inside);
                    Assert.Equal(0, Volatile.Read(ref closed));
                    Interlocked.Decrement(ref inside);
                    destination.Release();
                }
            })).ToList();
            destination.Close();
            SpinWait.SpinUntil(() => destination.InFlight == 0);
            Volatile.Write(ref closed, 1);
            Assert.Equal(0, inside);
            await Task.WhenAll(workers);
        }
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n", FirstBytes.Http1, false)]
    [InlineData("GET h", FirstBytes.Http1, false)]
    [InlineData("\r\nPOST /x", FirstBytes.Http1, false)]
    [InlineData("VERSION-CONTROL /x", FirstBytes.Http1, false)]
    [InlineData("OPTIONS * HTTP/1.1", FirstBytes.Http1, false)]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FirstBytes.Http2, false)]
    [InlineData("PRI * HTTP/2.0", FirstBytes.Other, true)]
    [InlineData("GE", FirstBytes.Other, true)]
    [InlineData("\u0016\u0003\u0001\u0002", FirstBytes.Other, false)] // TLS
    [InlineData("*1\r\n$4\r\nPING", FirstBytes.Other, false)] // Redis
    [InlineData("get /", FirstBytes.Other, false)]
    [InlineData("EHLO", FirstBytes.Other, true)]
    [InlineData("QUIT\r\n", FirstBytes.Other, false)]
    public void FirstBytesTellWhatIsSpoken(string bytes, object seen, bool more) =>
        Assert.Equal(((FirstBytes)seen, more), Sniffer.Judge(Encoding.Latin1.GetBytes(bytes)));

    [Theory]
    [InlineData("shop.example", "/cart", "cart-page")]
    [InlineData("SHOP.example", "/cart/7", "cart")]
    [InlineData("shop.example", "/cartoon", "shop")]
    [InlineData("shop.example", "/", "shop")]
    [InlineData("www.example", "/x", "wild")]
    [InlineData("a.www.example", "/x", "fallback")]
    [InlineData("", "/x", "fallback")]
    public void IngressRulesMatch(string host, string path, string service)
    {
        var rules = HostRules.Empty;
        foreach (var stored in new Declarative.Tests.Dns.ZoneCase().Read(File.ReadAllText(Path.Combine(Folder(), "ingress", "in.yaml"))))
        {
            rules = rules.With(new(stored.Key.Namespace, stored.Key.Name), HostRules.Read(Ingress.Read(stored.Json)));
        }
        Assert.Equal(service, rules.Find(host, path)?.Service.Name);
        Assert.Empty(rules.With(new("default", "site"), []).With(new("shop", "older"), []).ByHost);
    }

    private static EndpointRoute E(int n, bool ready = true, bool terminating = false) => new($"127.0.0.{n}", 31000 + n, $"uid-{n}", $"pod-{n}", ready && !terminating, terminating);

    private static ServiceRoutes Of(ServiceKey key, params EndpointRoute[] endpoints) =>
        new(key, "uid", DateTimeOffset.UnixEpoch, [new("", 80, "TCP", PortMode.Http, [new(new("127.0.0.1", 80), ListenerPurpose.LoadBalancer, Held: false)], [], [.. endpoints])]);

    private static ServiceRoutes Routes(ServiceKey key, Random random)
    {
        var ports = Enumerable.Range(0, random.Next(3)).Select(i => new PortRoute(
            $"p{i}", 80 + i, "TCP", (PortMode)random.Next(2),
            [.. Enumerable.Range(0, random.Next(3)).Select(x => new Claim(new($"127.0.0.{random.Next(1, 3)}", 9000 + random.Next(3)), (ListenerPurpose)x, Held: random.Next(2) == 0))],
            [],
            [.. Enumerable.Range(0, random.Next(5)).Select(_ => random.Next(8)).Distinct().Order().Select(x => E(x, random.Next(2) == 0, random.Next(4) == 0))]));
        // A Service made again under its name has another uid.
        return new(key, $"{key.Name}-{random.Next(2)}", DateTimeOffset.UnixEpoch.AddSeconds(random.Next(3)), [.. ports]);
    }
}
