using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Matching;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;

namespace Declarative.Controllers.Placement.Offers;

/// <summary>
/// Which offers are worth making in one role, as a master of Mesos 1.11 understands it: the least amounts, and what an agent's attributes must be.
/// It says less than the pods ask for where Mesos has no word for it, and never more: an agent that could be used is never hidden. Pure.
/// </summary>
/// <param name="Cpus">Thousandths; 0 = any.</param>
/// <param name="Mem">Thousandths of MiB; 0 = any.</param>
/// <param name="Groups">Any group will do, of a group all conditions: attribute name and a regular expression of its text, "" = it exists. Empty = any agent.</param>
internal sealed record OfferFilter(long Cpus, long Mem, IReadOnlyList<IReadOnlyList<(string Attribute, string Regex)>> Groups)
{
    /// <summary>Beyond so many kinds of waiting pods all agents are looked at.</summary>
    private const int GroupsMax = 20;

    /// <summary>
    /// A master takes expressions of at most 4 KB of memory and 100 instructions (its flags --offer_constraints_re2_max_mem and _max_program_size):
    /// the ends take about 40, each character one.
    /// </summary>
    private const int ValuesMax = 4;
    private const int CharsMax = 24;

    private const string AttributePrefix = "mesos/";

    public static OfferFilter None { get; } = new(0, 0, []);

    public bool IsNone => Cpus == 0 && Mem == 0 && Groups.Count == 0;

    /// <summary>Equal for equal filters.</summary>
    public string Key => $"{Cpus} {Mem} {string.Join('|', Groups.Select(x => string.Join('&', x.Select(y => $"{y.Attribute}~{y.Regex}"))))}";

    /// <param name="waiting">Every kind of pod that waits in the role, at least one.</param>
    public static OfferFilter Of(IReadOnlyCollection<WaitingPod> waiting)
    {
        var (cpus, mem) = (long.MaxValue, long.MaxValue);
        var groups = new Dictionary<string, IReadOnlyList<(string, string)>>(StringComparer.Ordinal);
        var anyAgent = false;
        foreach (var pod in waiting)
        {
            cpus = Math.Min(cpus, pod.Demand.Total.Cpus);
            mem = Math.Min(mem, pod.Demand.Total.Mem);
            if (anyAgent) continue;
            var ofPod = GroupsOf(pod);
            anyAgent = ofPod.Count == 0;
            foreach (var group in ofPod) groups.TryAdd(string.Join('&', group), group);
        }
        return new(cpus, mem, anyAgent || groups.Count > GroupsMax ? [] : [.. groups.OrderBy(x => x.Key, StringComparer.Ordinal).Select(x => x.Value)]);
    }

    public OfferFilters ToFilters()
    {
        var quantities = new OfferFilters.Types.ResourceQuantities();
        if (Cpus > 0) quantities.Quantities["cpus"] = new() { Value = Cpus / 1000.0 };
        if (Mem > 0) quantities.Quantities["mem"] = new() { Value = Mem / 1000.0 };
        var filters = new OfferFilters { MinAllocatableResources = new() };
        filters.MinAllocatableResources.Quantities.Add(quantities);
        return filters;
    }

    public OfferConstraints.Types.RoleConstraints ToConstraints()
    {
        var constraints = new OfferConstraints.Types.RoleConstraints();
        foreach (var group in Groups)
        {
            var made = new OfferConstraints.Types.RoleConstraints.Types.Group();
            foreach (var (attribute, regex) in group)
            {
                made.AttributeConstraints.Add(new AttributeConstraint
                {
                    Selector = new() { AttributeName = attribute },
                    Predicate = regex.Length == 0 ? new() { Exists = new() } : new() { TextMatches = new() { Regex = regex } },
                });
            }
            constraints.Groups.Add(made);
        }
        return constraints;
    }

    /// <summary>Empty: any agent may do.</summary>
    private static List<IReadOnlyList<(string, string)>> GroupsOf(WaitingPod pod)
    {
        // Where it has its place, labels are not asked any more.
        if (pod.IsBound || pod.PinnedAgent.Length > 0) return [];
        var always = new List<(string, string)>();
        foreach (var (key, value) in pod.Pod.Spec.NodeSelector)
        {
            if (AttributeOf(key) is { } attribute && RegexOf([value]) is { } regex) always.Add((attribute, regex));
        }
        if (pod.Pod.Spec.Affinity?.NodeAffinity?.RequiredDuringSchedulingIgnoredDuringExecution is not { NodeSelectorTerms: { Count: > 0 } terms }) return always.Count == 0 ? [] : [always];
        var groups = new List<IReadOnlyList<(string, string)>>();
        foreach (var term in terms)
        {
            List<(string, string)> group = [.. always];
            foreach (var x in term.MatchExpressions)
            {
                if (AttributeOf(x.Key) is not { } attribute) continue;
                if (x.Operator == "Exists") group.Add((attribute, ""));
                else if (x.Operator == "In" && RegexOf(x.Values) is { } regex) group.Add((attribute, regex));
            }
            if (group.Count == 0) return [];
            groups.Add(group);
        }
        return groups;
    }

    /// <summary>Labels under mesos/ bear the names of the attributes that they are made of, and nobody else sets them.</summary>
    private static string? AttributeOf(string label) => label.StartsWith(AttributePrefix, StringComparison.Ordinal) ? label[AttributePrefix.Length..] : null;

    /// <summary>All texts of which the label can be made: what no label may have stands there as _, and is gone at the ends. null: too much for a master.</summary>
    private static string? RegexOf(IReadOnlyList<string> values)
    {
        if (values.Count is 0 or > ValuesMax || values.Sum(x => x.Length) > CharsMax || values.Any(x => x.Contains('_'))) return null;
        return $"(?s:[^A-Za-z0-9]*(?:{string.Join('|', values.Select(Escaped))})[^A-Za-z0-9]*)";
    }

    private static string Escaped(string value) => value.Replace(".", "[.]", StringComparison.Ordinal);
}
