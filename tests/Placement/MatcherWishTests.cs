using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Tasks;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>Wishes about neighbours, packing, gpus, and groups that go together.</summary>
public class MatcherWishTests
{
    private static readonly Dictionary<string, string> Web = new() { ["app"] = "web" };

    private static AgentSlot Agent(string name, long cpus = 8, string zone = "x", long gpus = 0) =>
        new(name, new(name, new Dictionary<string, string> { ["kubernetes.io/hostname"] = name, ["topology.kubernetes.io/zone"] = zone }), new(cpus * 1000, 8_000_000, 0, gpus * 1000), new PortSet((31000, 31099)));

    private static Pod Plain(string name, Dictionary<string, string>? labels = null, PodSpec? spec = null, Dictionary<string, string>? annotations = null, int cpus = 1, int gpus = 0) => new()
    {
        Metadata = new() { Name = name, Uid = name, Namespace = "default", Labels = labels ?? [], Annotations = annotations ?? [] },
        Spec = (spec ?? new()) with
        {
            Containers =
            [
                new()
                {
                    Name = "c",
                    Ports = [new() { Number = 80 }],
                    Resources = new() { Requests = new Dictionary<string, Quantity> { ["cpu"] = Quantity.FromUnits(cpus) }, Limits = gpus > 0 ? new Dictionary<string, Quantity> { ["nvidia.com/gpu"] = Quantity.FromUnits(gpus) } : new Dictionary<string, Quantity>() },
                },
            ],
        },
    };

    private static Matcher Matcher(AgentSlot[] agents, params (Pod Pod, string Node)[] placed)
    {
        var index = new PlacedPods();
        foreach (var (pod, node) in placed) index.Put(pod, node);
        return new(agents, agents.ToDictionary(x => x.Node.Name, x => x.Node), new Random(1), index);
    }

    private static string Places(MatchResult result) => string.Join(' ', result.Matches.Select(x => x.Agent.Node.Name));

    private static WaitingPod[] Many(int count, Func<int, Pod> pod) => [.. Enumerable.Range(0, count).Select(i => new WaitingPod(pod(i)))];

    private static PodAffinityTerm Term(string key) => new() { TopologyKey = key, LabelSelector = new() { MatchLabels = Web } };

    [Fact]
    public void A_spread_that_may_be_broken_is_kept_where_it_can_be()
    {
        var spec = new PodSpec { TopologySpreadConstraints = [new() { MaxSkew = 1, TopologyKey = "topology.kubernetes.io/zone", WhenUnsatisfiable = "ScheduleAnyway", LabelSelector = new() { MatchLabels = Web } }] };
        // Zone y has one small agent: without the wish the three big ones of zone x would be taken first.
        AgentSlot[] Agents() => [Agent("a"), Agent("b"), Agent("c"), Agent("d", cpus: 2, zone: "y")];
        Assert.Equal(2, Matcher(Agents()).Run(Many(6, i => Plain($"p{i}", Web, spec))).Matches.Take(4).Count(x => x.Agent.Node.Name == "d"));
        Assert.Equal(6, Matcher(Agents()).Run(Many(6, i => Plain($"p{i}", Web, spec))).Matches.Count);
        Assert.Equal("d", Places(Matcher(Agents(), (Plain("o", Web), "a")).Run(Many(1, i => Plain($"p{i}", Web, spec)))));
    }

    [Fact]
    public void Preferred_neighbours_draw_and_repel()
    {
        var near = new PodSpec { Affinity = new() { PodAffinity = new() { PreferredDuringSchedulingIgnoredDuringExecution = [new() { Weight = 100, PodAffinityTerm = Term("kubernetes.io/hostname") }] } } };
        var away = new PodSpec { Affinity = new() { PodAntiAffinity = new() { PreferredDuringSchedulingIgnoredDuringExecution = [new() { Weight = 100, PodAffinityTerm = Term("kubernetes.io/hostname") }] } } };
        AgentSlot[] Agents() => [Agent("a"), Agent("b", cpus: 4), Agent("c")];
        Assert.Equal("b b b", Places(Matcher(Agents(), (Plain("web", Web), "b")).Run(Many(3, i => Plain($"p{i}", spec: near)))));
        Assert.Equal("a c b a", Places(Matcher(Agents()).Run(Many(4, i => Plain($"p{i}", Web, away)))));
        // The first of its kind makes a place that the others of the round like.
        Assert.Equal("a a a", Places(Matcher(Agents()).Run(Many(3, i => Plain($"p{i}", Web, near)))));
    }

    [Fact]
    public void Who_packs_fills_one_agent_after_the_other()
    {
        var packs = new Dictionary<string, string> { [WaitingPod.PolicyAnnotation] = "pack" };
        AgentSlot[] Agents() => [Agent("a", cpus: 3), Agent("b", cpus: 3), Agent("c", cpus: 3)];
        Assert.Equal("a a a b b b c", Places(Matcher(Agents()).Run(Many(7, i => Plain($"p{i}", annotations: packs)))));
        Assert.Equal("a b c a b c a", Places(Matcher(Agents()).Run(Many(7, i => Plain($"p{i}")))));
        // Also behind pods of another class in the same round.
        var mixed = Many(1, i => Plain("big", cpus: 2)).Concat(Many(3, i => Plain($"p{i}", annotations: packs)));
        Assert.Equal("a a b b", Places(Matcher(Agents()).Run(mixed)));
    }

    [Fact]
    public void Gpus_are_counted_and_handed_on()
    {
        var result = Matcher([Agent("a"), Agent("b", gpus: 2)]).Run(Many(3, i => Plain($"p{i}", gpus: 1)));
        Assert.Equal("b b", Places(result));
        var refusal = Matcher([Agent("a"), Agent("b", gpus: 2)]).Explain(new(Plain("p", gpus: 3)));
        Assert.Equal("needs 3 gpus, b offers 2: 1 short", refusal.Nearest!.Reasons.Single().Text);
        var built = TaskBuilder.Build(result.Matches[0].Pod.Pod, new("S", "b", "127.0.0.1", 0, result.Matches[0].Ports));
        Assert.Equal(1, built.Operation!.Launch.TaskInfos[0].Resources.Single(x => x.Name == "gpus").Scalar.Value);
    }

    private static Pod Member(string name, string group, int size) =>
        Plain(name, new() { [Gang.Label] = group }, annotations: new() { [Gang.SizeAnnotation] = $"{size}" });

    [Fact]
    public void A_group_is_placed_as_a_whole_or_not_at_all()
    {
        var five = Many(5, i => Member($"x{i}", "x", 5));
        var three = Many(3, i => Member($"y{i}", "y", 3));
        var mixed = new[] { five[0], three[0], five[1], three[1], five[2], three[2], five[3], five[4] };
        var result = Matcher([Agent("a", cpus: 2), Agent("b", cpus: 2)]).Run(mixed);
        // Four places: the five hold none of them, so that the three have theirs.
        Assert.Equal(["y0", "y1", "y2"], result.Matches.Select(x => x.Pod.Pod.Name));
        Assert.Equal(5, result.Refused.Count);
        Assert.All(five, x => Assert.Equal("4 of the 5 pods of group x fit at once", x.GangRefusal!.Text));
        Assert.Equal(RefusalKind.Cpus, five[0].GangRefusal!.Next!.Nearest!.Reasons[0].Kind);
        Assert.Equal(3, result.Matches.Select(x => $"{x.Agent.AgentId}:{x.Ports["c/80"]}").Distinct().Count());
        Assert.All(three, x => Assert.Null(x.GangRefusal));

        var incomplete = Many(2, i => Member($"z{i}", "z", 3));
        Assert.Empty(Matcher([Agent("a")]).Run(incomplete).Matches);
        Assert.Equal("group z has 2 of 3 pods", incomplete[0].GangRefusal!.Text);
        // One of them stands already: two more make the group.
        Assert.Equal(2, Matcher([Agent("a")], (Member("z9", "z", 3), "a")).Run(incomplete).Matches.Count);
    }

    /// <summary>Random rounds: of each group none or enough, and no agent gives more than it has.</summary>
    [Fact]
    public void No_round_ends_with_a_part_of_a_group()
    {
        var (whole, none) = (0, 0);
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var agents = Enumerable.Range(0, random.Next(1, 5)).Select(i => Agent($"n{i}", cpus: random.Next(1, 5))).ToArray();
            var pods = Enumerable.Range(0, 4).SelectMany(g =>
            {
                var size = random.Next(1, 6);
                return Enumerable.Range(0, size + random.Next(2)).Select(i => g == 0 ? Plain($"s{i}") : Member($"g{g}-{i}", $"g{g}", size));
            }).OrderBy(_ => random.Next()).Select(x => new WaitingPod(x)).ToList();
            var result = Matcher(agents).Run(pods);
            Assert.Equal(pods.Count, result.Matches.Count + result.Refused.Count);
            Assert.All(agents, x => Assert.True(x.Free is { Cpus: >= 0, Mem: >= 0 }));
            foreach (var gang in pods.Where(x => x.Gang is not null).GroupBy(x => x.Gang!))
            {
                var placed = result.Matches.Count(x => x.Pod.Gang == gang.Key);
                Assert.True(placed == 0 || placed >= gang.Key.Size, $"seed {seed}: {placed} of {gang.Key}");
                if (placed > 0) whole++;
                else none++;
            }
        }
        Assert.True(whole > 100 && none > 100, $"{whole} placed, {none} not: the rounds are too easy or too hard to test anything");
    }
}
