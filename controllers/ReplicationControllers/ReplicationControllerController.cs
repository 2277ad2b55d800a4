using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Controllers.ReplicaSets;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.ReplicationControllers;

/// <summary>ReplicationController → Pods, by the plan of a ReplicaSet.</summary>
internal static class ReplicationControllerController
{
    public const string Name = "replication-controller";

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop) =>
        ReplicaSetController.Run(Name, Kind.ReplicationController, ReplicationController.ReadAsSet, api, time, random, logger, stop);
}
