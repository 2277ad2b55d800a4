using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Forecasts;
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

    [Fact]
    public void The_most_important_are_placed_first_and_displace_whom_they_must()
    {
        var rows = Forecast.Compute([Node("a", 4)], [Pod("old", 3, "a", -1)], [], [new("low", Pod("low", 1), 1), new("high", Pod("high", 2, priority: 5), 3)]);
        Assert.Equal("low  refused 1; high 1 on a, 1 on a for default/old refused 1", Text(rows));
        Assert.StartsWith("0/1 agents fit: 1 have too few cpus; nearest a: needs 2 cpus, a offers 0: 2 short", rows[1].Why, StringComparison.Ordinal);
        Assert.Equal("a", Assert.Single(rows[1].Agents).Agent);
    }
}
