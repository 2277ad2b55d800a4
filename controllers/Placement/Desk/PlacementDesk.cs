using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Status;
using Declarative.Controllers.Placement.Volumes;
using Declarative.Mesos.Scheduler;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>What the desk works with; all of it lives as long as one term of leadership.</summary>
internal sealed record DeskParts(IApi Api, IMaster Master, PlacementOptions Options, TimeProvider Time, Random Random, ILogger Logger)
{
    public required EventRecorder Events { get; init; }
    public required Func<string, string, ApiObject?> ReplicaSet { get; init; }
    public required AgentFeed Agents { get; init; }
    /// <summary>Every disruption budget as it is stored now.</summary>
    public required Func<IEnumerable<PodDisruptionBudget>> Budgets { get; init; }
    public required PlacementCounters Counters { get; init; }
    public required Identity Identity { get; init; }

    /// <summary>No other can lead now.</summary>
    public required Func<bool> MayAct { get; init; }
}

/// <summary>
/// Placement's state and decisions during one term of leadership, on one loop (<see cref="Inbox"/>): pods and Mesos' events come in, each pod
/// is brought one step further by <see cref="Step"/>, and after each batch what waits is matched with what is offered.
/// </summary>
internal sealed partial class PlacementDesk : IDisposable
{
    private static readonly TimeSpan SuppressAfter = TimeSpan.FromSeconds(1);

    /// <summary>A master takes acknowledgements of different tasks in any order, and a task has one that waits.</summary>
    private const int AcknowledgementsAtOnce = 32;
    private static readonly TimeSpan StatusAfterLaunch = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan StatusAfterLaunchInFlood = TimeSpan.FromSeconds(10);

    private readonly DeskParts _parts;
    private readonly Inbox _inbox;
    private readonly WritePool _writes;
    private readonly CallLane _calls;
    private readonly CallLane _acknowledgements;
    private readonly OfferBook _book = new();
    private readonly VolumeBook _volumes = new();
    private readonly Agenda _agenda = new();
    private readonly Dictionary<string, PodRecord> _records = new(StringComparer.Ordinal);
    private readonly SortedSet<PodRecord> _waiting = new(WaitingOrder.Instance);
    private readonly PlacedPods _placed = new();
    private readonly Dictionary<string, AgentNode> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, AgentNode> _nodesByName = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _agentOfNode = new(StringComparer.Ordinal);
    private readonly Dictionary<string, AgentLedger> _ledger = new(StringComparer.Ordinal);
    private readonly HashSet<string> _superseded = new(StringComparer.Ordinal);
    private long _order;

    public PlacementDesk(DeskParts parts)
    {
        _parts = parts;
        _inbox = new(parts.Time, parts.Logger);
        _writes = new(parts.Options.WritesMax, _inbox, parts.Logger);
        _calls = new(parts.Master, _inbox, parts.MayAct, parts.Logger);
        _acknowledgements = new(parts.Master, _inbox, parts.MayAct, parts.Logger, AcknowledgementsAtOnce);
        State(parts.Options.Role);
        foreach (var role in parts.Options.RoleOf.Values) State(role);
    }

    private DateTimeOffset Now => _parts.Time.GetUtcNow();
    private PlacementOptions Options => _parts.Options;

    /// <summary>What stands and runs on one agent by our own account.</summary>
    private sealed class AgentLedger
    {
        public Amounts Taken { get; set; }
        public int Pods { get; set; }
        public bool RefusesLimits { get; set; }
        public string Address { get; set; } = "";
        public string Hostname { get; set; } = "";

        /// <summary>Ports that were offered but found taken, with the time when they may be tried again.</summary>
        public Dictionary<int, DateTimeOffset> BadPorts { get; } = [];
    }

    /// <summary>Higher priority first, then those for whom room is made, then the order of arrival.</summary>
    private sealed class WaitingOrder : IComparer<PodRecord>
    {
        public static WaitingOrder Instance { get; } = new();

        public int Compare(PodRecord? x, PodRecord? y)
        {
            var priority = (y!.Pod.Spec.Priority ?? 0).CompareTo(x!.Pod.Spec.Priority ?? 0);
            if (priority != 0) return priority;
            var nominated = (y.Nominated.Length > 0).CompareTo(x.Nominated.Length > 0);
            return nominated != 0 ? nominated : x.Order.CompareTo(y.Order);
        }
    }

    /// <summary>Runs until stopped: the loop, the calls to the master, and the subscription.</summary>
    public async Task Run(CancellationToken stop)
    {
        _stop = stop;
        var calls = _calls.Run(stop);
        var acknowledgements = _acknowledgements.Run(stop);
        var subscription = Subscribe(stop);
        await _inbox.Run(Settle, stop);
        await subscription;
        await calls;
        await acknowledgements;
        await _writes.End();
    }

    public void Dispose()
    {
        _inbox.Dispose();
        _resubscribe?.Dispose();
    }

    private CancellationToken _stop;

    /// <summary>Handlers for the informers; they may be called on any thread.</summary>
    public void PodChanged(Change<Pod> change) => _inbox.Post(() => OnPod(change));

    public void NodeChanged(Change<Node> change) => _inbox.Post(() =>
    {
        OnNode(change);
        OnNodeOfVolumes(change);
    });

    public void NamespaceChanged(Change<Namespace> change) => _inbox.Post(() => OnNamespace(change));

    public void ClaimChanged(Change<PersistentVolumeClaim> change) => _inbox.Post(() => OnClaim(change));

    public void VolumeChanged(Change<PersistentVolume> change) => _inbox.Post(() => OnVolume(change));

    public void ClassChanged(Change<StorageClass> change) => _inbox.Post(() => OnClass(change));

    public void ReportChanged(Change<TrafficReport> change) => _inbox.Post(() => OnReport(change));

    /// <summary>After each batch of news. Returns when to look again without news.</summary>
    private DateTimeOffset? Settle()
    {
        var now = Now;
        while (_agenda.TryTake(now, out var record)) Guarded(record);
        DeclineExpired(now);
        Operate(now);
        Place(now);
        Preempt(now);
        ReviveOrSuppress(now);
        Reconcile(now);
        return Earliest(_agenda.Next, _book.NextExpiry, _roundDue, _preemptDue, RolesDue, _wishesDue, _reconcileDue, _implicitDue);
    }

    private void Guarded(PodRecord record)
    {
        try
        {
            Step(record);
        }
        catch (Exception e) // the pod's bulkhead: it is looked at again with its next event
        {
            Log.ActionFailed(_parts.Logger, e);
        }
    }

    private static DateTimeOffset? Earliest(params ReadOnlySpan<DateTimeOffset?> times)
    {
        DateTimeOffset? least = null;
        foreach (var time in times)
        {
            if (time is { } at && (least is null || at < least)) least = at;
        }
        return least;
    }

    private AgentLedger Ledger(string agentId)
    {
        if (!_ledger.TryGetValue(agentId, out var ledger)) _ledger.Add(agentId, ledger = new());
        return ledger;
    }

    private void OnNode(Change<Node> change)
    {
        if (change.Old is { } old && NodePlan.AgentId(old) is { Length: > 0 } before && (change.New is null || NodePlan.AgentId(change.New) != before))
        {
            _nodes.Remove(before);
            _nodesByName.Remove(old.Name);
            _book.Renew(before);
        }
        if (change.New is not { } node) return; // what stands in _agentOfNode tells a new agent of that name from the former one
        var agent = NodePlan.AgentId(node);
        if (agent.Length == 0) return;
        _nodes[agent] = _nodesByName[node.Name] = AgentNode.Of(node);
        if (change.Old is null || !AgentNode.Of(change.Old).TakesTheSameAs(_nodes[agent])) LookAgain();
        if (_agentOfNode.TryGetValue(node.Name, out var former) && former != agent) Supersede(former);
        _agentOfNode[node.Name] = agent;
        if (_book.Renew(agent)) _news = true; // what was offered before its node was known, or while it was closed, fits now
        if (Ledger(agent).Address.Length == 0)
        {
            Ledger(agent).Address = node.Status.Addresses.FirstOrDefault(x => x.Type == "InternalIP")?.Address ?? "";
        }
    }

    /// <summary>The machine is back under a new id.</summary>
    private void Supersede(string agentId)
    {
        _superseded.Add(agentId);
        foreach (var record in _records.Values.Where(x => x.Agent == agentId && x.UnreachableSince is not null).ToList()) Step(record);
    }

    private void Tell(PodRecord record, bool warning, string reason, string message)
    {
        // A flood of launches tells its story by the pods' statuses; events would only double the writes.
        if (!warning && _writes.Count > Options.WritesMax * 4) return;
        _parts.Events.Record(new(Body.Reference(Kind.Pod, record.Pod), warning ? "Warning" : "Normal", reason, message));
    }

    private void Count(string name, long by = 1) => _parts.Counters.Add(name, by);
}
