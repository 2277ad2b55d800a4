using Declarative.Controllers.Placement.Matching;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>Why a pod waits: its PodScheduled condition, an event and the annotation that <c>declarative why</c> shows.</summary>
internal sealed partial class PlacementDesk
{
    /// <summary>A pod that is placed within this time needs no explanation.</summary>
    private static readonly TimeSpan WhyAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan WhyEvery = TimeSpan.FromSeconds(10);

    /// <summary>Between two looks at all that wait.</summary>
    private static readonly TimeSpan ExplainEvery = TimeSpan.FromMilliseconds(100);

    /// <summary>Pods explained in one round, so that thousands of waiting pods do not hold up those that could go.</summary>
    private const int ExplainedMax = 50;

    /// <summary>When a pod of each class was last launched: while its like are, a pod that waits needs no explanation, but for one in a group.</summary>
    private readonly Dictionary<(string Role, string Class), DateTimeOffset> _launchedAt = [];

    /// <summary>A pod that has waited for so long is explained whatever is launched.</summary>
    private static readonly TimeSpan UnexplainedMax = TimeSpan.FromSeconds(10);

    /// <summary>Offers of what an agent has left come with the master's next allocation.</summary>
    private static readonly TimeSpan LaunchesPauseMax = TimeSpan.FromSeconds(3);

    private void Explain(DateTimeOffset now)
    {
        if (_explainDue is { } planned && planned > now) return;
        _explainDue = null;
        var explained = 0;
        DateTimeOffset? next = null;
        PodRecord? first = null;
        Dictionary<string, Explanation>? byClass = null;
        foreach (var record in _waiting)
        {
            if (record.WhyNext <= now && IsNext(record, now)) record.WhyNext = now + WhyAfter;
            if (record.WhyNext > now)
            {
                if (next is null || record.WhyNext < next) (next, first) = (record.WhyNext, record);
                continue;
            }
            if (explained++ >= ExplainedMax)
            {
                (next, first) = (now, record);
                break;
            }
            record.WhyNext = now + WhyEvery;
            var waiting = record.Waiting!;
            byClass ??= new(StringComparer.Ordinal);
            var key = $"{record.Role} {waiting.Class}";
            if (!byClass.TryGetValue(key, out var explanation))
            {
                byClass[key] = explanation = new(new Matcher(ExplainedSlots(record.Role, now), _nodesByName, _parts.Random, _placed).Explain(waiting));
            }
            Tell(record, explanation);
        }
        // Thousands that wait do not come of age one by one.
        if (first is not null && next is { } due) ExplainAt(first, due > now + ExplainEvery ? due : now + ExplainEvery);
    }

    private bool IsNext(PodRecord record, DateTimeOffset now) =>
        record.WaitingSince + UnexplainedMax > now && record.Waiting is { Gang: null } waiting
        && _launchedAt.TryGetValue((record.Role, waiting.Class), out var launched) && launched + LaunchesPauseMax > now;

    private void ExplainAt(PodRecord record, DateTimeOffset due)
    {
        _explainDue = due;
        _agenda.Add(record, due);
    }

    private DateTimeOffset? _explainDue;

    /// <summary>A refusal and its texts, which are made once for all pods of a class.</summary>
    private sealed class Explanation(Refusal refusal)
    {
        private readonly Lazy<string> _summary = new(() => Why.Summary(refusal));
        private readonly Lazy<string> _detail = new(() => Why.Detail(refusal));

        public Refusal Refusal => refusal;
        public string Summary => _summary.Value;
        public string Detail => _detail.Value;
    }

    private void Tell(PodRecord record, Explanation explanation)
    {
        var gang = record.Waiting?.GangRefusal;
        if (gang is null && explanation.Refusal.Nearest is { Reasons.Count: 0 }) return; // it fits there: its turn comes with the next round
        if (gang?.Next is { Agents.Count: > 0 } next) explanation = new(next); // with the others of the group in their places
        var summary = explanation.Summary;
        if (gang is not null) summary = gang.Next is null ? gang.Text : $"{gang.Text}; {summary}";
        if (record.Nominated.Length > 0) summary += $"; room is being made on {record.Nominated}: pods of lower priority leave it";
        var text = explanation.Detail;
        if (record.Unschedulable == summary && record.Why == text) return;
        if (record.Unschedulable != summary) Tell(record, warning: true, "FailedScheduling", summary);
        record.Unschedulable = record.Phase is LaunchPhase.None && record.Pod.Spec.NodeName.Length == 0 ? summary : null;
        record.Why = text;
        Count("refusals");
        Refresh(record);
    }

    /// <summary>All known agents: those with offers as they stand, the others by our own account of what runs there.</summary>
    private List<AgentSlot> ExplainedSlots(string role, DateTimeOffset now)
    {
        var slots = Slots(role, now);
        var offered = slots.Select(x => x.AgentId).ToHashSet(StringComparer.Ordinal);
        foreach (var (agent, node) in _nodes)
        {
            if (offered.Contains(agent)) continue;
            var ledger = Ledger(agent);
            slots.Add(new(agent, node, node.Allocatable - ledger.Taken, new PortSet()) { Offered = false, Pods = ledger.Pods });
        }
        return slots;
    }

    /// <summary>The change that the annotation needs in the next status write; null where it stands right.</summary>
    private static Dictionary<string, string?>? WhyAnnotation(PodRecord record)
    {
        var stored = record.Pod.Metadata.Annotations.GetValueOrDefault(Why.Annotation);
        var wanted = record.IsWaiting ? record.Why : null;
        if (!record.IsWaiting) record.Why = null;
        return stored == wanted ? null : new() { [Why.Annotation] = wanted };
    }
}
