using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Offers;
using Declarative.Mesos.Mini.Allocator;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Xunit;
using Attribute = Declarative.Mesos.Protocol.Attribute;

namespace Declarative.Tests.Placement;

/// <summary>What a master is told not to offer is of no use to anything that waits.</summary>
public class OfferFilterTests
{
    private const int Rounds = 3_000;
    private static readonly string[] Texts = ["", "r1", "a_b", "a b", "a  b", "-x-", "x", "ä", "a.b", "a+b", "a_", "_", "R1", "😀", "r1\n", new string('q', 70)];
    private static readonly string[] Names = ["rack", "disk", "a.b"];

    /// <summary>Random agents and pods: whatever the matcher would put on an agent, a master with the filter offers it.</summary>
    [Fact]
    public void No_agent_that_could_be_used_is_hidden()
    {
        var random = new Random(7);
        var (hidden, allowed) = (0, 0);
        for (var round = 0; round < Rounds; round++)
        {
            var pods = Enumerable.Range(0, random.Next(1, 4)).Select(_ => Waiting(random)).ToList();
            var filter = OfferFilter.Of(pods);
            var constraint = Constraint(filter);
            var agent = Agent(random);
            var node = new AgentNode("n", NodePlan.Labels(AgentFacts.Of(Offer(agent)), "n"));
            var slot = new AgentSlot("a", node, new(random.Next(1, 8) * 500, random.Next(1, 8) * 64_000, 0), new PortSet());
            if (!pods.Exists(x => AgentFilter.Fits(x, slot) && !AgentFilter.Fixed(x, slot).Any()))
            {
                if (constraint?.Admits(agent) == false) hidden++;
                continue;
            }
            allowed++;
            Assert.True(constraint?.Admits(agent) ?? true, $"{filter.Key} hides {agent.Attributes}");
            Assert.True(slot.Free.Cpus >= filter.Cpus && slot.Free.Mem >= filter.Mem, filter.Key);
        }
        Assert.True(allowed > Rounds / 20 && hidden > Rounds / 20, $"{allowed} of {Rounds} could be used, {hidden} were hidden");
    }

    private static OfferConstraint? Constraint(OfferFilter filter)
    {
        if (filter.Groups.Count == 0) return null;
        var constraints = new OfferConstraints();
        constraints.RoleConstraints["r"] = filter.ToConstraints();
        var made = OfferConstraint.Of(constraints, ["r"], out var fault);
        Assert.Null(fault);
        return made["r"];
    }

    private static WaitingPod Waiting(Random random)
    {
        var spec = new PodSpec
        {
            Containers = [new() { Name = "main", Resources = new() { Requests = new Dictionary<string, Quantity> { ["cpu"] = new(random.Next(1, 6) * 500), ["memory"] = Quantity.Parse($"{random.Next(1, 6) * 64}Mi") } } }],
            NodeSelector = random.Next(3) == 0 ? new Dictionary<string, string>() : new Dictionary<string, string> { ["mesos/" + Pick(random, Names)] = Label(Pick(random, Texts)) },
        };
        if (random.Next(3) == 0)
        {
            spec = spec with
            {
                Affinity = new()
                {
                    NodeAffinity = new()
                    {
                        RequiredDuringSchedulingIgnoredDuringExecution = new()
                        {
                            NodeSelectorTerms = [.. Enumerable.Range(0, random.Next(1, 3)).Select(_ => new NodeSelectorTerm { MatchExpressions = [new() { Key = "mesos/" + Pick(random, Names), Operator = Pick(random, ["In", "NotIn", "Exists", "DoesNotExist"]), Values = [Label(Pick(random, Texts)), "zz"] }] })],
                        },
                    },
                },
            };
        }
        return new(new Pod { Metadata = new() { Name = "p", Namespace = "default", Uid = "u" }, Spec = spec });
    }

    private static AgentInfo Agent(Random random)
    {
        var agent = new AgentInfo { Hostname = "n", Port = 5051 };
        foreach (var name in Names.Where(_ => random.Next(3) > 0))
        {
            agent.Attributes.Add(random.Next(6) == 0
                ? new Attribute { Name = name, Type = Value.Types.Type.Scalar, Scalar = new() { Value = 3 } }
                : new Attribute { Name = name, Type = Value.Types.Type.Text, Text = new() { Value = Pick(random, Texts) } });
        }
        return agent;
    }

    private static Offer Offer(AgentInfo agent)
    {
        var offer = new Offer { Id = new() { Value = "o" }, AgentId = new() { Value = "a" }, Hostname = agent.Hostname };
        offer.Attributes.Add(agent.Attributes);
        return offer;
    }

    /// <summary>The label that the attribute's text becomes.</summary>
    private static string Label(string text)
    {
        var agent = new AgentInfo { Hostname = "n", Port = 5051 };
        agent.Attributes.Add(new Attribute { Name = "x", Type = Value.Types.Type.Text, Text = new() { Value = text } });
        return NodePlan.Labels(AgentFacts.Of(Offer(agent)), "n")["mesos/x"];
    }

    private static T Pick<T>(Random random, T[] of) => of[random.Next(of.Length)];

    [Fact]
    public void Offers_are_narrowed_when_pods_have_waited_and_widened_at_once_for_another() => Cluster.Run(async x =>
    {
        Call? last = null;
        x.Spy.Before = call => last = call.Type is Call.Types.Type.UpdateFramework ? call : last;
        await x.CreatePod("big", ""","resources":{"requests":{"cpu":"50","memory":"64Mi"}}""", ""","nodeSelector":{"mesos/rack":"r9"}""");
        await x.WaitUntil(() => Task.FromResult(last is not null), "UPDATE_FRAMEWORK", seconds: 120);
        Assert.Equal(50, last!.UpdateFramework.FrameworkInfo.OfferFilters["declarative"].MinAllocatableResources.Quantities.Single().Quantities["cpus"].Value);
        Assert.Equal("rack", last.UpdateFramework.OfferConstraints.RoleConstraints["declarative"].Groups.Single().AttributeConstraints.Single().Selector.AttributeName);
        await x.CreatePod("small");
        await x.WaitRunning("small");
        Assert.Empty(last.UpdateFramework.FrameworkInfo.OfferFilters);
    }, agent: new() { Hostname = "", Attributes = [new Attribute { Name = "rack", Type = Value.Types.Type.Text, Text = new() { Value = "r1" } }] });

    [Fact]
    public void Constraints_that_the_master_refuses_are_left_out_and_the_subscription_stands() => Cluster.Run(async x =>
    {
        Call? last = null;
        x.Spy.Before = call => last = call.Type is Call.Types.Type.UpdateFramework ? call : last;
        x.Spy.Refuse = (_, constraints) => constraints is null ? null : "the expression is too large";
        await x.CreatePod("big", ""","resources":{"requests":{"cpu":"50","memory":"64Mi"}}""", ""","nodeSelector":{"mesos/rack":"r9"}""");
        await x.WaitUntil(() => Task.FromResult(last is { UpdateFramework: { OfferConstraints: null, FrameworkInfo.OfferFilters.Count: 1 } }), "UPDATE_FRAMEWORK without constraints", seconds: 120);
        await x.Sleep(30);
        Assert.Equal(2, x.Spy.Log.Count(y => y == "UPDATEFRAMEWORK"));
        Assert.Single(x.Spy.Log, y => y.StartsWith("SUBSCRIBE ", StringComparison.Ordinal));
    });
}
