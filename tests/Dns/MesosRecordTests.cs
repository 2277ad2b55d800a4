using System.Net;
using Declarative.Dns.MesosState;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using Xunit;

namespace Declarative.Tests.Dns;

/// <summary>The records that Mesos-DNS' own tests expect of a state: names, ids and addresses are theirs.</summary>
public class MesosRecordTests
{
    private static readonly ZoneNames Old = ZoneNames.Default with { Rfc952 = true };

    internal static MesosCluster Fixture() => StateDocument.Read(File.ReadAllBytes(Path.Combine(GoldenTests.Folder(), "..", "..", "Dns", "Fixtures", "state.json")));

    internal static ZoneSnapshot Zones(ZoneNames names, MesosCluster? cluster = null, string? own = null)
    {
        var contents = ZoneCase.NewContents();
        var feed = new MesosFeed(contents, names, own, Find);
        cluster ??= Fixture();
        feed.Replace(cluster);
        feed.Masters(cluster.Leader, [new MesosEndpoint("144.76.157.37", 5050)]);
        contents.Publish(1);
        return contents.Current;
    }

    private static IReadOnlyList<IPAddress> Find(string host) => IPAddress.TryParse(host, out var address) ? [address] : host == "localhost" ? [IPAddress.Loopback] : [];

    private static string Data(ZoneSnapshot zones, string name, RecordType type) =>
        string.Join(' ', (zones.Names.Find(DnsName.Parse(name).Wire)?.Records.Where(r => r.Type == type) ?? [])
            .Select(r => type == RecordType.Srv ? $"{r.Target}:{r.Port}" : r.Address.ToString()).Order(StringComparer.Ordinal));

    [Theory]
    [InlineData("docker,mesos,host", "liquor-store.marathon.mesos", "10.3.0.1 10.3.0.2")]
    [InlineData("docker,mesos,host", "liquor-store.marathon.slave.mesos", "1.2.3.11 1.2.3.12")]
    [InlineData("docker,mesos,host", "car-store.marathon.slave.mesos", "1.2.3.11")]
    [InlineData("docker,mesos,host", "nginx.marathon.mesos", "10.3.0.3")]
    [InlineData("docker,mesos,host", "poseidon.marathon.mesos", "")]
    [InlineData("docker,mesos,host", "poseidon.marathon.slave.mesos", "")]
    [InlineData("docker,mesos,host", "master.mesos", "144.76.157.37")]
    [InlineData("docker,mesos,host", "master0.mesos", "144.76.157.37")]
    [InlineData("docker,mesos,host", "leader.mesos", "144.76.157.37")]
    [InlineData("docker,mesos,host", "slave.mesos", "1.2.3.10 1.2.3.11 1.2.3.12")]
    [InlineData("docker,mesos,host", "some-box.chronoswithaspaceandmixe.mesos", "1.2.3.11")]
    [InlineData("docker,mesos,host", "marathon.mesos", "1.2.3.11")]
    [InlineData("docker,mesos,host", "liquor-store-4dfjd-0.marathon.mesos", "10.3.0.1")]
    [InlineData("docker,mesos,host", "liquor-store-zasmd-1.marathon.mesos", "10.3.0.2")]
    [InlineData("docker,mesos,host", "non-human-readable-liquor-store.marathon.mesos", "")]
    [InlineData("host", "liquor-store.marathon.mesos", "1.2.3.11 1.2.3.12")]
    [InlineData("host", "liquor-store.marathon.slave.mesos", "1.2.3.11 1.2.3.12")]
    [InlineData("host", "nginx.marathon.mesos", "1.2.3.11")]
    [InlineData("host", "car-store.marathon.slave.mesos", "1.2.3.11")]
    [InlineData("mesos,host", "liquor-store.marathon.mesos", "1.2.3.11 1.2.3.12")]
    [InlineData("mesos,host", "nginx.marathon.mesos", "10.3.0.3")]
    [InlineData("mesos,host", "car-store.marathon.slave.mesos", "1.2.3.11")]
    [InlineData("docker,host", "liquor-store.marathon.mesos", "10.3.0.1 10.3.0.2")]
    [InlineData("docker,host", "nginx.marathon.mesos", "1.2.3.11")]
    public void AddressesAreThoseOfMesosDns(string sources, string name, string expected) =>
        Assert.Equal(expected, Data(Zones(Old with { IpSources = [.. sources.Split(',').Select(s => Enum.Parse<IpSource>(s, ignoreCase: true))] }), name, RecordType.A));

    [Theory]
    [InlineData("_poseidon._tcp.marathon.mesos", "")]
    [InlineData("_leader._tcp.mesos", "leader.mesos.:5050")]
    [InlineData("_leader._udp.mesos", "leader.mesos.:5050")]
    [InlineData("_liquor-store._tcp.marathon.mesos", "liquor-store-4dfjd-0.marathon.mesos.:443 liquor-store-4dfjd-0.marathon.mesos.:80 liquor-store-zasmd-1.marathon.mesos.:443 liquor-store-zasmd-1.marathon.mesos.:80")]
    [InlineData("_liquor-store._udp.marathon.mesos", "")]
    [InlineData("_liquor-store.marathon.mesos", "")]
    [InlineData("_https._liquor-store._tcp.marathon.mesos", "liquor-store-4dfjd-0.marathon.mesos.:443 liquor-store-zasmd-1.marathon.mesos.:443")]
    [InlineData("_liquor-store._udp.marathon.slave.mesos", "liquor-store-4dfjd-0.marathon.slave.mesos.:31354 liquor-store-4dfjd-0.marathon.slave.mesos.:31355 liquor-store-zasmd-1.marathon.slave.mesos.:31737 liquor-store-zasmd-1.marathon.slave.mesos.:31738")]
    [InlineData("_car-store._tcp.marathon.mesos", "car-store-zinaz-0.marathon.slave.mesos.:31364 car-store-zinaz-0.marathon.slave.mesos.:31365")]
    [InlineData("_car-store._udp.marathon.mesos", "car-store-zinaz-0.marathon.slave.mesos.:31364 car-store-zinaz-0.marathon.slave.mesos.:31365")]
    [InlineData("_slave._tcp.mesos", "slave.mesos.:5051")]
    [InlineData("_framework._tcp.marathon.mesos", "marathon.mesos.:25501")]
    public void ServicesAreThoseOfMesosDns(string name, string expected) => Assert.Equal(expected, Data(Zones(Old), name, RecordType.Srv));

    [Theory]
    [InlineData("", "5@6.0.0.1:7", "6.0.0.1", "6.0.0.1")]
    [InlineData("6.0.0.1:7", "5@6.0.0.1:7", "6.0.0.1", "6.0.0.1")]
    [InlineData("8.0.0.1:9", "5@6.0.0.1:7", "6.0.0.1 8.0.0.1", "8.0.0.1 6.0.0.1")]
    [InlineData("8.0.0.1:9,8.0.0.1:9", "5@6.0.0.1:7", "6.0.0.1 8.0.0.1", "8.0.0.1 6.0.0.1")]
    [InlineData("8.0.0.1:9,6.0.0.1:7,6.0.0.1:7", "5@6.0.0.1:7", "6.0.0.1 8.0.0.1", "8.0.0.1 6.0.0.1")]
    [InlineData("8.0.0.1:9,6.0.0.1:7,9.0.0.1:0", "5@6.0.0.1:7", "6.0.0.1 8.0.0.1 9.0.0.1", "8.0.0.1 6.0.0.1 9.0.0.1")]
    public void MastersAreNumberedAsListed(string listed, string leader, string all, string numbered)
    {
        var contents = ZoneCase.NewContents();
        contents.Put("masters", MesosRecords.OfMasters(MesosEndpoint.Read(leader),
            [.. listed.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(l => MesosEndpoint.Read(l)!.Value)], Find, ZoneNames.Default));
        contents.Publish(1);
        Assert.Equal(all, Data(contents.Current, "master.mesos", RecordType.A));
        Assert.Equal("6.0.0.1", Data(contents.Current, "leader.mesos", RecordType.A));
        Assert.Equal("leader.mesos.:7", Data(contents.Current, "_leader._tcp.mesos", RecordType.Srv));
        Assert.Equal(numbered, string.Join(' ', Enumerable.Range(0, 9).Select(i => Data(contents.Current, $"master{i}.mesos", RecordType.A)).Where(a => a.Length > 0)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("@")]
    [InlineData("1@")]
    [InlineData("@2")]
    [InlineData("3@4")]
    public void WhatNamesNoLeaderGivesNoMasters(string leader) =>
        Assert.Empty(MesosRecords.OfMasters(MesosEndpoint.Read(leader), [], Find, ZoneNames.Default));

    [Fact]
    public void DiscoveryNamesComeRawAndMangled()
    {
        var cluster = Fixture();
        var task = cluster.Tasks.First(t => t.Name == "liquor-store") with { Discovery = new TaskDiscovery("mysql.db.prod", [new DiscoveryPort("", "", 3306)]) };
        var zones = Zones(ZoneNames.Default, cluster with { Tasks = [task] });
        foreach (var form in new[] { "mysql.db.prod", "mysql-db-prod" })
        {
            Assert.Equal("1.2.3.11", Data(zones, $"{form}.marathon.mesos", RecordType.A));
            Assert.Equal($"{form}-4dfjd-0.marathon.mesos.:3306", Data(zones, $"_{form}._tcp.marathon.mesos", RecordType.Srv));
            Assert.Equal($"{form}-4dfjd-0.marathon.mesos.:3306", Data(zones, $"_{form}._udp.marathon.mesos", RecordType.Srv));
        }
    }

    [Fact]
    public void NothingOfOurOwnFrameworkComesFromMesos()
    {
        var zones = Zones(ZoneNames.Default, own: "marathon");
        Assert.Equal("", Data(zones, "liquor-store.marathon.mesos", RecordType.A));
        Assert.Equal("1.2.3.11", Data(zones, "some-box.chronoswithaspaceandmixedcase-2.0.1.mesos", RecordType.A));
    }

    [Fact]
    public void SickTasksAreWithdrawnUnlessAllRunningOnesAreWanted()
    {
        var cluster = Fixture();
        var sick = cluster with { Tasks = [.. cluster.Tasks.Select(t => t.Name == "nginx" ? t with { IsHealthy = false } : t)] };
        Assert.Equal("", Data(Zones(ZoneNames.Default, sick), "nginx.marathon.mesos", RecordType.A));
        Assert.Equal("10.3.0.3", Data(Zones(ZoneNames.Default with { HealthAware = false }, sick), "nginx.marathon.mesos", RecordType.A));
    }

    /// <summary>A health check's update has no network information; the address must not change to the agent's because of it.</summary>
    [Fact]
    public void AnUpdateWithoutNetworkKeepsTheAddress()
    {
        var task = Fixture().Tasks.First(t => t.Name == "nginx")
            .With(new() { TaskId = new() { Value = "x" }, State = Declarative.Mesos.Protocol.TaskState.TaskRunning, Healthy = true });
        Assert.Equal([IPAddress.Parse("10.3.0.3")], task.Addresses.Mesos);
    }

    [Fact]
    public void StateOfAnotherShapeHarmsNothing()
    {
        var cluster = StateDocument.Read("""
            {"frameworks": [3, {"id": 5}, {"id":"f","name":"a","tasks":[7, {"id":"t","name":"t","state":"TASK_RUNNING","resources":{"ports":"[9-1, x, 70000-80000]"}, "statuses":[1]}]}],
             "slaves": {"a":1}, "leader": 7}
            """u8.ToArray());
        Assert.Null(cluster.Leader);
        Assert.Empty(cluster.Tasks.Single(t => t.Id == "t").HostPorts);
        Zones(ZoneNames.Default, cluster);
    }

    [Fact]
    public void TasksOnAgentsThatAreToReturnStay()
    {
        var contents = ZoneCase.NewContents();
        var feed = new MesosFeed(contents, ZoneNames.Default, null, Find);
        var before = Fixture();
        feed.Replace(before);
        contents.Publish(1);
        const string agent = "20140803-125133-3041283216-5050-2410-0";
        feed.Replace(new MesosCluster([], [], [], before.Leader) { Returning = new HashSet<string> { agent } });
        contents.Publish(1);
        Assert.Equal("10.3.0.3", Data(contents.Current, "nginx.marathon.mesos", RecordType.A));
        Assert.Equal("", Data(contents.Current, "reviewbot.marathon.mesos", RecordType.A));
        feed.RemoveAgent(agent);
        contents.Publish(1);
        Assert.Equal("", Data(contents.Current, "nginx.marathon.mesos", RecordType.A));
    }
}
