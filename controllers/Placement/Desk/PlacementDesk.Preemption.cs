using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Status;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>A pod that is to make room for another.</summary>
internal sealed class Displacement(string forUid, bool violates, string message)
{
    public string ForUid => forUid;

    /// <summary>It makes room for nobody: its agent is to be unavailable.</summary>
    public bool IsForMaintenance => forUid.Length == 0;

    /// <summary>No budget allows it: it is deleted, not evicted.</summary>
    public bool Violates => violates;

    public string Message { get; set; } = message;

    /// <summary>False: it was to go, and stays.</summary>
    public bool Goes { get; set; } = true;

    /// <summary>The nomination of the other pod is stored: from now on this one is told.</summary>
    public bool IsOrdered { get; set; }
    public bool IsSent { get; set; }

    /// <summary>Not before.</summary>
    public DateTimeOffset Again { get; set; }
}

/// <summary>
/// Preemption: a pod of higher priority that fits nowhere is nominated for an agent where pods of lower priority make room. In this order, each
/// step stored before the next: status.nominatedNodeName of the one, condition DisruptionTarget of the others, their eviction; they then go by
/// the traffic contract like every deleted pod, and what comes free is kept for the nominated one.
/// </summary>
internal sealed partial class PlacementDesk
{
    /// <summary>Offers take a moment to come: only who has waited so long displaces others.</summary>
    private static readonly TimeSpan PreemptAfter = TimeSpan.FromSeconds(1);

    /// <summary>So long room that is there by our own account is waited for; then somebody else has it, and it counts as taken.</summary>
    private static readonly TimeSpan AccountTrustedFor = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan PreemptEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan PreemptAgainFirst = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan PreemptAgainMax = TimeSpan.FromMinutes(5);

    /// <summary>Searches for victims in one go, so that they do not hold up what can be placed.</summary>
    private const int PreemptionsMax = 10;

    /// <summary>Nothing makes room for pods of such a class: they are not looked at before, so that those after them have their turn.</summary>
    private static readonly TimeSpan HelplessFor = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, DateTimeOffset> _helpless = new(StringComparer.Ordinal);
    private readonly SortedDictionary<int, int> _takenByPriority = [];
    private DateTimeOffset? _preemptDue;

    private static int Priority(PodRecord record) => record.Pod.Spec.Priority ?? 0;

    private void Preempt(DateTimeOffset now)
    {
        if (!_subscribed || _waiting.Count == 0 || _takenByPriority.Count == 0 || Priority(_waiting.Min!) <= _takenByPriority.First().Key)
        {
            _preemptDue = null;
            return;
        }
        if (_preemptDue > now) return;
        _preemptDue = now + PreemptEvery;
        var least = _takenByPriority.First().Key;
        foreach (var (forgotten, _) in _helpless.Where(x => x.Value <= now).ToList()) _helpless.Remove(forgotten);
        var searches = 0;
        foreach (var record in _waiting.TakeWhile(x => Priority(x) > least).ToList())
        {
            if (record.Waiting!.Gang is not null) continue; // one of a group may be displaced for nothing
            if (record.Phase is not LaunchPhase.None || record.Pod.Spec.NodeName.Length > 0 || record.Pod.Spec.PreemptionPolicy == "Never") continue;
            if (MakesRoom(record))
            {
                record.AccountTrustedUntil = now + AccountTrustedFor;
                continue;
            }
            if (record.WaitingSince + PreemptAfter > now || record.PreemptNext > now || _helpless.ContainsKey(record.Waiting!.Class)) continue;
            if (++searches > PreemptionsMax) return;
            var trust = record.AccountTrustedUntil > now;
            var found = Preemption.Choose(record.Waiting, Crowded(record, trust), _nodesByName, _placed, Budgets(), _parts.Random.Next(Math.Max(1, _nodes.Count)));
            if (found is null)
            {
                _helpless[record.Waiting.Class] = now + HelplessFor;
                if (record.Nominated.Length > 0) Unnominate(record);
                continue;
            }
            if (found.Victims.Count > 0) Nominate(record, found, now);
        }
    }

    /// <summary>Room is being made for it already: victims of its own, or pods of lower priority that leave the agent anyway.</summary>
    private bool MakesRoom(PodRecord record) =>
        record.Nominated.Length > 0 && _agentOfNode.TryGetValue(record.Nominated, out var agent)
        && _records.Values.Any(x => x.Agent == agent && x.Taken != default && Priority(x) < Priority(record) && IsLeaving(x));

    private static bool IsLeaving(PodRecord record) => record.Gone || record.Pod.Metadata.IsDeleting || record.Displaced is { Goes: true };

    /// <summary>Every known agent with what is free on it for a pod of this priority, and who holds the rest.</summary>
    private List<CrowdedAgent> Crowded(PodRecord record, bool trustAccount)
    {
        var holders = new Dictionary<string, List<Holder>>(StringComparer.Ordinal);
        foreach (var x in _records.Values)
        {
            if (x.Taken == default) continue;
            if (!holders.TryGetValue(x.Agent, out var list)) holders.Add(x.Agent, list = []);
            list.Add(new(x.Pod, x.Taken, [.. x.Ports.Values], IsLeaving(x)));
        }
        var kept = new Dictionary<string, Amounts>(StringComparer.Ordinal);
        foreach (var other in _waiting.TakeWhile(x => Priority(x) >= Priority(record)))
        {
            if (other != record && other.Waiting!.NominatedAgent is { Length: > 0 } agent) kept[agent] = kept.GetValueOrDefault(agent) + other.Waiting.Demand.Total;
        }
        var agents = new List<CrowdedAgent>(_nodes.Count);
        foreach (var (agent, node) in _nodes)
        {
            var held = _book.Agent(agent, record.Role);
            var free = held is not null ? held.Free : trustAccount ? node.Allocatable - Ledger(agent).Taken : default;
            free = (free - kept.GetValueOrDefault(agent)).AtLeastZero();
            var slot = new AgentSlot(agent, node, free, held is null ? new PortSet() : new PortSet(held.Offers.SelectMany(x => x.Ports))) { Volumes = held?.Volumes };
            agents.Add(new(slot, holders.GetValueOrDefault(agent) ?? [], held is not null));
        }
        return agents;
    }

    /// <summary>What budgets leave, less the pods that are to go and of which the API has not heard yet.</summary>
    private List<BudgetLeft> Budgets()
    {
        var budgets = _parts.Budgets().Select(x => new BudgetLeft(x)).ToList();
        if (budgets.Count == 0) return budgets;
        foreach (var record in _records.Values)
        {
            if (record.Displaced is not { Goes: true } || record.Pod.Metadata.IsDeleting) continue;
            foreach (var budget in budgets.Where(x => x.Covers(record.Pod))) budget.Allowed--;
        }
        return budgets;
    }

    private void Nominate(PodRecord record, Preemption preemption, DateTimeOffset now)
    {
        var node = preemption.Agent.Node.Name;
        _waiting.Remove(record); // the nominated come first among equals
        record.Nominated = node;
        record.Waiting!.NominatedAgent = preemption.Agent.AgentId;
        _waiting.Add(record);
        record.PreemptNext = now + Client.Backoff.Exponential(PreemptAgainFirst, PreemptAgainMax, record.Preemptions++);
        foreach (var untold in record.Victims) untold.Displaced = null;
        record.Victims.Clear();
        foreach (var victim in preemption.Victims)
        {
            var displaced = _records[victim.Holder.Pod.Uid];
            displaced.Displaced = new(record.Uid, victim.Violates, $"makes room on {node} for pod {record.Key.Namespace}/{record.Key.Name} of priority {Priority(record)}");
            record.Victims.Add(displaced);
        }
        Count("preemptions");
        Refresh(record);
        OrderVictims(record);
    }

    /// <summary>Nothing is said to the victims before it is stored whom they make room for.</summary>
    private void OrderVictims(PodRecord record)
    {
        if (record.Victims.Count == 0 || record.Nominated.Length == 0 || record.Pod.Status.NominatedNodeName != record.Nominated) return;
        var victims = record.Victims.ToList();
        record.Victims.Clear();
        foreach (var victim in victims)
        {
            if (victim.Displaced is not { Goes: true } displaced || displaced.ForUid != record.Uid) continue;
            displaced.IsOrdered = true;
            Step(victim);
        }
    }

    /// <summary>It has its place, goes away, or nothing makes room any more. Victims that have not been told stay.</summary>
    private void Unnominate(PodRecord record)
    {
        foreach (var victim in record.Victims) victim.Displaced = null;
        record.Victims.Clear();
        if (record.Nominated.Length == 0) return;
        var wasWaiting = record.IsWaiting && _waiting.Remove(record);
        record.Nominated = "";
        if (record.Waiting is { } waiting) waiting.NominatedAgent = "";
        if (!wasWaiting) return;
        _waiting.Add(record);
        Refresh(record);
    }

    /// <summary>A victim whose status says that it goes is evicted, or deleted where no budget allows it.</summary>
    private void StepDisplaced(PodRecord record)
    {
        if (record.Displaced is not { IsOrdered: true, IsSent: false, Goes: true } displaced || displaced.Again > Now) return;
        if (!record.Pod.Status.Conditions.Any(x => x.Type == StatusMap.DisruptionTarget && x.IsTrue)) return;
        displaced.IsSent = true;
        _writes.Add(async () =>
        {
            try
            {
                if (displaced.Violates) await _parts.Api.Delete(record.Key, new() { Uid = record.Uid }, _stop);
                else await _parts.Api.Create(record.Key, EvictionOf(record), new() { Subresource = "eviction", FieldManager = "placement" }, _stop);
                return () => Evicted(record, displaced);
            }
            catch (ApiException e) when (e.IsNotFound || e.IsConflict)
            {
                return static () => { }; // it is gone, or another has its name
            }
            catch (ApiException e) when (IsForbidden(e))
            {
                return () => Spared(record, displaced, e.Message);
            }
            catch (OperationCanceledException)
            {
                return static () => { };
            }
            catch (Exception e) // an outage of the API: it is told again
            {
                Log.WriteFailed(_parts.Logger, record.Key.ToString(), DrainLookAgain, e.Message);
                return () =>
                {
                    displaced.IsSent = false;
                    _agenda.Add(record, Now + DrainLookAgain);
                };
            }
        });
    }

    /// <summary>By a budget, by two budgets of one pod (500, as in Kubernetes), or by admission.</summary>
    private static bool IsForbidden(ApiException e) => e.Status.Code == 429 || !e.IsRetryable || e.Message.Contains("more than one PodDisruptionBudget", StringComparison.Ordinal);

    private static byte[] EvictionOf(PodRecord record) => Body.Of(json =>
    {
        json.WriteString("apiVersion"u8, "policy/v1"u8);
        json.WriteString("kind"u8, "Eviction"u8);
        json.Object("metadata", x =>
        {
            x.WriteString("name"u8, record.Key.Name);
            x.WriteString("namespace"u8, record.Key.Namespace);
        });
        json.Object("deleteOptions", x => x.Object("preconditions", y => y.WriteString("uid"u8, record.Uid)));
    });

    private void Evicted(PodRecord record, Displacement displaced)
    {
        if (displaced.IsForMaintenance) Tell(record, warning: false, "AgentMaintenance", displaced.Message);
        else Tell(record, warning: false, "Preempted", $"Preempted: {displaced.Message}");
        Count(displaced.IsForMaintenance ? "moved" : "preempted");
    }

    /// <summary>The budget has changed since: who wanted the room looks again, with what the budget says then.</summary>
    private void Spared(PodRecord record, Displacement displaced, string why)
    {
        if (displaced.IsForMaintenance)
        {
            displaced.IsSent = false;
            displaced.Again = Now + EvictAgain;
            _agenda.Add(record, displaced.Again);
            return;
        }
        displaced.Goes = false;
        displaced.Message = why;
        Count("preemptions-refused");
        Step(record);
        if (_records.GetValueOrDefault(displaced.ForUid) is { } other) Unnominate(other);
    }
}
