using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;

using Task = System.Threading.Tasks.Task;

namespace Declarative.Sim;

/// <summary>
/// Sees every write and every scheduler call of a world, and holds them against what the platform promises. It knows the API's
/// revisions and the tasks' states, and nothing of how the parts work.
/// </summary>
internal sealed class Witness(World world, Tally tally)
{
    private readonly List<string> _violations = [];
    private readonly Dictionary<ResourceKey, (string Uid, long Revision)> _acknowledged = [];
    private readonly Dictionary<ResourceKey, JsonObject> _last = [];
    private readonly Dictionary<ResourceKey, SortedDictionary<long, (Part Writer, JsonObject Json)>> _written = [];
    private readonly HashSet<string> _launched = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TimeSpan> _staleSince = new(StringComparer.Ordinal);

    /// <summary>A ready endpoint may lag behind its pod, by time-outs and restarts of the controller, but not longer than this.</summary>
    private static readonly TimeSpan EndpointLagMax = TimeSpan.FromSeconds(90);

    public IReadOnlyList<string> Violations => _violations;

    /// <summary>The API without faults, as the witness looks into it.</summary>
    public Func<IApi> Server { get; set; } = null!;

    /// <summary>Live and ended tasks of every agent.</summary>
    public Func<IEnumerable<(string Agent, string Task, TaskState State)>> Tasks { get; set; } = null!;

    public void Violated(string rule, string what)
    {
        var text = $"{rule}: {what}";
        if (_violations.Contains(text) || _violations.Count > 20) return;
        world.Note("VIOLATION " + text);
        _violations.Add(text);
    }

    public static bool IsUnreadyPod(WatchEvent change) => change.Object is { } stored && stored.Key.Kind == Kind.Pod && !Pod.Read(stored.Json).IsReady && Pod.Read(stored.Json).Status.Phase == "Running";

    public void Wrote(Part part, string verb, string subresource, Stored stored)
    {
        tally.Add($"action {part.Name} {verb} {stored.Key.Kind.Plural}{(subresource.Length > 0 ? "/" + subresource : "")}");
        world.Note($"{part.Name} {verb} {stored.Key}{(subresource.Length > 0 ? "/" + subresource : "")} @{stored.Revision}");
        if (!_written.TryGetValue(stored.Key, out var revisions)) _written[stored.Key] = revisions = [];
        revisions.TryAdd(stored.Revision, (part, (JsonObject)JsonNode.Parse(stored.Json.Span)!));
    }

    public void Acknowledged(Stored stored)
    {
        if (_acknowledged.GetValueOrDefault(stored.Key).Revision < stored.Revision) _acknowledged[stored.Key] = (stored.Uid, stored.Revision);
    }

    public void Called(Call call)
    {
        tally.Add($"action placement call {call.Type}");
        switch (call.Type)
        {
            case CallType.Accept:
                foreach (var operation in call.Accept.Operations)
                {
                    foreach (var task in operation.Launch?.TaskInfos ?? []) Launching(task.TaskId.Value);
                    foreach (var task in operation.LaunchGroup?.TaskGroup.Tasks ?? []) Launching(task.TaskId.Value);
                }
                break;
            case CallType.Kill:
                Killing(call.Kill.TaskId.Value);
                break;
            default:
                break;
        }
    }

    /// <summary>One pod has one task alive, whatever has happened.</summary>
    public void LookAtTasks()
    {
        foreach (var pod in Tasks().Where(x => !IsOver(x.State)).GroupBy(x => PodOf(x.Task)))
        {
            var alive = pod.Select(x => x.Task).Distinct(StringComparer.Ordinal).ToList();
            if (alive.Count > 1) Violated("never two live tasks for one pod", string.Join(" and ", alive));
        }
    }

    /// <summary>Compares what was written since the last look with who may write it; and looks at endpoints and pods.</summary>
    public async Task LookAtObjects()
    {
        foreach (var (key, revisions) in _written)
        {
            foreach (var (_, (writer, json)) in revisions)
            {
                OneWriter.Check(key, writer, _last.GetValueOrDefault(key), json, Violated);
                _last[key] = json;
            }
        }
        _written.Clear();
        await LookAtEndpoints();
    }

    /// <summary>After a restart of the API server: nothing that was acknowledged may be gone.</summary>
    public async Task LookForLosses()
    {
        foreach (var kinds in _acknowledged.GroupBy(x => x.Key.Kind).ToList())
        {
            var present = (await Server().List(new(kinds.Key))).Items.ToDictionary(x => x.Key);
            foreach (var (key, (uid, revision)) in kinds)
            {
                if (present.TryGetValue(key, out var stored) && stored.Uid == uid && stored.Revision < revision)
                {
                    Violated("nothing acknowledged is lost", $"{key} is at {stored.Revision}, but {revision} was acknowledged");
                }
                else if (!present.ContainsKey(key) && !_deleted.Contains((key, uid)))
                {
                    Violated("nothing acknowledged is lost", $"{key} ({uid}) is gone");
                }
            }
        }
        _last.Clear();
        _written.Clear();
    }

    private readonly HashSet<(ResourceKey, string)> _deleted = [];

    /// <summary>From a watch of the server itself: the object may be absent from now on.</summary>
    public void Removed(Stored stored) => _deleted.Add((stored.Key, stored.Uid));

    private void Launching(string task)
    {
        if (!_launched.Add(task)) Violated("an attempt is launched at most once", task);
        var pod = FindPod(PodOf(task));
        if (pod?.Task?.Id != task) Violated("the intent is stored before the launch", $"{task} is launched, the pod says {pod?.Task?.Id ?? "nothing"}");
    }

    /// <summary>Decision 12: TERM goes when every live report has observed the pod's end and counts nothing, or the draining share of its grace is over.</summary>
    private void Killing(string task)
    {
        var pod = FindPod(PodOf(task));
        if (pod?.Metadata is not { IsDeleting: true, DeletionGracePeriodSeconds: > 0 and var grace }) return;
        var now = world.Time.GetUtcNow();
        var marked = pod.Metadata.DeletionTimestamp!.Value.AddSeconds(-grace);
        var share = grace - Math.Max(1, grace / 3.0);
        if (now >= marked.AddSeconds(share)) return;
        var slices = Objects(Kind.EndpointSlice).Where(x => Marks(EndpointSlice.Read(x.Json), pod.Uid)).ToList();
        var awaited = slices.Count > 0 ? slices.Max(x => x.Revision) : long.Parse(pod.Metadata.ResourceVersion, System.Globalization.CultureInfo.InvariantCulture);
        foreach (var stored in Objects(Kind.TrafficReport))
        {
            var report = TrafficReport.Read(stored.Json);
            if (report.Spec.Role == "endpoints" || !report.IsLive(now)) continue;
            if (report.Spec.Role == "lb" && slices.Count == 0) continue;
            var counted = report.Status.Draining.FirstOrDefault(x => x.PodUID == pod.Uid && x.InFlight > 0);
            if (counted is not null) Violated("TERM waits for the reports", $"{task}: {report.Name} still counts {counted.InFlight}");
            // A slice may have been written again for another pod meanwhile: what counts is the first revision that marked this one.
            else if (report.Status.ObservedRevision < FirstMark(pod.Uid, awaited)) Violated("TERM waits for the reports", $"{task}: {report.Name} has observed {report.Status.ObservedRevision}, not {awaited}");
        }
    }

    private readonly Dictionary<string, long> _firstMark = new(StringComparer.Ordinal);

    private long FirstMark(string uid, long awaited) => Math.Min(_firstMark.GetValueOrDefault(uid, awaited), awaited);

    /// <summary>From a watch of the server itself.</summary>
    public void SliceSeen(Stored stored)
    {
        foreach (var endpoint in EndpointSlice.Read(stored.Json).Endpoints)
        {
            if (endpoint.Conditions.IsTerminating && endpoint.TargetRef is { } pod) _firstMark.TryAdd(pod.Uid, stored.Revision);
        }
    }

    private static bool Marks(EndpointSlice slice, string uid) => slice.Endpoints.Any(x => x.TargetRef?.Uid == uid && x.Conditions.IsTerminating);

    private async Task LookAtEndpoints()
    {
        var pods = (await Server().List(new(Kind.Pod))).Items.Select(x => Pod.Read(x.Json)).ToDictionary(x => x.Uid, StringComparer.Ordinal);
        var stale = new HashSet<string>(StringComparer.Ordinal);
        foreach (var stored in (await Server().List(new(Kind.EndpointSlice))).Items)
        {
            foreach (var endpoint in EndpointSlice.Read(stored.Json).Endpoints)
            {
                if (!endpoint.Conditions.IsReady || endpoint.TargetRef is not { } target) continue;
                if (pods.TryGetValue(target.Uid, out var pod) && pod.IsReady && !pod.Metadata.IsDeleting) continue;
                var name = $"{stored.Key} → {target.Name} ({target.Uid})";
                stale.Add(name);
                if (!_staleSince.TryAdd(name, world.Elapsed) && world.Elapsed - _staleSince[name] > EndpointLagMax) Violated("no ready endpoint without a ready pod", name);
            }
        }
        foreach (var name in _staleSince.Keys.Where(x => !stale.Contains(x)).ToList()) _staleSince.Remove(name);
    }

    private Pod? FindPod(string uid) => Objects(Kind.Pod).Where(x => x.Uid == uid).Select(x => Pod.Read(x.Json)).FirstOrDefault();

    // In process a list completes at once: the witness looks between two steps of the world.
    private IReadOnlyList<Stored> Objects(Kind kind) => Server().List(new(kind)) is { IsCompletedSuccessfully: true } list ? list.Result.Items : [];

    public static string PodOf(string task) => task.LastIndexOf('.') is var dot and > 0 ? task[..dot] : task;

    public static bool IsOver(TaskState state) => state is TaskState.TaskFinished or TaskState.TaskFailed or TaskState.TaskKilled or TaskState.TaskError
        or TaskState.TaskLost or TaskState.TaskDropped or TaskState.TaskGone or TaskState.TaskGoneByOperator;
}
