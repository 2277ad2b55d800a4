using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.CronJobs;

/// <summary>CronJob → Jobs.</summary>
internal static class CronJobController
{
    public const string Name = "cronjob-controller";

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var crons = new Informer<CronJob>(api, Kind.CronJob, CronJob.Read, time, random) { KeepJson = true, Logger = logger };
        var jobs = new Informer<Job>(api, Kind.Job, Job.Read, time, random) { Logger = logger }.AddIndex(Ownership.ByController, Ownership.ControllerUid);
        var controller = new Controller<ObjectName>(Name, api, time, (key, _) => new(Compute(key)))
        {
            Views = [crons, jobs],
            Events = new(api, Name, time, random) { Logger = logger },
            Logger = logger,
        };
        crons.OnChange(change => controller.Queue.Add(ObjectName.Of(change.Object)));
        jobs.OnChange(change =>
        {
            if (change.Object.Metadata.Controller is { Kind: "CronJob" } owner) controller.Queue.Add(new(change.Object.Namespace, owner.Name));
        });
        return controller.Run(stop);

        Plan Compute(ObjectName key)
        {
            if (crons.Entry(key.Namespace, key.Name) is not { } entry) return Plan.Nothing;
            return CronJobPlan.Compute(
                entry.Object, entry.Json, jobs.ByIndex(Ownership.ByController, entry.Uid), name => jobs.Get(key.Namespace, name) is not null, time.GetUtcNow());
        }
    }
}
