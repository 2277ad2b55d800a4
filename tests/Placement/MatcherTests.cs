using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement;
using Declarative.Controllers.Placement.Matching;
using Xunit;

namespace Declarative.Tests.Placement;

public class MatcherTests
{
    private static AgentSlot Agent(string name, double cpus = 2, double mem = 1024, (int, int)? ports = null, Dictionary<string, string>? labels = null, Taint[]? taints = null, bool unschedulable = false, bool images = true, bool offered = true)
    {
        labels ??= [];
        labels["kubernetes.io/hostname"] = name;
        return new($"id-{name}", new(name, labels) { Taints = taints ?? [], Unschedulable = unschedulable, RunsImages = images }, new((long)(cpus * 1000), (long)(mem * 1000), 0), new PortSet(ports ?? (31000, 31009))) { Offered = offered };
    }

    private static WaitingPod Pod(string name, string cpu = "100m", PodSpec? spec = null, int hostPort = 0, int ports = 0, string image = "", Dictionary<string, string>? labels = null) => new(new()
    {
        Metadata = new() { Name = name, Uid = name, Namespace = "default", Labels = labels ?? [] },
        Spec = (spec ?? new()) with
        {
            Containers =
            [
                new()
                {
                    Name = "c",
                    Image = image,
                    Resources = new() { Requests = new Dictionary<string, Quantity> { ["cpu"] = Quantity.Parse(cpu) } },
                    Ports = hostPort > 0 ? [new() { Number = 80, HostPort = hostPort }] : [.. Enumerable.Range(0, ports).Select(x => new ContainerPort { Number = 80 + x })],
                },
            ],
        },
    });

    private static Matcher Matcher(AgentSlot[] agents, params (WaitingPod Pod, string Node)[] placed)
    {
        var index = new PlacedPods();
        foreach (var (pod, node) in placed) index.Put(pod.Pod, node);
        return new(agents, agents.ToDictionary(x => x.Node.Name, x => x.Node), new Random(1), index);
    }

    private static MatchResult Run(AgentSlot[] agents, params WaitingPod[] pods) => Matcher(agents).Run(pods);

    private static string Why(AgentSlot agent, WaitingPod pod) => string.Join("; ", Matcher([agent]).Explain(pod).Agents[0].Reasons.Select(x => x.Text));

    [Fact]
    public void The_least_loaded_agent_is_taken_first()
    {
        var result = Run([Agent("a"), Agent("b"), Agent("c")], [.. Enumerable.Range(0, 6).Select(x => Pod($"p{x}"))]);
        Assert.Equal(["a", "b", "c", "a", "b", "c"], result.Matches.Select(x => x.Agent.Node.Name));
    }

    [Fact]
    public void What_is_taken_is_never_more_than_what_is_offered()
    {
        AgentSlot[] agents = [Agent("a"), Agent("b", cpus: 1)];
        var result = Run(agents, [.. Enumerable.Range(0, 20).Select(x => Pod($"p{x}", "500m"))]);
        Assert.Equal(6, result.Matches.Count);
        Assert.Equal(14, result.Refused.Count);
        Assert.All(agents, x => Assert.True(x.Free is { Cpus: >= 0, Mem: >= 0 }));
    }

    [Fact]
    public void Ports_are_each_given_once()
    {
        var result = Run([Agent("a")], [.. Enumerable.Range(0, 6).Select(x => Pod($"p{x}", ports: 2))]);
        Assert.Equal(5, result.Matches.Count);
        var given = result.Matches.SelectMany(x => x.Ports.Values).ToList();
        Assert.Equal(10, given.Distinct().Count());
        Assert.All(given, x => Assert.InRange(x, 31000, 31009));
        Assert.Equal(["c/80", "c/81"], result.Matches[0].Ports.Keys);
    }

    [Fact]
    public void A_host_port_is_taken_exactly_or_not_at_all()
    {
        var result = Run([Agent("a")], Pod("p", hostPort: 31005), Pod("q", hostPort: 31005), Pod("r", hostPort: 80));
        Assert.Equal(31005, Assert.Single(result.Matches).Ports["c/80"]);
        Assert.Contains("hostPort 80 is not offered by a (free: 31000-31009)", Why(Agent("a"), Pod("r", hostPort: 80)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_refusal_names_numbers_and_every_reason()
    {
        var why = Why(Agent("a", cpus: 0.7, labels: new() { ["disk"] = "hdd" }, taints: [new() { Key = "gpu", Value = "yes", Effect = "NoSchedule" }], unschedulable: true, images: false),
            Pod("p", "2", new() { NodeSelector = new Dictionary<string, string> { ["disk"] = "ssd" } }, image: "nginx"));
        Assert.Equal("a is cordoned; a has taint gpu=yes:NoSchedule; nodeSelector asks for disk=ssd, a has disk=hdd; a runs no images (the pod asks for nginx); needs 2 cpus, a offers 0.7: 1.3 short", why);
    }

    [Fact]
    public void The_nearest_miss_comes_first()
    {
        var refusal = Matcher([Agent("far", cpus: 0.1), Agent("near", cpus: 1.9), Agent("cordoned", cpus: 1, unschedulable: true)]).Explain(Pod("p", "2"));
        Assert.Equal(["near", "far", "cordoned"], refusal.Agents.Select(x => x.Agent));
        Assert.Equal("0/3 agents fit: 3 have too few cpus, 1 are cordoned; nearest near: needs 2 cpus, near offers 1.9: 0.1 short", Declarative.Controllers.Placement.Why.Summary(refusal));
    }

    [Fact]
    public void Taints_are_tolerated_by_key_value_and_effect()
    {
        Taint[] taints = [new() { Key = "gpu", Value = "yes", Effect = "NoSchedule" }];
        Assert.Single(Run([Agent("a", taints: taints)], Pod("p", spec: new() { Tolerations = [new() { Key = "gpu", Value = "yes" }] })).Matches);
        Assert.Empty(Run([Agent("a", taints: taints)], Pod("p", spec: new() { Tolerations = [new() { Key = "gpu", Value = "no" }] })).Matches);
        Assert.Single(Run([Agent("a", taints: taints)], Pod("p", spec: new() { Tolerations = [new() { Operator = "Exists" }] })).Matches);
    }

    [Fact]
    public void Required_and_preferred_node_affinity()
    {
        var zoneB = new NodeSelectorTerm { MatchExpressions = [new() { Key = "zone", Operator = "In", Values = ["b"] }] };
        AgentSlot[] Agents() => [Agent("a", labels: new() { ["zone"] = "a" }), Agent("b", cpus: 1, labels: new() { ["zone"] = "b" })];
        var required = new PodSpec { Affinity = new() { NodeAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = new() { NodeSelectorTerms = [zoneB] } } } };
        var preferred = new PodSpec { Affinity = new() { NodeAffinity = new() { PreferredDuringSchedulingIgnoredDuringExecution = [new() { Weight = 1, Preference = zoneB }] } } };
        Assert.Equal(["b"], Run(Agents(), Pod("p", "700m", required), Pod("q", "700m", required)).Matches.Select(x => x.Agent.Node.Name));
        Assert.Equal(["b", "a"], Run(Agents(), Pod("p", "700m", preferred), Pod("q", "700m", preferred)).Matches.Select(x => x.Agent.Node.Name));
    }

    [Fact]
    public void Anti_affinity_keeps_pods_apart_in_both_directions()
    {
        var labels = new Dictionary<string, string> { ["app"] = "db" };
        var term = new PodAffinityTerm { TopologyKey = "kubernetes.io/hostname", LabelSelector = new() { MatchLabels = labels } };
        var spec = new PodSpec { Affinity = new() { PodAntiAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = [term] } } };
        var result = Run([Agent("a"), Agent("b")], Pod("p", spec: spec, labels: labels), Pod("q", spec: spec, labels: labels), Pod("r", spec: spec, labels: labels), Pod("s", labels: labels), Pod("t"));
        Assert.Equal(["p", "q", "t"], result.Matches.Select(x => x.Pod.Pod.Name));
        Assert.NotEqual(result.Matches[0].Agent, result.Matches[1].Agent);
    }

    [Fact]
    public void Affinity_goes_where_its_pods_are()
    {
        var web = new Dictionary<string, string> { ["app"] = "web" };
        var spec = new PodSpec { Affinity = new() { PodAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = [new() { TopologyKey = "kubernetes.io/hostname", LabelSelector = new() { MatchLabels = web } }] } } };
        AgentSlot[] agents = [Agent("a"), Agent("b", cpus: 1)];
        Assert.Equal("b", Assert.Single(Matcher(agents, (Pod("w", labels: web), "b")).Run([Pod("p", spec: spec)]).Matches).Agent.Node.Name);
        Assert.Empty(Run([Agent("a")], Pod("p", spec: spec)).Matches);
    }

    [Fact]
    public void Topology_spread_keeps_the_skew()
    {
        var labels = new Dictionary<string, string> { ["app"] = "web" };
        var spec = new PodSpec { TopologySpreadConstraints = [new() { MaxSkew = 1, TopologyKey = "zone", LabelSelector = new() { MatchLabels = labels } }] };
        AgentSlot[] agents = [Agent("a", cpus: 8, labels: new() { ["zone"] = "x" }), Agent("b", cpus: 0.2, labels: new() { ["zone"] = "y" })];
        var result = Run(agents, [.. Enumerable.Range(0, 6).Select(x => Pod($"p{x}", spec: spec, labels: labels))]);
        Assert.Equal(3, result.Matches.Count(x => x.Agent.Node.Name == "a"));
        Assert.Equal(2, result.Matches.Count(x => x.Agent.Node.Name == "b"));
    }

    private static readonly Dictionary<string, string> Db = new() { ["app"] = "db" };

    private static PodSpec Apart(string key = "kubernetes.io/hostname") =>
        new() { Affinity = new() { PodAntiAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = [new() { TopologyKey = key, LabelSelector = new() { MatchLabels = Db } }] } } };

    [Fact]
    public void Pods_on_agents_that_offer_nothing_keep_their_zone_to_themselves()
    {
        AgentSlot[] Agents() => [Agent("a", labels: new() { ["zone"] = "x" }, offered: false), Agent("b", labels: new() { ["zone"] = "x" }), Agent("c", labels: new() { ["zone"] = "y" })];
        var pods = new[] { Pod("p", spec: Apart("zone"), labels: Db), Pod("q", spec: Apart("zone"), labels: Db) };
        var own = Matcher(Agents(), (Pod("o", labels: Db), "a"));
        Assert.Equal(["c"], own.Run(pods).Matches.Select(x => x.Agent.Node.Name));
        Assert.Equal("0/3 agents fit: 3 have a pod to stay away from, 1 offer nothing now; nearest b: anti-affinity: a pod that must not be near is in zone=x", Declarative.Controllers.Placement.Why.Summary(own.Explain(pods[1])));
        // The other direction: the pod that stands there wants to be alone.
        Assert.Equal(["c"], Matcher(Agents(), (Pod("o", spec: Apart("zone")), "a")).Run([Pod("p", labels: Db)]).Matches.Select(x => x.Agent.Node.Name));
    }

    [Fact]
    public void A_spread_counts_domains_that_offer_nothing_but_not_those_the_pod_may_not_go_to()
    {
        var spec = new PodSpec { TopologySpreadConstraints = [new() { MaxSkew = 1, TopologyKey = "zone", LabelSelector = new() { MatchLabels = Db } }] };
        AgentSlot[] Agents() => [Agent("a", labels: new() { ["zone"] = "x", ["disk"] = "ssd" }), Agent("b", labels: new() { ["zone"] = "y", ["disk"] = "hdd" }, offered: false)];
        WaitingPod[] Pods(PodSpec of) => [.. Enumerable.Range(0, 3).Select(x => Pod($"p{x}", spec: of, labels: Db))];
        var matcher = Matcher(Agents());
        Assert.Single(matcher.Run(Pods(spec)).Matches);
        Assert.Equal("topology spread: zone=x would have 2 more than the least (0), at most 1", matcher.Explain(Pods(spec)[0]).Agents[0].Reasons[0].Text);
        Assert.Equal(3, Matcher(Agents()).Run(Pods(spec with { NodeSelector = new Dictionary<string, string> { ["disk"] = "ssd" } })).Matches.Count);
    }

    [Fact]
    public void A_pod_that_has_its_node_is_judged_by_room_alone()
    {
        var bound = Apart() with { NodeName = "a", NodeSelector = new Dictionary<string, string> { ["disk"] = "ssd" } };
        var again = new WaitingPod(Pod("p", spec: bound, labels: Db).Pod, "id-a");
        AgentSlot[] agents = [Agent("a", unschedulable: true), Agent("b")];
        Assert.Equal("a", Assert.Single(Matcher(agents, (again, "a"), (Pod("q", labels: Db), "a")).Run([again])!.Matches).Agent.Node.Name);
    }

    /// <summary>
    /// Random worlds against a plain reading of the rules: every placement holds when it is made, and a pod is refused only where no offered
    /// agent would do.
    /// </summary>
    [Fact]
    public void Placements_and_refusals_agree_with_the_rules_read_one_by_one()
    {
        string[] apps = ["db", "web", "log"];
        var placements = 0;
        var refusals = 0;
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var agents = Enumerable.Range(0, random.Next(2, 9)).Select(i =>
            {
                var labels = new Dictionary<string, string> { ["rack"] = $"r{random.Next(4)}" };
                if (random.Next(8) > 0) labels["zone"] = $"z{random.Next(3)}";
                return Agent($"n{i}", cpus: random.Next(1, 4) * 0.3, labels: labels, offered: random.Next(4) > 0);
            }).ToArray();
            var specs = Enumerable.Range(0, 4).Select(_ => RandomSpec(random, apps)).ToArray();
            WaitingPod RandomPod(string name) => Pod(name, spec: specs[random.Next(specs.Length)], labels: new() { ["app"] = apps[random.Next(apps.Length)] });
            var placed = Enumerable.Range(0, random.Next(4)).Select(i => (RandomPod($"old{i}"), $"n{random.Next(agents.Length)}")).ToArray();
            var waiting = Enumerable.Range(0, 12).Select(i => RandomPod($"p{i}")).ToArray();
            var free = agents.ToDictionary(x => x.AgentId, x => x.Free);
            var matches = Matcher(agents, placed).Run(waiting).Matches.ToDictionary(x => x.Pod.Pod.Name);
            var stands = placed.Select(x => (x.Item1.Pod, Node: Array.Find(agents, y => y.Node.Name == x.Item2)!.Node)).ToList();
            foreach (var pod in waiting)
            {
                var fits = agents.Where(x => x.Offered && free[x.AgentId].Covers(pod.Demand.Total) && Holds(pod.Pod, x.Node, agents, stands)).ToList();
                if (!matches.TryGetValue(pod.Pod.Name, out var match))
                {
                    Assert.True(fits.Count == 0, $"seed {seed}: {pod.Pod.Name} would fit {string.Join(", ", fits.Select(x => x.Node.Name))}");
                    refusals++;
                    continue;
                }
                Assert.True(fits.Contains(match.Agent), $"seed {seed}: {pod.Pod.Name} may not stand on {match.Agent.Node.Name}");
                free[match.Agent.AgentId] -= pod.Demand.Total;
                stands.Add((pod.Pod, match.Agent.Node));
                placements++;
            }
        }
        Assert.True(placements > 500 && refusals > 500, $"{placements} placements, {refusals} refusals: the worlds are too easy or too hard to test anything");
    }

    private static PodSpec RandomSpec(Random random, string[] apps)
    {
        string[] keys = ["zone", "rack", "kubernetes.io/hostname"];
        LabelSelectorSpec Selector() => new() { MatchLabels = new Dictionary<string, string> { ["app"] = apps[random.Next(apps.Length)] } };
        PodAffinityTerm[] Terms(int chance) => random.Next(chance) > 0 ? [] : [new() { TopologyKey = keys[random.Next(3)], LabelSelector = Selector() }];
        return new()
        {
            Affinity = new() { PodAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = Terms(4) }, PodAntiAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = Terms(3) } },
            TopologySpreadConstraints = [.. Enumerable.Range(0, random.Next(3)).Select(_ => new TopologySpreadConstraint { MaxSkew = random.Next(1, 3), TopologyKey = keys[random.Next(3)], LabelSelector = Selector() })],
        };
    }

    /// <summary>The hard rules about neighbours, read one by one. Domains of a spread are those of all nodes that the pod may go to.</summary>
    internal static bool Holds(Pod pod, AgentNode node, AgentSlot[] agents, List<(Pod Pod, AgentNode Node)> stands)
    {
        static bool Selected(PodAffinityTerm term, Pod by) => term.LabelSelector!.ToSelector().Matches(by.Metadata.Labels);
        static bool Together(string key, AgentNode a, AgentNode b) => a.Labels.TryGetValue(key, out var x) && b.Labels.TryGetValue(key, out var y) && x == y;
        foreach (var term in pod.Spec.Affinity!.PodAntiAffinity!.RequiredDuringSchedulingIgnoredDuringExecution)
        {
            if (stands.Exists(x => Selected(term, x.Pod) && Together(term.TopologyKey, x.Node, node))) return false;
        }
        foreach (var other in stands)
        {
            if (other.Pod.Spec.Affinity!.PodAntiAffinity!.RequiredDuringSchedulingIgnoredDuringExecution.Any(x => Selected(x, pod) && Together(x.TopologyKey, other.Node, node))) return false;
        }
        foreach (var term in pod.Spec.Affinity.PodAffinity!.RequiredDuringSchedulingIgnoredDuringExecution)
        {
            if (!node.Labels.ContainsKey(term.TopologyKey)) return false;
            var matching = stands.Where(x => Selected(term, x.Pod) && x.Node.Labels.ContainsKey(term.TopologyKey)).ToList();
            if (matching.Count == 0 ? !Selected(term, pod) : !matching.Exists(x => Together(term.TopologyKey, x.Node, node))) return false;
        }
        foreach (var constraint in pod.Spec.TopologySpreadConstraints.Where(x => x.WhenUnsatisfiable != "ScheduleAnyway"))
        {
            if (!node.Labels.TryGetValue(constraint.TopologyKey, out var here)) return false;
            var selector = constraint.LabelSelector!.ToSelector();
            int In(string domain) => stands.Count(x => x.Node.Labels.GetValueOrDefault(constraint.TopologyKey) == domain && selector.Matches(x.Pod.Metadata.Labels));
            var least = agents.Where(x => AgentFilter.Selects(pod.Spec, x.Node)).Select(x => x.Node.Labels.GetValueOrDefault(constraint.TopologyKey)).OfType<string>().Min(In);
            if (In(here) + (selector.Matches(pod.Metadata.Labels) ? 1 : 0) - least > constraint.MaxSkew) return false;
        }
        return true;
    }

    /// <summary>What a pod costs is counted in branches looked at: it must not follow the number of agents.</summary>
    [Theory]
    [InlineData("kubernetes.io/hostname", "")]
    [InlineData("zone", "")]
    [InlineData("zone", "kubernetes.io/hostname")]
    public void A_spread_pod_looks_at_a_few_agents_however_many_there_are(string first, string second)
    {
        long Looks(int count)
        {
            var agents = Enumerable.Range(0, count).Select(i => Agent($"n{i}", cpus: 4, labels: new() { ["zone"] = $"z{i % 3}" })).ToArray();
            var spec = new PodSpec { TopologySpreadConstraints = [.. new[] { first, second }.Where(x => x.Length > 0).Select(x => new TopologySpreadConstraint { MaxSkew = 1, TopologyKey = x, LabelSelector = new() { MatchLabels = Db } })] };
            var matcher = Matcher(agents);
            Assert.Equal(2 * count, matcher.Run(Enumerable.Range(0, 2 * count).Select(i => Pod($"p{i}", spec: spec, labels: Db))).Matches.Count);
            return matcher.Looks / (2 * count);
        }
        Assert.InRange(Looks(90), 1, 12);
        Assert.InRange(Looks(1_800), 1, 12);
    }

    [Fact]
    public void Classes_that_stay_apart_from_one_another_look_at_a_few_agents_too()
    {
        long Looks(int count)
        {
            var agents = Enumerable.Range(0, count).Select(i => Agent($"n{i}")).ToArray();
            var matcher = Matcher(agents);
            Assert.Equal(count, matcher.Run(Enumerable.Range(0, count).Select(i => Pod($"p{i}", i % 2 == 0 ? "100m" : "200m", Apart(), labels: Db))).Matches.Count);
            return matcher.Looks / count;
        }
        Assert.InRange(Looks(90), 1, 12);
        Assert.InRange(Looks(1_800), 1, 12);
    }
}
