using System.Diagnostics;
using System.Globalization;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Matching;

namespace Declarative.Bench.Placement;

/// <summary>The matcher alone: one round of many pods on many agents, by what the pods ask for.</summary>
internal static class MatcherBench
{
    /// <summary>Numbers of agents that show how the cost of a pod grows with them.</summary>
    private static readonly int[] Sizes = [100, 1_000, 5_000, 20_000];

    /// <summary>What the pods ask for beside room.</summary>
    private enum Mix
    {
        Plain,

        /// <summary>Half of them a nodeSelector, one in twenty a spread over zones.</summary>
        ZonesAndSelectors,

        /// <summary>Each of twenty classes: a spread over hosts and zones, and every fourth class anti-affinity to itself.</summary>
        HostSpreadAndAntiAffinity,

        /// <summary>Each of twenty classes: wishes to spread over zones and hosts; every fourth packs.</summary>
        SpreadWishes,

        /// <summary>Each of twenty classes wishes for hosts of a kind; half of them for a zone where their like is, half for a host where it is not.</summary>
        NeighbourWishes,

        /// <summary>A fifth each of all these.</summary>
        All,
    }

    public static void Run(int agents, int pods)
    {
        foreach (var mix in Enum.GetValues<Mix>()) Print($"matcher, {agents} agents, {mix}: {Round(agents, pods, mix)}");
    }

    /// <summary>The same number of pods on more and more agents.</summary>
    public static void RunSizes(int pods)
    {
        foreach (var mix in Enum.GetValues<Mix>())
        {
            foreach (var agents in Sizes)
            {
                var measured = Round(agents, pods, mix);
                Print($"matcher, {mix}, {agents} agents: {measured.MicrosecondsPerPod:0.0} µs CPU per pod, {measured.Looks:0.0} looks per pod");
            }
        }
    }

    private sealed record Measured(int Placed, int Pods, TimeSpan Took, TimeSpan Cpu, double Looks)
    {
        public double MicrosecondsPerPod => Cpu.TotalMicroseconds / Pods;

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Placed} of {Pods} pods placed in {Took.TotalMilliseconds:0} ms, {Pods / Cpu.TotalSeconds:0} per second of CPU, {Looks:0.0} looks per pod");
    }

    private static Measured Round(int agents, int pods, Mix mix)
    {
        var per = (pods + agents - 1) / agents + 1;
        var slots = Enumerable.Range(0, agents).Select(i => new AgentSlot($"S{i}", new($"agent-{i}", Labels(i)), new(per * 200, per * 64_000, 0), new PortSet((31000, 31000 + per * 2)))).ToList();
        var nodes = slots.ToDictionary(x => x.Node.Name, x => x.Node);
        var waiting = Enumerable.Range(0, pods).Select(i => new WaitingPod(Pod(i, mix is Mix.All ? (Mix)(i % 5) : mix))).ToList();
        GC.Collect();
        var (begin, cpu) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
        var matcher = new Matcher(slots, nodes, new Random(1));
        var result = matcher.Run(waiting);
        return new(result.Matches.Count, pods, Stopwatch.GetElapsedTime(begin), Environment.CpuUsage.TotalTime - cpu, (double)matcher.Looks / pods);
    }

    private static Dictionary<string, string> Labels(int i) => new() { ["zone"] = $"z{i % 10}", ["kubernetes.io/hostname"] = $"agent-{i}", ["disk"] = i % 3 == 0 ? "ssd" : "hdd" };

    private static Pod Pod(int i, Mix mix)
    {
        var of = i / 5 % 20; // 20 classes, each of them also where five mixes alternate
        var app = $"{mix}-{of}";
        LabelSelectorSpec own = new() { MatchLabels = new Dictionary<string, string> { ["app"] = app } };
        TopologySpreadConstraint Spread(string key, string otherwise, int skew = 1) => new() { MaxSkew = skew, TopologyKey = key, WhenUnsatisfiable = otherwise, LabelSelector = own };
        WeightedPodAffinityTerm Like(string key) => new() { Weight = 100, PodAffinityTerm = new() { TopologyKey = key, LabelSelector = own } };
        return new()
        {
            Metadata = new()
            {
                Name = $"web-{i}",
                Namespace = "default",
                Uid = $"u{i}",
                Labels = new Dictionary<string, string> { ["app"] = app },
                Annotations = mix is Mix.SpreadWishes && of % 4 == 0 ? new Dictionary<string, string> { [WaitingPod.PolicyAnnotation] = "pack" } : new Dictionary<string, string>(),
            },
            Spec = new()
            {
                Containers = [new() { Name = "web", Ports = [new() { Number = 80 }] }],
                NodeSelector = mix is Mix.ZonesAndSelectors && of % 2 == 0 ? new Dictionary<string, string> { ["zone"] = $"z{of % 10}" } : new Dictionary<string, string>(),
                TopologySpreadConstraints = mix switch
                {
                    Mix.ZonesAndSelectors when of == 1 => [Spread("zone", "DoNotSchedule", 5)],
                    Mix.HostSpreadAndAntiAffinity => [Spread("zone", "DoNotSchedule"), Spread("kubernetes.io/hostname", "DoNotSchedule")],
                    Mix.SpreadWishes => [Spread("zone", "ScheduleAnyway"), Spread("kubernetes.io/hostname", "ScheduleAnyway")],
                    _ => [],
                },
                Affinity = mix switch
                {
                    Mix.HostSpreadAndAntiAffinity when of % 4 == 0 => new() { PodAntiAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = [new() { TopologyKey = "kubernetes.io/hostname", LabelSelector = own }] } },
                    Mix.NeighbourWishes => new()
                    {
                        NodeAffinity = new() { PreferredDuringSchedulingIgnoredDuringExecution = [new() { Weight = 10, Preference = new() { MatchExpressions = [new() { Key = "disk", Operator = "In", Values = ["ssd"] }] } }] },
                        PodAffinity = of % 2 == 0 ? new() { PreferredDuringSchedulingIgnoredDuringExecution = [Like("zone")] } : null,
                        PodAntiAffinity = of % 2 == 1 ? new() { PreferredDuringSchedulingIgnoredDuringExecution = [Like("kubernetes.io/hostname")] } : null,
                    },
                    _ => null,
                },
            },
        };
    }

    private static void Print(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));
}
