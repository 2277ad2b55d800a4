using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Which endpoint a cluster chooses.</summary>
public sealed class BalanceTests
{
    private static readonly TimeProvider Time = new World(1).Time;

    [Theory]
    [InlineData(Balance.RoundRobin, 10)]
    [InlineData(Balance.Random, 250)]
    [InlineData(Balance.PowerOfTwo, 250)]
    [InlineData(Balance.LeastRequests, 10)]
    public void EachEndpointGetsTheShareOfItsWeight(Balance balance, int tolerance)
    {
        var cluster = Of(new() { Balance = balance, Weights = SettingForms.Weights("pod-1=3, 127.0.0.2=1, 127.0.0.3:31003=0")! }, 1, 2, 3);
        var counts = Counts(cluster, 4000, release: balance is not (Balance.LeastRequests or Balance.PowerOfTwo));
        Assert.InRange(counts["pod-1"], 3000 - tolerance, 3000 + tolerance);
        Assert.InRange(counts["pod-2"], 1000 - tolerance, 1000 + tolerance);
        Assert.False(counts.ContainsKey("pod-3"));
    }

    [Fact]
    public void WhereAllWeightsAreZeroTheyAreEqual() => Assert.Equal(2, Counts(Of(new() { Weights = SettingForms.Weights("pod-1=0,pod-2=0")! }, 1, 2), 10).Count);

    [Theory]
    [InlineData(Balance.LeastRequests)]
    [InlineData(Balance.PowerOfTwo)]
    public void TheBusyOneIsSpared(Balance balance)
    {
        var cluster = Of(new() { Balance = balance }, 1, 2);
        var busy = cluster.Pick()!;
        for (var i = 0; i < 20; i++) Assert.True(busy.TryEnter());
        for (var i = 0; i < 10; i++) Assert.NotSame(busy, cluster.Pick());
    }

    [Fact]
    public void AClientKeepsItsEndpointAndAChangeMovesOnlyItsShare()
    {
        var settings = new BackendSettings { Balance = Balance.Source };
        var before = Enumerable.Range(1, 1000).ToDictionary(x => x, x => Pick(Of(settings, 1, 2, 3, 4), x));
        Assert.All(before, x => Assert.Equal(x.Value, Pick(Of(settings, 1, 2, 3, 4), x.Key)));
        Assert.All(before.GroupBy(x => x.Value), x => Assert.InRange(x.Count(), 180, 320));
        var moved = before.Where(x => Pick(Of(settings, 1, 2, 3), x.Key) != x.Value).ToList();
        Assert.All(moved, x => Assert.Equal("pod-4", x.Value));

        static string Pick(Cluster cluster, int client) => cluster.Pick(null, Mixing.Hash(new System.Net.IPAddress(client)))!.PodName;
    }

    [Fact]
    public void AnEndpointThatFailsInARowIsLeftOutForAWhileButNeverTheWholePool()
    {
        var world = new World(1);
        world.Run(async () =>
        {
            var cluster = Of(world.Time, new() { Outlier = new(3, TimeSpan.FromSeconds(10), 50) }, 1, 2);
            var bad = cluster.Destinations[0];
            cluster.Outcome(bad, failed: true);
            cluster.Outcome(bad, failed: true);
            cluster.Outcome(bad, failed: false);
            cluster.Outcome(bad, failed: true);
            Assert.Equal(2, Counts(cluster, 10).Count); // not three in a row
            cluster.Outcome(bad, failed: true);
            cluster.Outcome(bad, failed: true);
            Assert.Equal(["pod-2"], Counts(cluster, 10).Keys);
            for (var i = 0; i < 9; i++) cluster.Outcome(cluster.Destinations[1], failed: true);
            Assert.Equal(["pod-2"], Counts(cluster, 10).Keys); // one more would be all of them
            Assert.Equal(1, cluster.Counts.Ejections);
            await Task.Delay(TimeSpan.FromSeconds(11), world.Time);
            Assert.Equal(2, Counts(cluster, 10).Count);
        });
    }

    [Fact]
    public void AfterAnEjectionOneRequestDecides()
    {
        var world = new World(1);
        world.Run(async () =>
        {
            var cluster = Of(world.Time, new() { Outlier = new(3, TimeSpan.FromSeconds(8), 50) }, 1, 2);
            var bad = cluster.Destinations[0];
            for (var i = 0; i < 3; i++) cluster.Outcome(bad, failed: true);
            cluster.Outcome(bad, failed: false); // of a request from before: the time runs on
            Assert.Equal(["pod-2"], Counts(cluster, 10).Keys);

            // One that fails is enough, and it is out for twice as long.
            await Task.Delay(TimeSpan.FromSeconds(8), world.Time);
            Assert.Equal(1, Counts(cluster, 10)["pod-1"]);
            cluster.Outcome(bad, failed: true);
            await Task.Delay(TimeSpan.FromSeconds(15), world.Time);
            Assert.Equal(["pod-2"], Counts(cluster, 10).Keys);

            // One whose client left decides nothing: after a while another one tries.
            await Task.Delay(TimeSpan.FromSeconds(1), world.Time);
            Assert.Equal(1, Counts(cluster, 10)["pod-1"]);
            Assert.Equal(["pod-2"], Counts(cluster, 10).Keys);
            await Task.Delay(TimeSpan.FromSeconds(8), world.Time);
            Assert.Equal(1, Counts(cluster, 10)["pod-1"]);
            cluster.Outcome(bad, failed: false);
            Assert.Equal(5, Counts(cluster, 10)["pod-1"]);
            cluster.Outcome(bad, failed: true);
            Assert.Equal(5, Counts(cluster, 10)["pod-1"]); // three in a row again
            Assert.Equal(2, cluster.Counts.Ejections);
        });
    }

    [Fact]
    public void ANewEndpointWarmsUp()
    {
        var world = new World(1);
        world.Run(async () =>
        {
            var settings = new BackendSettings { SlowStart = TimeSpan.FromSeconds(60) };
            var table = Table(RouteTable.Empty, world.Time, settings, 1);
            var cluster = table.Clusters.Single();
            await Task.Delay(TimeSpan.FromMinutes(2), world.Time);
            Table(table, world.Time, settings, 1, 2);
            Assert.InRange(Counts(cluster, 1000)["pod-2"], 20, 100);
            await Task.Delay(TimeSpan.FromSeconds(30), world.Time);
            Assert.InRange(Counts(cluster, 1000)["pod-2"], 180, 320);
            await Task.Delay(TimeSpan.FromSeconds(31), world.Time);
            Assert.Equal(500, Counts(cluster, 1000)["pod-2"]);
        });
    }

    [Fact]
    public void AFullEndpointIsPassedOver()
    {
        var cluster = Of(new() { InFlightMax = 2 }, 1, 2);
        Assert.All(Counts(cluster, 4, release: false), x => Assert.Equal(2, x.Value));
        Assert.Null(cluster.Pick());
        cluster.Destinations[0].Release();
        Assert.Same(cluster.Destinations[0], cluster.Pick());
    }

    [Fact]
    public void OneThatTheHealthChecksHaveGivenUpGetsNothing()
    {
        var cluster = Of(new() { Health = HealthSettings.Default }, 1, 2);
        cluster.Destinations[0].Health.IsDown = true;
        Assert.Equal(["pod-2"], Counts(cluster, 10).Keys);
        cluster.Destinations[1].Health.IsDown = true;
        Assert.Null(cluster.Pick());
    }

    [Fact]
    public void RetriesAreBoundedByTheirBudget()
    {
        var cluster = Of(new() { RetryPercent = 20 }, 1);
        Assert.Equal(Limits.RetriesAlways, Taken());
        cluster.Counts.RequestCount += 1000; // in the same 10 s
        Assert.Equal(1000 * 20 / 100 - Limits.RetriesAlways, Taken());
        Assert.True(cluster.Retries.TryTake(cluster, TimeSpan.FromSeconds(10).Ticks));

        int Taken() => Enumerable.Range(0, 1000).Count(_ => cluster.Retries.TryTake(cluster, 0));
    }

    [Fact]
    public void ARateIsPerClientAndRefills()
    {
        var rate = SettingForms.Rate("10/s burst 5")!;
        var (one, other) = (System.Net.IPAddress.Parse("192.0.2.1"), System.Net.IPAddress.Parse("2001:db8::1"));
        Assert.Equal(6, Enumerable.Range(0, 20).Count(_ => rate.TryTake(one, 0)));
        Assert.Equal(6, Enumerable.Range(0, 20).Count(_ => rate.TryTake(other, 0)));
        Assert.False(rate.TryTake(System.Net.IPAddress.Parse("2001:db8::2"), 0)); // the same network of 64 bits
        Assert.Equal(5, Enumerable.Range(0, 20).Count(_ => rate.TryTake(one, TimeSpan.TicksPerSecond / 2)));
        for (var i = 0; i < 100_000; i++) rate.TryTake(new System.Net.IPAddress(i), TimeSpan.TicksPerSecond); // bounded, whoever comes
    }

    private static Dictionary<string, int> Counts(Cluster cluster, int picks, bool release = true)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < picks; i++)
        {
            var destination = cluster.Pick()!;
            counts[destination.PodName] = counts.GetValueOrDefault(destination.PodName) + 1;
            if (release) destination.Release();
        }
        return counts;
    }

    private static Cluster Of(BackendSettings settings, params int[] endpoints) => Of(Time, settings, endpoints);

    private static Cluster Of(TimeProvider time, BackendSettings settings, params int[] endpoints) => Table(RouteTable.Empty, time, settings, endpoints).Clusters.Single();

    private static RouteTable Table(RouteTable before, TimeProvider time, BackendSettings settings, params int[] endpoints) => before.With(
        new(new("default", "s"), "uid", DateTimeOffset.UnixEpoch,
        [
            new("", 80, "TCP", PortMode.Http, [], [], [.. endpoints.Select(x => new EndpointRoute($"127.0.0.{x}", 31000 + x, $"uid-{x}", $"pod-{x}", true, false))])
            {
                Settings = new(settings, null, []),
            },
        ]), new(_ => { }, time));
}
