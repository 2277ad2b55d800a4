using System.Globalization;
using Declarative.Api.Kinds;
using Declarative.Controllers.Placement.Tasks;

namespace Declarative.Controllers.Placement;

/// <summary>What the slices say about one pod that is going away.</summary>
/// <param name="Revision">R of decision 12: the highest revision of the slices that mark the pod terminating; 0 where it is in no slice.</param>
/// <param name="AllMarked">False while a slice still shows the pod as one that stays.</param>
internal readonly record struct SliceView(long Revision, bool AllMarked)
{
    /// <param name="slices">With their stored revisions.</param>
    public static SliceView Of(string podUid, IEnumerable<(EndpointSlice Slice, long Revision)> slices)
    {
        var (revision, marked) = (0L, true);
        foreach (var (slice, at) in slices)
        {
            foreach (var endpoint in slice.Endpoints)
            {
                if (endpoint.TargetRef?.Uid != podUid) continue;
                if (endpoint.Conditions.IsTerminating) revision = Math.Max(revision, at);
                else if (slice.Metadata.Labels.GetValueOrDefault(EndpointSlice.ManagedByLabel) == EndpointSlice.OurManager) marked = false;
            }
        }
        return new(revision, marked);
    }
}

/// <summary>The traffic contract (architecture.md, decision 12). Pure: TERM is sent when this says that the pod is drained, or its time is over.</summary>
internal static class Drain
{
    public const string SecondsAnnotation = "declarative.mesos/drain-seconds";

    /// <summary>The part of the grace period that draining may use: all but max(1 s, a third), or what the annotation says of it.</summary>
    public static TimeSpan Share(Pod pod)
    {
        var grace = TaskBuilder.GraceSeconds(pod);
        if (grace <= 0) return TimeSpan.Zero;
        var share = Math.Max(0, grace - Math.Max(1, grace / 3.0));
        if (pod.Metadata.Annotations.TryGetValue(SecondsAnnotation, out var text) && double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var asked) && double.IsFinite(asked))
        {
            share = Math.Min(asked, grace);
        }
        return TimeSpan.FromSeconds(share);
    }

    /// <summary>When the grace period began: deletionTimestamp is its end.</summary>
    public static DateTimeOffset Began(Pod pod) => (pod.Metadata.DeletionTimestamp ?? default) - TimeSpan.FromSeconds(TaskBuilder.GraceSeconds(pod));

    public static DateTimeOffset Deadline(Pod pod) => Began(pod) + Share(pod);

    /// <summary>What is left of the grace period for the process after TERM, at least 1 s; zero where the user asked for none.</summary>
    public static TimeSpan Rest(Pod pod, DateTimeOffset now)
    {
        if (TaskBuilder.GraceSeconds(pod) <= 0) return TimeSpan.Zero;
        var rest = (pod.Metadata.DeletionTimestamp ?? now) - now;
        return rest > TimeSpan.FromSeconds(1) ? rest : TimeSpan.FromSeconds(1);
    }

    /// <summary>Nobody stands between the pod and its clients.</summary>
    public static bool NothingToWaitFor(IReadOnlyList<TrafficReport> reports, DateTimeOffset now) => !reports.Any(x => IsFront(x) && x.IsLive(now));

    /// <summary>From now on the slices of the pod show that it goes away.</summary>
    public static bool EndpointsHaveSeen(long deletionRevision, IReadOnlyList<TrafficReport> reports, DateTimeOffset now) =>
        reports.Any(x => x.Spec.Role == "endpoints" && x.IsLive(now) && x.Status.ObservedRevision >= deletionRevision);

    /// <param name="slices">Read after endpoints had seen the deletion.</param>
    /// <param name="waitsFor">The report that is missing, for the event.</param>
    public static bool IsDrained(string podUid, long deletionRevision, SliceView slices, IReadOnlyList<TrafficReport> reports, DateTimeOffset now, out string waitsFor)
    {
        waitsFor = "";
        if (NothingToWaitFor(reports, now)) return true;
        if (!EndpointsHaveSeen(deletionRevision, reports, now))
        {
            waitsFor = "endpoints";
            return false;
        }
        if (!slices.AllMarked)
        {
            waitsFor = "the endpoint slices";
            return false;
        }
        var (revision, inSlices) = slices.Revision > 0 ? (slices.Revision, true) : (deletionRevision, false);
        foreach (var report in reports)
        {
            if (!IsFront(report) || !report.IsLive(now) || report.Spec.Role == "lb" && !inSlices) continue;
            if (report.Status.ObservedRevision >= revision && !report.Status.Draining.Any(x => x.PodUID == podUid && x.InFlight > 0)) continue;
            waitsFor = report.Name;
            return false;
        }
        return true;
    }

    private static bool IsFront(TrafficReport report) => report.Spec.Role is "lb" or "dns";
}
