using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>Preemption from end to end in the simulated world.</summary>
public class PreemptingTests
{
    /// <summary>Of an agent with 8 cpus.</summary>
    private static readonly string Half = Needs(4);

    private static string Needs(int cpus) => $$""","resources":{"requests":{"cpu":"{{cpus}}","memory":"64Mi"} }""";

    private static Task<Stored> Class(Cluster x, string name, int value, string more = "") => x.Create($$"""{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"{{name}}"},"value":{{value}}{{more}} }""");

    private static string Spec(string priority, string more = "") => $""","priorityClassName":"{priority}"{more}""";

    private static async Task<List<string>> Events(Cluster x, string reason) =>
        [.. (await x.Api.List(new(Kind.Find("", "v1", "events")!))).Items.Select(y => System.Text.Json.Nodes.JsonNode.Parse(y.Json.Span)!).Where(y => (string?)y["reason"] == reason).Select(y => $"{y["involvedObject"]!["name"]}: {y["message"]}")];

    [Fact]
    public void A_pod_of_higher_priority_takes_the_place_of_one_that_goes_in_order() => Cluster.Run(async x =>
    {
        await Class(x, "low", -10);
        await Class(x, "high", 100);
        await x.CreatePod("first", Half, Spec("low"));
        await x.CreatePod("second", Half);
        await x.WaitRunning("first");
        await x.WaitRunning("second");
        var seen = new List<string>();
        x.Spy.Before = call =>
        {
            if (call.Kill is null) return;
            var pods = x.Api.List(new(Kind.Pod)).Result.Items.Select(y => Pod.Read(y.Json)).ToList();
            seen.AddRange(pods.Select(y => $"{y.Name} {y.Status.NominatedNodeName} {y.Status.Conditions.FirstOrDefault(z => z.Type == "DisruptionTarget")?.Reason}".TrimEnd()));
        };
        await x.CreatePod("vip", Half, Spec("high"));
        var vip = await x.WaitRunning("vip");
        Assert.False(await x.Exists("first"));
        Assert.True((await x.GetPod("second")).IsReady);
        Assert.Equal("", vip.Status.NominatedNodeName);
        // When TERM went, it was stored whom the room is for, and why the other goes.
        Assert.Equal(["first  PreemptionByScheduler", "second", "vip agent-0"], seen.Order(StringComparer.Ordinal));
        Assert.Equal(["first: Preempted: makes room on agent-0 for pod default/vip of priority 100"], await Events(x, "Preempted"));
        Assert.Equal(1, x.Placement.Counters["preempted"]);
    });

    [Fact]
    public void Never_and_equal_priority_displace_nobody() => Cluster.Run(async x =>
    {
        await Class(x, "polite", 100, ",\"preemptionPolicy\":\"Never\"");
        await x.CreatePod("first", Half);
        await x.CreatePod("second", Half);
        await x.WaitRunning("first");
        await x.WaitRunning("second");
        await x.CreatePod("polite", Half, Spec("polite"));
        await x.CreatePod("equal", Half);
        await x.Sleep(60);
        Assert.Equal(0, x.Placement.Counters["preemptions"]);
        Assert.Contains("4 cpus", (await x.GetPod("polite")).Status.Conditions.Single(y => y.Type == "PodScheduled").Message, StringComparison.Ordinal);
    });

    [Fact]
    public void While_one_victim_takes_its_time_nobody_of_lower_priority_slips_in() => Cluster.Run(async x =>
    {
        await Class(x, "high", 100);
        for (var i = 0; i < 4; i++) await x.CreatePod($"low-{i}", Needs(2));
        for (var i = 0; i < 4; i++) await x.WaitRunning($"low-{i}");
        await x.CreatePod("next", Needs(2));
        await x.CreatePod("vip", Needs(8), Spec("high"));
        await x.WaitRunning("vip");
        Assert.Equal(4, x.Placement.Counters["preempted"]);
        Assert.Equal("", (await x.GetPod("next")).Spec.NodeName);
    }, agent: new() { Hostname = "", KillDelay = TimeSpan.FromSeconds(20) });

    [Fact]
    public void A_nomination_outlives_the_Placement_that_made_it() => Cluster.Run(async x =>
    {
        await Class(x, "high", 100);
        await x.CreatePod("low", Needs(8));
        await x.WaitRunning("low");
        await x.CreatePod("vip", Half, Spec("high"));
        await x.WaitPod("vip", y => y.Status.NominatedNodeName == "agent-0");
        await x.WaitPod("low", y => y.Metadata.IsDeleting);
        await x.KillPlacement();
        x.StartPlacement();
        await x.WaitRunning("vip");
        Assert.Equal(0, x.Placement.Counters["preemptions"]);
    }, agent: new() { Hostname = "", KillDelay = TimeSpan.FromSeconds(20) });

    [Fact]
    public void An_agent_with_room_that_has_not_offered_yet_is_waited_for() => Cluster.Run(async x =>
    {
        await Class(x, "high", 100);
        await x.CreatePod("low", Half);
        await x.WaitRunning("low");
        await x.WaitUntil(() => Task.FromResult(x.Spy.Log.Contains("SUPPRESS")), "SUPPRESS when nothing waits");
        var deaf = x.World.Elapsed + TimeSpan.FromSeconds(5);
        x.Spy.Lose = call => call.Revive is null && call.Type is Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type.Revive && x.World.Elapsed < deaf;
        await x.CreatePod("vip", Half, Spec("high"));
        await x.WaitRunning("vip");
        Assert.Equal(0, x.Placement.Counters["preemptions"]);
    });
}
