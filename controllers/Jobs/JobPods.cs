using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.Jobs;

/// <summary>What a job asks of its pods, and the making of them (Kubernetes doc "Jobs").</summary>
internal static class JobPods
{
    /// <summary>Annotation: how often pods of this index failed before this one (backoffLimitPerIndex).</summary>
    public const string FailureCount = "batch.kubernetes.io/job-index-failure-count";

    private const string IndexVariable = "JOB_COMPLETION_INDEX";

    /// <summary>null where the pod has none that can be read.</summary>
    public static int? Index(this Pod pod) =>
        pod.Metadata.Annotations.TryGetValue(Job.IndexLabel, out var text) && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : null;

    public static int IndexFailures(this Pod pod) =>
        pod.Metadata.Annotations.TryGetValue(FailureCount, out var text) && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : 0;

    public static bool IsHeld(this Pod pod) => pod.Metadata.Finalizers.Contains(Job.TrackingFinalizer);

    /// <summary>When the last of its containers ended; where none tells, when it was marked for deletion or lost its readiness.</summary>
    public static DateTimeOffset FinishedAt(this Pod pod, DateTimeOffset now)
    {
        var ended = pod.Status.ContainerStatuses.Select(x => x.State.Terminated?.FinishedAt).Max();
        return ended ?? pod.Metadata.DeletionTimestamp?.AddSeconds(-(pod.Metadata.DeletionGracePeriodSeconds ?? 0))
            ?? pod.Status.Conditions.FirstOrDefault(x => x.Type == "Ready")?.LastTransitionTime ?? pod.Metadata.CreationTimestamp ?? now;
    }

    /// <summary>
    /// Whether the pod counts as failed. A pod that is on its way out does so at once, unless its job replaces only what has ended; then one that
    /// never ran, or whose removal waits for nothing but the job, has ended too.
    /// </summary>
    public static bool HasFailed(this Pod pod, Job job)
    {
        if (pod.Status.Phase == "Failed") return true;
        if (pod.Status.Phase == "Succeeded" || !pod.Metadata.IsDeleting) return false;
        return !OnlyEnded(job) || pod.Status.Phase is "Pending" or "" || pod.Metadata.DeletionGracePeriodSeconds == 0;
    }

    public static bool OnlyEnded(Job job) => job.Spec.PodReplacementPolicy == "Failed" || job.Spec.PodFailurePolicy is not null;

    public static Create Make(Job job, TemplateJson template, int? index, int failures)
    {
        var draft = template.Draft(job.Namespace, Kind.Job, job).HeldBy(Job.TrackingFinalizer);
        if (index is not { } of)
        {
            draft.NamedLike(job.Name + "-");
        }
        else
        {
            var text = of.ToString(CultureInfo.InvariantCulture);
            draft.NamedLike($"{job.Name}-{text}-").Annotate(Job.IndexLabel, text).Label(Job.IndexLabel, text);
            if (job.Spec.BackoffLimitPerIndex is not null) draft.Annotate(FailureCount, failures.ToString(CultureInfo.InvariantCulture));
            draft.Spec["hostname"] = $"{job.Name}-{text}";
            foreach (var container in draft.Containers) AddIndex(container);
        }
        return Change.Create(ResourceKey.Of(Kind.Pod, job.Namespace, ""), draft.ToJson());
    }

    /// <summary>Lets a pod go. metadata.uid is the precondition.</summary>
    public static Patch Release(Pod pod) => new(ResourceKey.Of(Kind.Pod, pod.Namespace, pod.Name), PatchKind.Strategic, Body.Of(json => json.Object("metadata", meta =>
    {
        meta.WriteString("uid"u8, pod.Uid);
        meta.Strings("$deleteFromPrimitiveList/finalizers", [Job.TrackingFinalizer]);
    })));

    public static Delete Remove(Pod pod) => Change.Delete(ResourceKey.Of(Kind.Pod, pod.Namespace, pod.Name), pod.Uid);

    private static void AddIndex(JsonObject container)
    {
        if (container["env"] is not JsonArray env) container["env"] = env = [];
        if (env.Any(x => (string?)x?["name"] == IndexVariable)) return;
        env.Add(new JsonObject { ["name"] = IndexVariable, ["valueFrom"] = new JsonObject { ["fieldRef"] = new JsonObject { ["fieldPath"] = $"metadata.labels['{Job.IndexLabel}']" } } });
    }
}
