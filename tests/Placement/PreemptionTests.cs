using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Matching;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>Whom a pod displaces: the pure choice.</summary>
public class PreemptionTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    private static Pod Pod(string name, int priority, long cpus, string app = "", int started = 0, string policy = "", int hostPort = 0, PodSpec? spec = null) => new()
    {
        Metadata = new() { Name = name, Uid = name, Namespace = "default", Labels = app.Length > 0 ? new Dictionary<string, string> { ["app"] = app } : new Dictionary<string, string>() },
        Spec = (spec ?? new()) with
        {
            Priority = priority,
            PreemptionPolicy = policy,
            Containers =
            [
                new()
                {
                    Name = "c",
                    Resources = new() { Requests = new Dictionary<string, Quantity> { ["cpu"] = new(cpus), ["memory"] = Quantity.FromBytes(1 << 20) } },
                    Ports = hostPort > 0 ? [new() { Number = 80, HostPort = hostPort }] : [],
                },
            ],
        },
        Status = new() { StartTime = Noon.AddMinutes(started) },
    };

    private static Holder Held(Pod pod, bool leaving = false) =>
        new(pod, Demand.Of(pod.Spec).Total, [.. pod.Spec.Containers[0].Ports.Select(x => x.HostPort)], leaving);

    private static CrowdedAgent Agent(string name, long free, params Holder[] holders) =>
        new(new(name, new(name, new Dictionary<string, string> { ["kubernetes.io/hostname"] = name }), new(free, 1_000_000, 0), new PortSet((31000, 31009))), holders, KnowsPorts: true);

    private static BudgetLeft Budget(string app, int allowed) => new(new()
    {
        Metadata = new() { Name = app, Namespace = "default" },
        Spec = new() { Selector = new() { MatchLabels = new Dictionary<string, string> { ["app"] = app } } },
        Status = new() { DisruptionsAllowed = allowed },
    });

    private static Preemption? Choose(Pod pod, CrowdedAgent[] agents, params BudgetLeft[] budgets) => Choose(new WaitingPod(pod), agents, Placed(agents), budgets);

    private static Preemption? Choose(WaitingPod pod, CrowdedAgent[] agents, PlacedPods placed, params BudgetLeft[] budgets) =>
        Preemption.Choose(pod, agents, agents.ToDictionary(x => x.Slot.Node.Name, x => x.Slot.Node), placed, budgets);

    private static PlacedPods Placed(CrowdedAgent[] agents)
    {
        var placed = new PlacedPods();
        foreach (var agent in agents)
        {
            foreach (var holder in agent.Holders) placed.Put(holder.Pod, agent.Slot.Node.Name);
        }
        return placed;
    }

    private static string Text(Preemption? found) =>
        found is null ? "nothing" : $"{found.Agent.Node.Name}: {string.Join(' ', found.Victims.Select(x => x.Holder.Pod.Name + (x.Violates ? "!" : "")))}".TrimEnd();

    [Fact]
    public void Only_pods_of_lower_priority_go_and_only_as_many_as_needed()
    {
        var agents = new[] { Agent("a", 0, Held(Pod("equal", 10, 500)), Held(Pod("low", 0, 500)), Held(Pod("lower", -5, 300)), Held(Pod("lowest", -9, 300))) };
        Assert.Equal("a: lower lowest", Text(Choose(Pod("p", 10, 600), agents)));
        Assert.Equal("a: lowest", Text(Choose(Pod("p", 10, 300), agents)));
        Assert.Equal("nothing", Text(Choose(Pod("p", 10, 1200), agents)));
        Assert.Equal("a: equal low lowest", Text(Choose(Pod("p", 11, 1300), agents)));
        Assert.Equal("nothing", Text(Choose(Pod("p", 10, 300, policy: "Never"), agents)));
        Assert.Equal("nothing", Text(Choose(Pod("p", -9, 300), agents)));
    }

    [Fact]
    public void Where_there_is_room_nobody_goes() => Assert.Equal("b:", Text(Choose(Pod("p", 10, 500), [Agent("a", 0, Held(Pod("low", 0, 500))), Agent("b", 500, Held(Pod("low", 0, 500)))])));

    [Fact]
    public void Who_leaves_anyway_is_no_victim() => Assert.Equal("nothing", Text(Choose(Pod("p", 10, 500), [Agent("a", 0, Held(Pod("low", 0, 500), leaving: true))])));

    [Fact]
    public void Agents_are_chosen_by_budgets_then_priorities_then_number_then_age()
    {
        CrowdedAgent One(string name, params Pod[] pods) => Agent(name, 0, [.. pods.Select(x => Held(x))]);
        var wanted = Pod("p", 10, 600);
        // A budget that allows nothing is broken last of all.
        Assert.Equal("b: b1", Text(Choose(wanted, [One("a", Pod("a1", -100, 600, "db")), One("b", Pod("b1", 9, 600))], Budget("db", 0))));
        Assert.Equal("a: a1", Text(Choose(wanted, [One("a", Pod("a1", -100, 600, "db")), One("b", Pod("b1", 9, 600))], Budget("db", 1))));
        Assert.Equal("a: a1!", Text(Choose(wanted, [One("a", Pod("a1", -100, 600, "db"))], Budget("db", 0))));
        // The least of the highest priorities, then the least sum, then the fewest.
        Assert.Equal("b: b1 b2", Text(Choose(wanted, [One("a", Pod("a1", 5, 600)), One("b", Pod("b1", 4, 300), Pod("b2", 4, 300))])));
        Assert.Equal("b: b1 b2", Text(Choose(wanted, [One("a", Pod("a1", 4, 300), Pod("a2", 4, 300)), One("b", Pod("b1", 4, 300), Pod("b2", 3, 300))])));
        Assert.Equal("b: b1", Text(Choose(wanted, [One("a", Pod("a1", 4, 300), Pod("a2", 4, 300)), One("b", Pod("b1", 4, 600))])));
        // The one that has run for less time.
        Assert.Equal("b: b1", Text(Choose(wanted, [One("a", Pod("a1", 4, 600, started: 1)), One("b", Pod("b1", 4, 600, started: 2))])));
    }

    [Fact]
    public void A_budget_that_allows_one_gives_one()
    {
        var agent = Agent("a", 0, Held(Pod("x1", 0, 300, "db", started: 1)), Held(Pod("x2", 0, 300, "db", started: 2)), Held(Pod("x3", 0, 300, started: 3)));
        Assert.Equal("a: x1 x3", Text(Choose(Pod("p", 10, 600), [agent], Budget("db", 1))));
    }

    [Fact]
    public void A_host_port_is_taken_from_its_holder() =>
        Assert.Equal("a: port", Text(Choose(Pod("p", 10, 100, hostPort: 8080), [Agent("a", 1000, Held(Pod("other", 0, 100)), Held(Pod("port", 0, 100, hostPort: 8080)))])));

    [Fact]
    public void A_pod_to_stay_away_from_goes_though_there_is_room()
    {
        var term = new PodAffinityTerm { TopologyKey = "kubernetes.io/hostname", LabelSelector = new() { MatchLabels = new Dictionary<string, string> { ["app"] = "noisy" } } };
        var apart = new PodSpec { Affinity = new() { PodAntiAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = [term] } } };
        var agents = new[] { Agent("a", 1000, Held(Pod("quiet", 0, 100, "quiet")), Held(Pod("noisy", 0, 100, "noisy"))) };
        var placed = Placed(agents);
        Assert.Equal("a: noisy", Text(Choose(new WaitingPod(Pod("p", 10, 100, spec: apart)), agents, placed)));
        Assert.Equal(2, placed.Count);
    }

    /// <summary>Random worlds: what goes is of lower priority, makes enough room, and no more than that; where nothing goes, all of them would not do.</summary>
    [Fact]
    public void Victims_are_necessary_and_sufficient()
    {
        var (found, nothing, broken) = (0, 0, 0);
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var agents = Enumerable.Range(0, random.Next(1, 6)).Select(i => Agent($"n{i}", random.Next(4) * 100,
                [.. Enumerable.Range(0, random.Next(6)).Select(x => Held(Pod($"n{i}-{x}", random.Next(-2, 6), random.Next(1, 6) * 100, random.Next(2) == 0 ? "db" : "", random.Next(60)), random.Next(5) == 0))])).ToArray();
            var allowed = random.Next(3);
            var pod = Pod("p", random.Next(0, 6), random.Next(4, 16) * 100);
            var need = Demand.Of(pod.Spec).Total.Cpus;
            long Lower(CrowdedAgent agent) => agent.Holders.Where(x => x.Priority < pod.Spec.Priority && !x.IsLeaving).Sum(x => x.Taken.Cpus);
            var preemption = Choose(pod, agents, Budget("db", allowed));
            if (preemption is null)
            {
                Assert.All(agents, x => Assert.True(x.Slot.Free.Cpus + Lower(x) < need, $"seed {seed}: {x.Slot.AgentId} would do"));
                nothing++;
                continue;
            }
            var agent = agents.Single(x => x.Slot == preemption.Agent);
            var victims = preemption.Victims.Select(x => x.Holder).ToList();
            Assert.All(victims, x => Assert.True(agent.Holders.Contains(x) && x.Priority < pod.Spec.Priority && !x.IsLeaving));
            var room = agent.Slot.Free.Cpus + victims.Sum(x => x.Taken.Cpus);
            Assert.True(room >= need, $"seed {seed}: not enough goes");
            Assert.All(victims, x => Assert.True(room - x.Taken.Cpus < need, $"seed {seed}: {x.Pod.Name} goes in vain"));
            var overBudget = Math.Max(0, victims.Count(x => x.Pod.Metadata.Labels.ContainsKey("app")) - allowed);
            Assert.True(preemption.Victims.Count(x => x.Violates) >= overBudget, $"seed {seed}: a budget is broken in silence");
            broken += overBudget;
            if (victims.Count > 0) found++;
            else Assert.True(agent.Slot.Free.Cpus >= need);
        }
        Assert.True(found > 100 && nothing > 50 && broken > 10, $"{found} found, {nothing} not, {broken} over budget: the worlds are too easy or too hard to test anything");
    }

    [Fact]
    public void What_comes_free_is_kept_for_whom_it_is_made()
    {
        var slot = Agent("a", 500).Slot;
        var nominated = new WaitingPod(Pod("high", 10, 900)) { NominatedAgent = "a" };
        var matcher = new Matcher([slot], new Dictionary<string, AgentNode> { ["a"] = slot.Node }, new Random(1));
        Assert.Empty(matcher.Run([nominated, new WaitingPod(Pod("low", 0, 300))]).Matches);
        var other = Agent("a", 500).Slot;
        nominated.NominatedAgent = "b";
        Assert.Single(new Matcher([other], new Dictionary<string, AgentNode> { ["a"] = other.Node }, new Random(1)).Run([nominated, new WaitingPod(Pod("low", 0, 300))]).Matches);
    }
}
