using Declarative.Api;
using Declarative.Controllers.CronJobs;
using Declarative.Controllers.DaemonSets;
using Declarative.Controllers.Deployments;
using Declarative.Controllers.Disruption;
using Declarative.Controllers.Endpoints;
using Declarative.Controllers.GarbageCollection;
using Declarative.Controllers.HorizontalPodAutoscalers;
using Declarative.Controllers.Jobs;
using Declarative.Controllers.Namespaces;
using Declarative.Controllers.Quotas;
using Declarative.Controllers.ReplicaSets;
using Declarative.Controllers.ReplicationControllers;
using Declarative.Controllers.StatefulSets;
using Declarative.Controllers.Volumes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Controllers;

/// <summary>One controller: its name, and its loop that runs until stopped.</summary>
public sealed record ControllerRow(string Name, Func<IApi, TimeProvider, Random, CancellationToken, Task> Run);

/// <summary>The controllers that work on the API alone. Each is its own unit with its own views; any of them may run without the others.</summary>
public static class ControllerTable
{
    /// <param name="logs">null = none are written.</param>
    /// <param name="autoscaling">null = as Kubernetes does by default.</param>
    public static IReadOnlyList<ControllerRow> Rows(ILoggerFactory? logs = null, AutoscalerOptions? autoscaling = null)
    {
        logs ??= NullLoggerFactory.Instance;
        return
        [
            Row(DeploymentController.Name, DeploymentController.Run),
            Row(ReplicaSetController.Name, ReplicaSetController.Run),
            Row(JobController.Name, JobController.Run),
            Row(ReplicationControllerController.Name, ReplicationControllerController.Run),
            Row(StatefulSetController.Name, StatefulSetController.Run),
            Row(DaemonSetController.Name, DaemonSetController.Run),
            Row(CronJobController.Name, CronJobController.Run),
            Row(EndpointsController.Name, EndpointsController.Run),
            Row(EndpointsObjectController.Name, EndpointsObjectController.Run),
            Row(DisruptionController.Name, DisruptionController.Run),
            Row(HorizontalPodAutoscalerController.Name, (api, time, random, logger, stop) => HorizontalPodAutoscalerController.Run(api, autoscaling ?? new(), time, random, logger, stop)),
            Row(QuotaController.Name, QuotaController.Run),
            Row(VolumeController.Name, VolumeController.Run),
            Row(GarbageController.Name, GarbageController.Run),
            Row(NamespaceController.Name, NamespaceController.Run),
        ];

        ControllerRow Row(string name, Func<IApi, TimeProvider, Random, ILogger, CancellationToken, Task> run)
        {
            var logger = logs.CreateLogger(name);
            return new(name, (api, time, random, stop) => run(api, time, random, logger, stop));
        }
    }
}
