using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>Preemption over real sockets, with the controller that keeps disruption budgets.</summary>
public class SocketPreemptionTests
{
    private static readonly Kind Classes = Kind.FindByName("scheduling.k8s.io/v1", "PriorityClass")!;

    private static Task<Stored> Class(SocketCluster x, string name, int value) =>
        x.Api.Create(ResourceKey.Of(Classes, "", name), Encoding.UTF8.GetBytes($$"""{"metadata":{"name":"{{name}}"},"value":{{value}}}"""));

    private static Task<Stored> Pod(SocketCluster x, string name, string priority, string cpu, string node = "") => x.CreatePod(
        name, cpu, $$""","labels":{"app":"{{name.Split('-')[0]}}"} """, $$""","priorityClassName":"{{priority}}","terminationGracePeriodSeconds":1{{(node.Length > 0 ? $",\"nodeName\":\"{node}\"" : "")}}""");

    private static async Task<List<string>> Present(SocketCluster x, string app) =>
        [.. (await x.Api.List(new(Kind.Pod))).Items.Select(y => Declarative.Api.Kinds.Pod.Read(y.Json)).Where(y => y.Metadata.Labels.GetValueOrDefault("app") == app && !y.Metadata.IsDeleting).Select(y => y.Name)];

    private static Task Allows(SocketCluster x, int disruptions) => SocketCluster.Until(
        async () => PodDisruptionBudget.Read((await x.Api.Get(ResourceKey.Of(Kind.PodDisruptionBudget, "default", "db"))).Json).Status is { ObservedGeneration: > 0 } status && status.DisruptionsAllowed == disruptions,
        $"the budget allows {disruptions}");

    [Fact]
    public Task Budgets_hold_as_long_as_something_else_makes_room() => SocketCluster.Run(async x =>
    {
        x.StartDisruption();
        // An agent has a node from when it has offered something.
        for (var i = 0; i < 2; i++) await x.CreatePod($"scout-{i}", "2", spec: ""","terminationGracePeriodSeconds":1 """);
        for (var i = 0; i < 2; i++) await x.Running($"scout-{i}");
        for (var i = 0; i < 2; i++) await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", $"scout-{i}"));
        await Class(x, "low", 10);
        await Class(x, "middle", 50);
        await Class(x, "high", 100);
        await x.Api.Create(ResourceKey.Of(Kind.PodDisruptionBudget, "default", "db"), """{"metadata":{"name":"db"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"db"}}}}"""u8.ToArray());
        // An agent of pods of which one may go, and one of pods that are more important and that nothing protects.
        for (var i = 0; i < 2; i++)
        {
            await Pod(x, $"db-{i}", "low", "1", "agent-0");
            await Pod(x, $"web-{i}", "middle", "1", "agent-1");
        }
        for (var i = 0; i < 2; i++)
        {
            await x.Running($"db-{i}");
            await x.Running($"web-{i}");
        }
        await Allows(x, 1);

        // It needs the place of two. Both of db would be one too many, so the more important ones go.
        await Pod(x, "first", "high", "2");
        Assert.Equal("agent-1", (await x.Running("first")).Spec.NodeName);
        Assert.Empty(await Present(x, "web"));
        Assert.Equal(["db-0", "db-1"], await Present(x, "db"));

        // It needs the place of one, which the budget allows.
        await Pod(x, "second", "high", "1");
        Assert.Equal("agent-0", (await x.Running("second")).Spec.NodeName);
        var last = Assert.Single(await Present(x, "db"));
        await Allows(x, 0);
        Assert.Equal(3, x.Placement.Counters["preempted"]);

        // Nothing else makes room: as in Kubernetes the budget is broken then, and only then.
        await Pod(x, "third", "high", "1");
        Assert.Equal("agent-0", (await x.Running("third")).Spec.NodeName);
        Assert.Empty(await Present(x, "db"));
        await SocketCluster.Until(async () => (await x.Api.List(new(Kind.Event))).Items.Any(y => Encoding.UTF8.GetString(y.Json.Span) is var json && json.Contains("Preempted", StringComparison.Ordinal) && json.Contains($"\"{last}\"", StringComparison.Ordinal)), "an event tells who went for whom");
    }, agents: 2);
}
