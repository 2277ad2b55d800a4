using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Matching;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>
/// The matcher against a model that scores every agent for every pod: the same agent for each, whatever hard rules, wishes, preferences and
/// policies the pods of a round have.
/// </summary>
public class MatcherModelTests
{
    private static readonly string[] Apps = ["db", "web", "log"];
    private static readonly string[] Keys = ["zone", "rack", "kubernetes.io/hostname"];

    [Fact]
    public void Every_pod_goes_where_a_search_of_all_agents_would_put_it()
    {
        var (placements, refusals, wished) = (0, 0, 0);
        for (var seed = 0; seed < 120; seed++)
        {
            var random = new Random(seed);
            var agents = Enumerable.Range(0, random.Next(2, 40)).Select(i => Agent(i, random)).ToArray();
            var specs = Enumerable.Range(0, 4).Select(_ => Spec(random)).ToArray();
            var standing = Enumerable.Range(0, random.Next(6)).Select(i => (Pod: Pod($"old{i}", random, specs), Node: agents[random.Next(agents.Length)].Node)).ToArray();
            var waiting = Enumerable.Range(0, 60).Select(i => new WaitingPod(Pod($"p{i}", random, specs))).ToArray();
            var model = new Model(agents, standing);
            var index = new PlacedPods();
            foreach (var (pod, node) in standing) index.Put(pod, node.Name);
            var matches = new Matcher([.. agents.Select(x => x.Clone())], agents.ToDictionary(x => x.Node.Name, x => x.Node), new Random(1), index).Run(waiting).Matches.ToDictionary(x => x.Pod.Pod.Name, x => x.Agent.AgentId);
            foreach (var pod in waiting)
            {
                var (expected, runnerUp) = model.Place(pod);
                Assert.True(matches.GetValueOrDefault(pod.Pod.Name) == expected, $"seed {seed}: {pod.Pod.Name} ({pod.Class}) went to {matches.GetValueOrDefault(pod.Pod.Name) ?? "nowhere"}, not to {expected ?? "nowhere"}");
                if (expected is null) refusals++;
                else placements++;
                if (runnerUp) wished++;
            }
        }
        Assert.True(placements > 2_000 && refusals > 500 && wished > 500, $"{placements} placements, {refusals} refusals, {wished} decided by wishes: the worlds are too easy or too hard to test anything");
    }

    /// <summary>What a pod with wishes costs is counted in branches looked at: it must not follow the number of agents.</summary>
    [Theory]
    [InlineData("zone", false)]
    [InlineData("kubernetes.io/hostname", false)]
    [InlineData("zone", true)]
    public void A_pod_with_wishes_looks_at_a_few_agents_however_many_there_are(string key, bool near)
    {
        Dictionary<string, string> web = new() { ["app"] = "web" };
        LabelSelectorSpec own = new() { MatchLabels = web };
        var spec = near
            ? new PodSpec { Affinity = new() { PodAffinity = new() { PreferredDuringSchedulingIgnoredDuringExecution = [new() { Weight = 100, PodAffinityTerm = new() { TopologyKey = key, LabelSelector = own } }] } } }
            : new PodSpec { TopologySpreadConstraints = [new() { MaxSkew = 1, TopologyKey = key, WhenUnsatisfiable = "ScheduleAnyway", LabelSelector = own }] };
        Assert.InRange(Looks(90), 1, 12);
        Assert.InRange(Looks(1_800), 1, 12);

        long Looks(int count)
        {
            var agents = Enumerable.Range(0, count).Select(i => new AgentSlot($"n{i}", new($"n{i}", new Dictionary<string, string> { ["kubernetes.io/hostname"] = $"n{i}", ["zone"] = $"z{i % 3}" }), new(2_000, 2_000_000, 0), new PortSet((31000, 31009)))).ToArray();
            var pods = Enumerable.Range(0, 2 * count).Select(i => new WaitingPod(new Pod { Metadata = new() { Name = $"p{i}", Uid = $"p{i}", Namespace = "default", Labels = web }, Spec = spec with { Containers = [new() { Name = "c" }] } }));
            var matcher = new Matcher(agents, agents.ToDictionary(x => x.Node.Name, x => x.Node), new Random(1));
            Assert.Equal(2 * count, matcher.Run(pods).Matches.Count);
            return matcher.Looks / (2 * count);
        }
    }

    private static AgentSlot Agent(int i, Random random)
    {
        var labels = new Dictionary<string, string> { ["kubernetes.io/hostname"] = $"n{i}", ["rack"] = $"r{random.Next(8)}" };
        if (random.Next(8) > 0) labels["zone"] = $"z{random.Next(3)}";
        if (random.Next(3) == 0) labels["disk"] = "ssd";
        Taint[] taints = random.Next(10) == 0 ? [new() { Key = "old", Effect = "PreferNoSchedule" }] : [];
        return new($"id-{i}", new($"n{i}", labels) { Taints = taints, Unschedulable = random.Next(12) == 0 }, new(random.Next(1, 6) * 200, 1_000_000, 0), new PortSet((31000, 31009))) { Offered = random.Next(6) > 0 };
    }

    private static Pod Pod(string name, Random random, PodSpec[] specs) => new()
    {
        Metadata = new()
        {
            Name = name,
            Uid = name,
            Namespace = "default",
            Labels = new Dictionary<string, string> { ["app"] = Apps[random.Next(Apps.Length)] },
            Annotations = random.Next(4) == 0 ? new Dictionary<string, string> { [WaitingPod.PolicyAnnotation] = "pack" } : new Dictionary<string, string>(),
        },
        Spec = specs[random.Next(specs.Length)],
    };

    private static PodSpec Spec(Random random)
    {
        LabelSelectorSpec Selector() => new() { MatchLabels = new Dictionary<string, string> { ["app"] = Apps[random.Next(Apps.Length)] } };
        PodAffinityTerm Term() => new() { TopologyKey = Keys[random.Next(3)], LabelSelector = Selector() };
        PodAffinityTerm[] Hard(int chance) => random.Next(chance) > 0 ? [] : [Term()];
        WeightedPodAffinityTerm[] Soft(int chance) => random.Next(chance) > 0 ? [] : [new() { Weight = random.Next(1, 101), PodAffinityTerm = Term() }];
        NodeAffinity? liked = random.Next(3) > 0 ? null : new() { PreferredDuringSchedulingIgnoredDuringExecution = [new() { Weight = 1, Preference = new() { MatchExpressions = [new() { Key = "disk", Operator = "Exists" }] } }] };
        return new()
        {
            Containers = [new() { Name = "c", Resources = new() { Requests = new Dictionary<string, Quantity> { ["cpu"] = Quantity.Parse(random.Next(2) == 0 ? "100m" : "250m") } } }],
            NodeSelector = random.Next(8) == 0 ? new Dictionary<string, string> { ["disk"] = "ssd" } : new Dictionary<string, string>(),
            Affinity = new()
            {
                NodeAffinity = liked,
                PodAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = Hard(6), PreferredDuringSchedulingIgnoredDuringExecution = Soft(2) },
                PodAntiAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = Hard(5), PreferredDuringSchedulingIgnoredDuringExecution = Soft(2) },
            },
            TopologySpreadConstraints = [.. Enumerable.Range(0, random.Next(3)).Select(_ => new TopologySpreadConstraint { MaxSkew = random.Next(1, 3), TopologyKey = Keys[random.Next(3)], LabelSelector = Selector(), WhenUnsatisfiable = random.Next(2) == 0 ? "ScheduleAnyway" : "DoNotSchedule" })],
        };
    }

    /// <summary>Counts pods one by one and looks at every agent.</summary>
    private sealed class Model(AgentSlot[] agents, (Pod Pod, AgentNode Node)[] standing)
    {
        private readonly AgentSlot[] _agents = [.. agents.Select(x => x.Clone())];
        private readonly List<(Pod Pod, AgentNode Node)> _stands = [.. standing];

        /// <summary>The agent's id, null where none will do; and whether without wishes it would have been another.</summary>
        public (string? Agent, bool ByWishes) Place(WaitingPod pod)
        {
            var fits = _agents.Select((Slot, Index) => (Slot, Index)).Where(x => !AgentFilter.Fixed(pod, x.Slot).Any() && AgentFilter.Fits(pod, x.Slot) && MatcherTests.Holds(pod.Pod, x.Slot.Node, _agents, _stands)).ToList();
            if (fits.Count == 0) return (null, false);
            var (best, _) = fits.MinBy(x => (Score(pod, x.Slot) + Wishes(pod.Pod, x.Slot.Node), Pods(pod, x.Slot), x.Index));
            var (plain, _) = fits.MinBy(x => (Score(pod, x.Slot), Pods(pod, x.Slot), x.Index));
            best.Free -= pod.Demand.Total;
            best.Pods++;
            _stands.Add((pod.Pod, best.Node));
            return (best.AgentId, best != plain);
        }

        private static int Pods(WaitingPod pod, AgentSlot slot) => pod.Packs ? -slot.Pods : slot.Pods;

        private static long Score(WaitingPod pod, AgentSlot slot)
        {
            var load = slot.LoadWith(pod.Demand.Total);
            return (pod.Packs ? -load : load) - Declarative.Controllers.Placement.Matching.Score.Of(2 * AgentFilter.Preference(pod, slot.Node));
        }

        private long Wishes(Pod pod, AgentNode node)
        {
            var sum = 0L;
            foreach (var constraint in pod.Spec.TopologySpreadConstraints.Where(x => x.WhenUnsatisfiable == "ScheduleAnyway")) sum += Step(2.0 / constraint.MaxSkew) * Selected(constraint.TopologyKey, constraint.LabelSelector!, node, orAll: true);
            foreach (var term in pod.Spec.Affinity!.PodAntiAffinity!.PreferredDuringSchedulingIgnoredDuringExecution) sum += Step(2 * term.Weight / 100.0) * Selected(term.PodAffinityTerm.TopologyKey, term.PodAffinityTerm.LabelSelector!, node, orAll: true);
            foreach (var term in pod.Spec.Affinity.PodAffinity!.PreferredDuringSchedulingIgnoredDuringExecution) sum -= Step(2 * term.Weight / 100.0) * Math.Min(1, Selected(term.PodAffinityTerm.TopologyKey, term.PodAffinityTerm.LabelSelector!, node, orAll: false));
            return sum;
        }

        private static long Step(double weight) => Declarative.Controllers.Placement.Matching.Score.Of(weight);

        private int Selected(string key, LabelSelectorSpec selector, AgentNode node, bool orAll)
        {
            var domain = node.Labels.GetValueOrDefault(key);
            if (domain is null && !orAll) return 0;
            return _stands.Count(x => x.Node.Labels.TryGetValue(key, out var value) && (domain is null || value == domain) && selector.ToSelector().Matches(x.Pod.Metadata.Labels));
        }
    }
}
