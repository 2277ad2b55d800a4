using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Nodes;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;
using Xunit;

namespace Declarative.Tests.Nodes;

/// <summary>Agents as Node objects.</summary>
public class NodePlanTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static Resource Scalar(string name, double value, string? reservedFor = null, string? usedBy = null)
    {
        var resource = new Resource { Name = name, Type = Value.Types.Type.Scalar, Scalar = new() { Value = value } };
        if (reservedFor is not null) resource.Reservations.Add(new Resource.Types.ReservationInfo { Type = Resource.Types.ReservationInfo.Types.Type.Static, Role = reservedFor });
        if (usedBy is not null) resource.AllocationInfo = new() { Role = usedBy };
        return resource;
    }

    private static Response.Types.GetAgents.Types.Agent Agent(string id = "m-S1")
    {
        var agent = new Response.Types.GetAgents.Types.Agent { AgentInfo = new() { Id = new() { Value = id }, Hostname = "host-a", Port = 5051 }, Active = true, Version = "1.11.0", Pid = "slave(1)@10.0.0.1:5051" };
        agent.TotalResources.Add(new[] { Scalar("cpus", 6), Scalar("cpus", 2, reservedFor: "other"), Scalar("mem", 1000), Scalar("disk", 100, reservedFor: "eng") });
        return agent;
    }

    private static string Text(Plan plan) => string.Join('\n', plan.Changes);

    private static AgentFeed Feed()
    {
        var feed = new AgentFeed();
        feed.OwnRole("declarative");
        feed.OwnRole("eng/web");
        return feed;
    }

    [Fact]
    public void What_others_have_is_not_allocatable()
    {
        var agent = Agent();
        agent.AllocatedResources.Add(new[] { Scalar("cpus", 1.5, usedBy: "other"), Scalar("cpus", 2, usedBy: "declarative"), Scalar("mem", 300, usedBy: "third"), Scalar("cpus", 2, reservedFor: "other", usedBy: "other") });
        var text = Text(NodePlan.Compute(AgentFacts.Of(agent), null, _ => null, Feed().IsOwn, Now));
        Assert.Contains("\"capacity\":{\"cpu\":\"8\",\"ephemeral-storage\":\"100Mi\",\"memory\":\"1000Mi\"", text, StringComparison.Ordinal);
        // Two cpus are another's by reservation, one and a half by use; the disk is kept for a parent of a role of ours.
        Assert.Contains("\"allocatable\":{\"cpu\":\"4500m\",\"ephemeral-storage\":\"100Mi\",\"memory\":\"700Mi\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_live_machines_of_one_name_leave_each_other_alone()
    {
        var feed = Feed();
        var other = Agent("m-S2");
        other.Pid = "slave(1)@10.9.9.9:5051";
        feed.Known(AgentFacts.Of(Agent("m-S1")));
        feed.Known(AgentFacts.Of(other));
        Assert.Equal((AgentPresence.Active, AgentPresence.Active), (feed.Find("m-S1")!.Presence, feed.Find("m-S2")!.Presence));
    }

    [Fact]
    public void A_machine_that_is_back_under_a_new_id_has_one_node()
    {
        var feed = Feed();
        var changed = new List<string>();
        feed.OnChange(changed.Add);
        feed.Known(AgentFacts.Of(Agent("m-S1")));
        feed.Known(AgentFacts.Of(Agent("m-S2")));
        Assert.Equal((AgentPresence.Gone, AgentPresence.Active), (feed.Find("m-S1")!.Presence, feed.Find("m-S2")!.Presence));
        Assert.Equal(["m-S1", "m-S1", "m-S2"], changed.Order(StringComparer.Ordinal));
        // The former one does not take the Node back, by whatever name.
        var node = Stored(feed.Find("m-S2")!, withStatus: true);
        Assert.Empty(NodePlan.Compute(feed.Find("m-S1")!, null, _ => node, feed.IsOwn, Now).Changes);
    }

    [Fact]
    public void A_node_that_has_no_status_yet_is_waited_for()
    {
        var feed = Feed();
        var node = Stored(AgentFacts.Of(Agent("m-S1")), withStatus: false);
        var plan = NodePlan.Compute(AgentFacts.Of(Agent("m-S2")), null, name => name == "host-a" ? node : null, feed.IsOwn, Now);
        Assert.Empty(plan.Changes);
        Assert.NotNull(plan.LookAgainIn);
        var full = Stored(AgentFacts.Of(Agent("m-S1")), withStatus: true);
        Assert.StartsWith("delete nodes/host-a", Text(NodePlan.Compute(AgentFacts.Of(Agent("m-S2")), null, name => name == "host-a" ? full : null, feed.IsOwn, Now)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_deactivated_agent_says_so()
    {
        var agent = Agent();
        agent.Deactivated = true;
        Assert.Contains("\"type\":\"MesosDeactivated\",\"status\":\"True\"", Text(NodePlan.Compute(AgentFacts.Of(agent), null, _ => null, Feed().IsOwn, Now)), StringComparison.Ordinal);
    }

    [Fact]
    public void Attributes_of_every_type_and_the_fault_domain_are_labels()
    {
        var agent = Agent();
        agent.AgentInfo.Domain = new() { FaultDomain = new() { Region = new() { Name = "eu" }, Zone = new() { Name = "eu 1" } } };
        agent.AgentInfo.Attributes.Add(new Declarative.Mesos.Protocol.Attribute { Name = "rack", Type = Value.Types.Type.Text, Text = new() { Value = "r 1" } });
        agent.AgentInfo.Attributes.Add(new Declarative.Mesos.Protocol.Attribute { Name = "rack", Type = Value.Types.Type.Text, Text = new() { Value = "second" } });
        agent.AgentInfo.Attributes.Add(new Declarative.Mesos.Protocol.Attribute { Name = "speed", Type = Value.Types.Type.Scalar, Scalar = new() { Value = 2.5 } });
        var ranges = new Value.Types.Ranges();
        ranges.Range.Add(new Value.Types.Range { Begin = 1, End = 3 });
        agent.AgentInfo.Attributes.Add(new Declarative.Mesos.Protocol.Attribute { Name = "slots", Type = Value.Types.Type.Ranges, Ranges = ranges });
        var set = new Value.Types.Set();
        set.Item.Add(new[] { "a", "b" });
        agent.AgentInfo.Attributes.Add(new Declarative.Mesos.Protocol.Attribute { Name = "tags", Type = Value.Types.Type.Set, Set = set });
        var labels = NodePlan.Labels(AgentFacts.Of(agent), "host-a");
        Assert.Equal("eu", labels["topology.kubernetes.io/region"]);
        Assert.Equal("eu_1", labels["topology.kubernetes.io/zone"]);
        Assert.Equal(("r_1", "2.5", "1-3", "a_b"), (labels["mesos/rack"], labels["mesos/speed"], labels["mesos/slots"], labels["mesos/tags"]));
    }

    private static Node Stored(AgentFacts agent, bool withStatus) => new()
    {
        Metadata = new() { Name = "host-a", Uid = "u" },
        Spec = new() { ProviderID = NodePlan.ProviderId(agent.AgentId) },
        Status = withStatus ? new() { Addresses = [new() { Type = "Hostname", Address = agent.Hostname }], DaemonEndpoints = new() { KubeletEndpoint = new() { Port = agent.Port } } } : new(),
    };
}
