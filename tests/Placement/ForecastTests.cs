using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Forecasts;
using Declarative.Controllers.Volumes;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>What <c>declarative plan</c> foretells, on a snapshot.</summary>
public class ForecastTests
{
    private static Node Node(string name, long cpus, bool ready = true) => new()
    {
        Metadata = new() { Name = name, Uid = name, Labels = new Dictionary<string, string> { ["kubernetes.io/hostname"] = name } },
        Status = new()
        {
            Capacity = new Dictionary<string, Quantity> { ["cpu"] = new(cpus * 1000), ["memory"] = Quantity.Parse("8Gi") },
            Conditions = [new() { Type = "Ready", Status = ready ? "True" : "False" }],
        },
    };

    private static Pod Pod(string name, long cpus, string node = "", int priority = 0) => new()
    {
        Metadata = new() { Name = name, Uid = name, Namespace = "default" },
        Spec = new() { NodeName = node, Priority = priority, Containers = [new() { Name = "c", Resources = new() { Requests = new Dictionary<string, Quantity> { ["cpu"] = new(cpus * 1000) } } }] },
    };

    private static string Text(IEnumerable<ForecastRow> rows) => string.Join("; ", rows.Select(x =>
        $"{x.Owner} {string.Join(", ", x.Places.Select(y => $"{y.Count} on {y.Node}{(y.Displaces.Count > 0 ? " for " + string.Join('+', y.Displaces) : "")}"))} refused {x.Refused}"));

    [Fact]
    public void Pods_go_where_there_is_room_beside_those_that_stand_and_those_that_wait()
    {
        var nodes = new[] { Node("a", 4), Node("b", 4), Node("c", 4, ready: false) };
        Assert.Equal("web 1 on a, 2 on b refused 2", Text(Forecast.Compute(nodes, [Pod("old", 2, "a")], [], [new("web", Pod("web", 2), 5)])));
        Assert.Equal("web 1 on a, 1 on b refused 1", Text(Forecast.Compute(nodes, [Pod("old", 2, "a"), Pod("waits", 1)], [], [new("web", Pod("web", 2), 3)])));
        Assert.Equal("web 2 on a, 2 on b refused 0", Text(Forecast.Compute(nodes, [], [], [new("web", Pod("web", 2), 4)])));
    }

    private static Node WithDisk(Node node, string agent, string disk) => node with
    {
        Spec = node.Spec with { ProviderID = "mesos://" + agent },
        Status = node.Status with { Capacity = new Dictionary<string, Quantity>(node.Status.Capacity) { ["ephemeral-storage"] = Quantity.Parse(disk) } },
    };

    private static PersistentVolumeClaim Claim(string name, string size, string volume = "", string phase = "Pending") => new()
    {
        Metadata = new() { Name = name, Uid = "uid-" + name, Namespace = "default" },
        Spec = new() { VolumeName = volume, AccessModes = ["ReadWriteOnce"], Resources = new() { Requests = new Dictionary<string, Quantity> { ["storage"] = Quantity.Parse(size) } } },
        Status = new() { Phase = phase },
    };

    private static Pod With(Pod pod, string claim) => pod with { Spec = pod.Spec with { Volumes = [new() { Name = "data", PersistentVolumeClaim = new() { ClaimName = claim } }] } };

    private static PersistentVolumeClaim Many(PersistentVolumeClaim claim) => claim with { Spec = claim.Spec with { AccessModes = [MesosVolume.Shared] } };

    [Fact]
    public void Claims_take_their_pods_to_their_agents_and_their_disk_from_the_room_there()
    {
        var nodes = new[] { WithDisk(Node("a", 8), "S0", "10Gi"), WithDisk(Node("b", 8), "S1", "10Gi") };
        var ofClass = new StorageClass { Metadata = new() { Name = "mesos", Annotations = new Dictionary<string, string> { ["storageclass.kubernetes.io/is-default-class"] = "true" } }, Provisioner = MesosVolume.Provisioner };
        var volume = new PersistentVolume
        {
            Metadata = new() { Name = "v", Annotations = new Dictionary<string, string> { [MesosVolume.State] = MesosVolume.Created } },
            Spec = new() { Csi = new() { Driver = MesosVolume.Driver, VolumeHandle = "v", VolumeAttributes = MesosVolume.Attributes("S1", "b").ToDictionary() } },
        };
        // A user's own volume, of no driver of ours.
        var others = new PersistentVolume { Metadata = new() { Name = "nfs", Annotations = new Dictionary<string, string> { [MesosVolume.State] = MesosVolume.Created } } };
        var storage = new ForecastStorage([Claim("old", "1Gi", "v", "Bound"), Claim("new", "6Gi"), Claim("more", "6Gi"), Claim("third", "6Gi"), Many(Claim("shared", "1Gi", "v", "Bound")), Many(Claim("pool", "1Gi"))], [volume, others], [ofClass]);
        string Plan(params WantedPods[] wanted) => Text(Forecast.Compute(nodes, [], [], wanted, storage));

        // The agent of the volume, one pod at a time.
        Assert.Equal("web 1 on b refused 1", Plan(new WantedPods("web", With(Pod("web", 1), "old"), 2)));
        // Of a shared one all pods, where it is there already; else all but the first follow.
        Assert.Equal("web 2 on b refused 0", Plan(new WantedPods("web", With(Pod("web", 1), "shared"), 2)));
        var follow = Forecast.Compute(nodes, [], [], [new("web", With(Pod("web", 1), "pool"), 2)], storage);
        Assert.Equal("web 1 on a refused 1", Text(follow));
        Assert.Contains("claim pool has no volume yet: this pod follows the first one", follow[0].Why, StringComparison.Ordinal);
        // Two new volumes of 6 GiB need an agent each, a third finds no room.
        Assert.Equal("1 1 on a refused 0; 2 1 on b refused 0; 3  refused 1", Plan(new WantedPods("1", With(Pod("p", 1), "new"), 1), new("2", With(Pod("q", 1), "more"), 1), new("3", With(Pod("r", 1), "third"), 1)));
        // Each pod of a set brings its own.
        Assert.Equal("set 1 on a, 1 on b refused 1", Plan(new WantedPods("set", Pod("set", 1), 3) { Templates = [Claim("data", "6Gi")] }));
        var why = Forecast.Compute(nodes, [], [], [new("web", With(Pod("web", 1), "nope"), 1)], storage)[0].Why;
        Assert.Contains("persistentvolumeclaim \"nope\" not found", why, StringComparison.Ordinal);
    }

    [Fact]
    public void The_most_important_are_placed_first_and_displace_whom_they_must()
    {
        var rows = Forecast.Compute([Node("a", 4)], [Pod("old", 3, "a", -1)], [], [new("low", Pod("low", 1), 1), new("high", Pod("high", 2, priority: 5), 3)]);
        Assert.Equal("low  refused 1; high 1 on a, 1 on a for default/old refused 1", Text(rows));
        Assert.StartsWith("0/1 agents fit: 1 have too few cpus; nearest a: needs 2 cpus, a offers 0: 2 short", rows[1].Why, StringComparison.Ordinal);
        Assert.Equal("a", Assert.Single(rows[1].Agents).Agent);
    }
}
