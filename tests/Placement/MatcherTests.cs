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

    private static MatchResult Run(AgentSlot[] agents, params WaitingPod[] pods) => new Matcher(agents, [], [], new Random(1)).Run(pods);

    private static string Why(AgentSlot agent, WaitingPod pod) => string.Join("; ", new Matcher([agent], [], [], new Random(1)).Explain(pod).Agents[0].Reasons.Select(x => x.Text));

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
        var refusal = new Matcher([Agent("far", cpus: 0.1), Agent("near", cpus: 1.9), Agent("cordoned", cpus: 1, unschedulable: true)], [], [], new Random(1)).Explain(Pod("p", "2"));
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
        var placed = new PlacedPod(Pod("w", labels: web).Pod, "b");
        Assert.Equal("b", Assert.Single(new Matcher(agents, [placed], [], new Random(1)).Run([Pod("p", spec: spec)]).Matches).Agent.Node.Name);
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
}
