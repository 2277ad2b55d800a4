using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;

using Task = System.Threading.Tasks.Task;

namespace Declarative.Sim;

/// <summary>
/// Sees every revision that reaches the disk, every answered write and every scheduler call of a world, and holds them against what the
/// platform promises. It knows the API's revisions and the tasks' states, and nothing of how the parts work.
/// </summary>
internal sealed class Witness(World world, Tally tally)
{
    /// <summary>A ready endpoint may lag behind its pod, by time-outs and restarts of the controller, but not longer than this.</summary>
    private static readonly TimeSpan EndpointLagMax = TimeSpan.FromSeconds(90);

    /// <summary>From the look at a report to the KILL that follows from it: a report that was replaced meanwhile counts as it was.</summary>
    private static readonly TimeSpan DecisionMax = TimeSpan.FromSeconds(1);

    /// <summary>Writes whose answer nobody claimed (the API server's own, or lost with it) are forgotten beyond this number.</summary>
    private const int UnclaimedMax = 2000;

    private readonly List<string> _violations = [];
    private readonly Dictionary<ResourceKey, JournalRecord> _store = [];
    private readonly Dictionary<long, (string? User, ReadOnlyMemory<byte>? Before, ReadOnlyMemory<byte> After)> _unclaimed = [];
    private readonly Queue<long> _unclaimedOrder = new();
    private readonly Dictionary<ResourceKey, (string Uid, long Revision)> _acknowledged = [];
    private readonly HashSet<string> _deleted = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SeenPod> _pods = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, (EndpointSlice Slice, long Revision)> _slices = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, SeenReport> _reports = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _firstMark = new(StringComparer.Ordinal);
    private readonly Dictionary<(int Port, string Workload), string> _podAt = [];
    private readonly HashSet<string> _launched = new(StringComparer.Ordinal);
    private readonly HashSet<string> _killed = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlyList<string>> _drainedFor = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _agentOfNode = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _nominations = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TimeSpan> _staleSince = new(StringComparer.Ordinal);

    /// <param name="Mark">The revision that marked it for deletion, 0 while there is none.</param>
    private readonly record struct SeenPod(Pod Pod, long Mark, TimeSpan? MarkedAt);

    private readonly record struct SeenReport(TrafficReport? Now, TrafficReport? Before, TimeSpan ChangedAt);

    public IReadOnlyList<string> Violations => _violations;

    /// <summary>Live and ended tasks of every agent.</summary>
    public Func<IEnumerable<(string Agent, string Task, TaskState State)>> Tasks { get; set; } = null!;

    /// <summary>The rules of persistent volumes.</summary>
    public VolumeWitness? Volumes { get; set; }

    /// <summary>The rules of StatefulSets and Jobs.</summary>
    public WorkWitness? Work { get; set; }

    /// <summary>An object as it is on disk.</summary>
    public ReadOnlyMemory<byte>? Stored(ResourceKey key) => _store.GetValueOrDefault(key)?.Json;

    public Pod? PodOfTask(string task) => _pods.TryGetValue(PodOf(task), out var seen) ? seen.Pod : null;

    public void Violated(string rule, string what)
    {
        var text = $"{rule}: {what}";
        if (_violations.Contains(text) || _violations.Count > 20) return;
        world.Note("VIOLATION " + text);
        _violations.Add(text);
    }

    public static bool IsUnreadyPod(WatchEvent change) => change.Object is { } stored && stored.Key.Kind == Kind.Pod && Pod.Read(stored.Json) is { IsReady: false, Status.Phase: "Running" };

    /// <summary>From the journal: this is on disk, in order of revisions.</summary>
    public void Durable(JournalRecord record)
    {
        var before = _store.GetValueOrDefault(record.Key);
        if (record.Json is { } json)
        {
            _store[record.Key] = record;
            _unclaimed[record.Revision] = (record.Origin?.User, before is not null && before.Uid == record.Uid ? before.Json : null, json);
            _unclaimedOrder.Enqueue(record.Revision);
            if (_unclaimedOrder.Count > UnclaimedMax) _unclaimed.Remove(_unclaimedOrder.Dequeue());
        }
        else
        {
            _store.Remove(record.Key);
            _deleted.Add(record.Uid);
            if (_acknowledged.GetValueOrDefault(record.Key).Uid == record.Uid) _acknowledged.Remove(record.Key);
        }
        if (record.Key.Kind == Kind.Pod) PodSeen(record);
        else if (record.Key.Kind == Kind.Job && record.Json is { } job) Work?.JobSeen(Job.Read(job));
        else if (record.Key.Kind == Kind.Node && record.Json is { } node) _agentOfNode[record.Key.Name] = Node.Read(node).Spec.ProviderID.Replace("mesos://", "", StringComparison.Ordinal);
        else if (record.Key.Kind == Kind.EndpointSlice) SliceSeen(record);
        else if (record.Key.Kind == Kind.TrafficReport) ReportSeen(record);
    }

    /// <summary>A part's write was done, whether or not it will hear of it.</summary>
    public void Wrote(Part part, string verb, string subresource, Stored stored)
    {
        var resource = subresource.Length > 0 ? $"{stored.Key.Kind.Plural}/{subresource}" : stored.Key.Kind.Plural;
        tally.Add($"action {part.Name} {verb} {resource}");
        world.Note($"{part.Name} {verb} {stored.Key}{(subresource.Length > 0 ? "/" + subresource : "")} @{stored.Revision}");
        // A write that changed nothing is answered with what another has written: history names that one, and a status changes by writes to it alone.
        if (!_unclaimed.TryGetValue(stored.Revision, out var change) || (change.User is { } user && user != part.User.Name)) return;
        if (subresource.Length > 0) _unclaimed.Remove(stored.Revision);
        OneWriter.Check(stored.Key, part, subresource, change.Before, change.After, Violated);
    }

    /// <summary>Someone is about to delete an object by force.</summary>
    public void Forcing(ResourceKey key)
    {
        if (key.Kind == Kind.Pod && _store.GetValueOrDefault(key) is { } pod) Work?.Forced(pod.Uid);
    }

    /// <summary>A part was told that its write is done.</summary>
    public void Acknowledged(Stored stored)
    {
        if (_deleted.Contains(stored.Uid)) return;
        if (_acknowledged.GetValueOrDefault(stored.Key).Revision < stored.Revision) _acknowledged[stored.Key] = (stored.Uid, stored.Revision);
    }

    /// <summary>After a restart of the API server: nothing that was acknowledged may be gone.</summary>
    public async Task LookForLosses(IApi server)
    {
        foreach (var kind in _acknowledged.Keys.Select(x => x.Kind).Distinct().ToList())
        {
            var present = (await server.List(new(kind))).Items.ToDictionary(x => x.Key);
            foreach (var (key, (uid, revision)) in _acknowledged.Where(x => x.Key.Kind == kind).ToList())
            {
                if (_deleted.Contains(uid)) continue;
                if (!present.TryGetValue(key, out var stored) || stored.Uid != uid) Violated("nothing acknowledged is lost", $"{key} ({uid}) is gone");
                else if (stored.Revision < revision) Violated("nothing acknowledged is lost", $"{key} is at {stored.Revision}, but {revision} was acknowledged");
            }
        }
    }

    public void Subscribed()
    {
        tally.Add("action placement call Subscribe");
        world.Note("placement call Subscribe");
    }

    /// <summary>A scheduler call leaves Placement.</summary>
    public void Calling(Call call)
    {
        if (call.Type == CallType.Kill) Killing(call.Kill.TaskId.Value);
    }

    /// <summary>A scheduler call reaches the master.</summary>
    public void Called(Call call)
    {
        tally.Add($"action placement call {call.Type}");
        world.Note($"placement call {call.Type} {call.Kill?.TaskId.Value}");
        if (call.Type != CallType.Accept) return;
        foreach (var operation in call.Accept.Operations)
        {
            Volumes?.Called(operation);
            foreach (var task in operation.Launch?.TaskInfos ?? []) Launching(task.TaskId.Value);
            foreach (var task in operation.LaunchGroup?.TaskGroup.Tasks ?? []) Launching(task.TaskId.Value);
        }
    }

    /// <summary>One pod has one task alive, whatever has happened.</summary>
    public void LookAtTasks()
    {
        var alive = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (_, task, state) in Tasks())
        {
            if (IsOver(state) || alive.TryAdd(PodOf(task), task) || alive[PodOf(task)] == task) continue;
            Violated("never two live tasks for one pod", $"{alive[PodOf(task)]} and {task}");
        }
        Work?.LookAtTasks(Tasks());
    }

    public void LookAtEndpoints()
    {
        var stale = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, (slice, _)) in _slices)
        {
            foreach (var endpoint in slice.Endpoints)
            {
                if (!endpoint.Conditions.IsReady || endpoint.TargetRef is not { } target) continue;
                if (_pods.TryGetValue(target.Uid, out var seen) && seen.Pod.IsReady && !seen.Pod.Metadata.IsDeleting) continue;
                var text = $"{name} → {target.Name} ({target.Uid})";
                stale.Add(text);
                if (!_staleSince.TryAdd(text, world.Elapsed) && world.Elapsed - _staleSince[text] > EndpointLagMax) Violated("no ready endpoint without a ready pod", text);
            }
        }
        foreach (var text in _staleSince.Keys.Where(x => !stale.Contains(x)).ToList()) _staleSince.Remove(text);
    }

    /// <summary>A client follows what an instance of balancer or DNS said: not to a pod whose TERM had waited for that instance.</summary>
    public void Routed(string report, string podUid, string what)
    {
        tally.Add($"client {report} {what}");
        if (_drainedFor.TryGetValue(podUid, out var reports) && reports.Contains(report)) Violated("no request reaches a task that was told to stop", $"by {report} pod {podUid} {what}");
    }

    public void Note(string text) => world.Note(text);

    public string PodAt(int hostPort, string workload) => _podAt.GetValueOrDefault((hostPort, workload), "");

    private void PodSeen(JournalRecord record)
    {
        Displaced(record);
        if (!_pods.ContainsKey(record.Uid)) world.Note($"{record.Key} is {record.Uid}");
        if (record.Json is not { } json)
        {
            _pods.Remove(record.Uid);
            Work?.PodGone(record.Uid, Tasks());
            return;
        }
        var pod = Pod.Read(json);
        Work?.PodSeen(pod, isNew: !_pods.ContainsKey(record.Uid));
        if (_agentOfNode.TryGetValue(pod.Status.NominatedNodeName, out var agent)) _nominations[agent] = Math.Max(_nominations.GetValueOrDefault(agent, int.MinValue), pod.Spec.Priority ?? 0);
        var before = _pods.GetValueOrDefault(record.Uid);
        _pods[record.Uid] = !pod.Metadata.IsDeleting ? new(pod, 0, null) : before.Mark > 0 ? before with { Pod = pod } : new(pod, record.Revision, world.Elapsed);
        // From the intent on, which has other ports where it is made anew before the launch; a pod whose task is over may be written again when its
        // port is another's.
        if (before.Pod?.Task is { } known && pod.Task is { } told && known.Id == told.Id && known.Ports.Values.SequenceEqual(told.Ports.Values)) return;
        foreach (var port in pod.Task?.Ports.Values ?? []) _podAt[(port, WorkloadOf(pod))] = record.Uid;
    }

    /// <summary>A pod is told to make room only after it is stored for whom: a pod of higher priority that is nominated for its node.</summary>
    private void Displaced(JournalRecord record)
    {
        if (record.Json is not { } json || Pod.Read(json) is not { } pod || !IsDisplaced(pod) || _pods.TryGetValue(record.Uid, out var before) && IsDisplaced(before.Pod)) return;
        tally.Add("action placement displaces a pod");
        world.Note($"{record.Key} is displaced");
        if (_nominations.TryGetValue(pod.Task?.Agent ?? "", out var highest) && highest > (pod.Spec.Priority ?? 0)) return;
        Violated("only a pod of higher priority displaces", $"{record.Key} of priority {pod.Spec.Priority ?? 0} on {pod.Task?.Agent}");
    }

    private static bool IsDisplaced(Pod pod) => pod.Status.Conditions.Any(x => x is { Type: "DisruptionTarget", Reason: "PreemptionByScheduler", IsTrue: true });

    /// <summary>The names of users' workloads have no dash, those of their pods begin with them.</summary>
    private static string WorkloadOf(Pod pod) => $"{pod.Namespace}/{pod.Name.Split('-')[0]}";

    private void SliceSeen(JournalRecord record)
    {
        if (record.Json is not { } json)
        {
            _slices.Remove(record.Key.ToString());
            return;
        }
        var slice = EndpointSlice.Read(json);
        _slices[record.Key.ToString()] = (slice, record.Revision);
        // A slice may be written again for another pod: what counts for this one is the first revision that marked it.
        foreach (var endpoint in slice.Endpoints)
        {
            if (endpoint.Conditions.IsTerminating && endpoint.TargetRef is { } pod) _firstMark.TryAdd($"{record.Key} {pod.Uid}", record.Revision);
        }
    }

    private void ReportSeen(JournalRecord record)
    {
        var now = record.Json is { } json ? TrafficReport.Read(json) : null;
        _reports[record.Key.Name] = new(now, _reports.GetValueOrDefault(record.Key.Name).Now, world.Elapsed);
    }

    private void Launching(string task)
    {
        if (!_launched.Add(task)) Violated("an attempt is launched at most once", task);
        var said = _pods.TryGetValue(PodOf(task), out var seen) ? seen.Pod.Task?.Id : null;
        if (said != task) Violated("the intent is stored before the launch", $"{task} is launched, the pod says {said ?? "nothing"}");
    }

    /// <summary>Decision 12: TERM goes when every live report has observed the pod's end and counts nothing, or the draining share of its grace is over.</summary>
    private void Killing(string task)
    {
        if (!_killed.Add(task) || !_pods.TryGetValue(PodOf(task), out var seen)) return;
        if (seen.Pod.Metadata is not { IsDeleting: true, DeletionGracePeriodSeconds: > 0 and var grace }) return;
        if (seen.MarkedAt == world.Elapsed) return; // on disk in this moment, told to nobody: the KILL has another reason
        var now = world.Time.GetUtcNow();
        var began = seen.Pod.Metadata.DeletionTimestamp!.Value.AddSeconds(-grace);
        if (now >= began.AddSeconds(grace - Math.Max(1, grace / 3.0))) return;
        var uid = seen.Pod.Uid;
        var marks = _slices.Where(x => Marks(x.Value.Slice, uid)).Select(x => _firstMark[$"{x.Key} {uid}"]).ToList();
        var waitedFor = new List<string>();
        foreach (var (name, report) in _reports)
        {
            if (Missing(report.Now, seen, marks, now) is not { } missing)
            {
                if (report.Now is { } live && live.IsLive(now) && (live.Spec.Role != "lb" || marks.Count > 0)) waitedFor.Add(name);
            }
            // The decision may have been made by the report's state of just before.
            else if (world.Elapsed - report.ChangedAt > DecisionMax || Missing(report.Before, seen, marks, now) is not null)
            {
                Violated("TERM waits for the reports", $"{task}: {name} {missing}");
            }
        }
        _drainedFor[uid] = waitedFor;
    }

    /// <summary>null: this report does not hold the TERM back.</summary>
    private static string? Missing(TrafficReport? report, SeenPod pod, List<long> marks, DateTimeOffset now)
    {
        if (report is null || report.Spec.Role == "endpoints" || !report.IsLive(now) || report.Spec.Role == "lb" && marks.Count == 0) return null;
        var counted = report.Status.Draining.FirstOrDefault(x => x.PodUID == pod.Pod.Uid && x.InFlight > 0);
        if (counted is not null) return string.Create(CultureInfo.InvariantCulture, $"still counts {counted.InFlight}");
        var awaited = marks.Count == 0 ? pod.Mark : marks.Max();
        return report.Status.ObservedRevision < awaited ? string.Create(CultureInfo.InvariantCulture, $"has observed {report.Status.ObservedRevision}, not {awaited}") : null;
    }

    private static bool Marks(EndpointSlice slice, string uid) => slice.Endpoints.Any(x => x.TargetRef?.Uid == uid && x.Conditions.IsTerminating);

    public static string PodOf(string task) => task.LastIndexOf('.') is var dot and > 0 ? task[..dot] : task;

    public static bool IsOver(TaskState state) => state is TaskState.TaskFinished or TaskState.TaskFailed or TaskState.TaskKilled or TaskState.TaskError
        or TaskState.TaskLost or TaskState.TaskDropped or TaskState.TaskGone or TaskState.TaskGoneByOperator;
}
