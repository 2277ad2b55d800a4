using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Jobs;

/// <summary>Job → Pods.</summary>
internal static class JobController
{
    public const string Name = "job-controller";

    /// <summary>Index of held pods by the job they were made for, whoever owns them now.</summary>
    private const string HeldFor = "held-for";

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var jobs = new Informer<Job>(api, Kind.Job, Job.Read, time, random) { KeepJson = true, Logger = logger };
        var pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, random) { Logger = logger }
            .AddIndex(Ownership.ByController, Ownership.ControllerUid)
            .AddIndex(Ownership.Orphans, Ownership.OrphanNamespace)
            .AddIndex(HeldFor, pod => pod.IsHeld() && JobOf(pod) is { } name ? $"{pod.Namespace}/{name}" : null);
        var controller = new Controller<ObjectName>(Name, api, time, Compute)
        {
            Views = [jobs, pods],
            Events = new(api, Name, time, random) { Logger = logger },
            Logger = logger,
        };
        jobs.OnChange(change => controller.Queue.Add(ObjectName.Of(change.Object)));
        pods.OnChange(change =>
        {
            foreach (var pod in new[] { change.Old, change.New })
            {
                if (pod is null) continue;
                if (pod.Metadata.Controller is { Kind: "Job" } || pod.IsHeld())
                {
                    if (JobOf(pod) is { } name) controller.Queue.Add(new(pod.Namespace, name));
                }
                else if (pod.Metadata.Controller is null && !pod.Metadata.IsDeleting)
                {
                    foreach (var job in jobs.ListNamespace(pod.Namespace))
                    {
                        if (job.Spec.Selector.ToSelector().Matches(pod.Metadata.Labels)) controller.Queue.Add(ObjectName.Of(job));
                    }
                }
            }
        });
        return controller.Run(stop);

        async ValueTask<Plan> Compute(ObjectName key, CancellationToken stopped)
        {
            var entry = jobs.Entry(key.Namespace, key.Name);
            // Pods of a job that is gone, or of an earlier one of the name: nobody counts them.
            var strays = pods.ByIndex(HeldFor, $"{key.Namespace}/{key.Name}").Where(x => entry is null || x.Metadata.Controller?.Uid != entry.Uid).ToList();
            if (strays.Count > 0)
            {
                // The view of jobs may be behind that of pods: the server itself is asked.
                var present = await Uid(api, ResourceKey.Of(Kind.Job, key.Namespace, key.Name), stopped);
                var released = strays.Where(x => present.Length == 0 || x.Metadata.Controller?.Uid != present && x.Metadata.Controller is not null).Select(JobPods.Release).ToList();
                if (released.Count > 0) return new() { Changes = released, LookAgainIn = entry is null ? null : TimeSpan.FromMilliseconds(1) };
            }
            if (entry is null) return Plan.Nothing;
            var isCurrent = pods.Revision >= long.Parse(entry.Object.Metadata.ResourceVersion, CultureInfo.InvariantCulture);
            return JobPlan.Compute(
                entry.Object, TemplateJson.Of(entry.Json), pods.ByIndex(Ownership.ByController, entry.Uid), pods.ByIndex(Ownership.Orphans, key.Namespace), isCurrent, time.GetUtcNow());
        }
    }

    private static string? JobOf(Pod pod) => pod.Metadata.Controller is { Kind: "Job" } owner ? owner.Name : pod.Metadata.Labels.GetValueOrDefault(Job.NameLabel);

    /// <summary>"" where there is none.</summary>
    private static async Task<string> Uid(IApi api, ResourceKey key, CancellationToken stop)
    {
        try
        {
            return ApiObject.Read((await api.Get(key, stop: stop)).Json).Uid;
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return "";
        }
    }
}
