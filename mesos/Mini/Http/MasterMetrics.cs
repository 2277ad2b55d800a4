using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Http;

/// <summary>/metrics/snapshot: gauges of what there is now, and what was counted, under the names that monitoring of Mesos looks at.</summary>
internal static class MasterMetrics
{
    public static IReadOnlyList<(string Name, double Value)> Of(Cluster cluster)
    {
        var agents = cluster.Agents.Values;
        var frameworks = cluster.Frameworks.Values;
        List<(string, double)> metrics =
        [
            ("master/elected", 1),
            ("master/uptime_secs", (cluster.Now - cluster.Started).TotalSeconds),
            ("master/slaves_active", agents.Count(agent => agent.Slot.Active)),
            ("master/slaves_connected", agents.Count(agent => agent.Connection is not null)),
            ("master/slaves_disconnected", agents.Count(agent => agent.Connection is null)),
            ("master/slaves_inactive", agents.Count(agent => !agent.Slot.Active)),
            ("master/slaves_unreachable", cluster.UnreachableAgents.Count),
            ("master/frameworks_active", frameworks.Count(framework => framework.Claimant.Active)),
            ("master/frameworks_connected", frameworks.Count(framework => framework.IsConnected)),
            ("master/frameworks_disconnected", frameworks.Count(framework => !framework.IsConnected)),
            ("master/frameworks_inactive", frameworks.Count(framework => !framework.Claimant.Active)),
            ("master/outstanding_offers", cluster.Offers.Count),
            ("master/operator_event_stream_subscribers", cluster.Operators.Count),
            ("master/tasks_staging", Count(cluster, TaskState.TaskStaging)),
            ("master/tasks_starting", Count(cluster, TaskState.TaskStarting)),
            ("master/tasks_running", Count(cluster, TaskState.TaskRunning)),
            ("master/tasks_killing", Count(cluster, TaskState.TaskKilling)),
            ("master/tasks_unreachable", frameworks.Sum(framework => framework.Unreachable.Count)),
            ("master/operations/pending", frameworks.Sum(framework => framework.Operations.Values.Count(one => one.Record.LatestStatus.State == OperationState.OperationPending))),
        ];
        foreach (var name in (string[])["cpus", "mem", "disk", "gpus"])
            Resource(metrics, cluster, name);
        metrics.AddRange(cluster.Counters.All);
        metrics.AddRange(SystemStatistics.Metrics());
        return metrics;
    }

    // What may be taken back at any time is counted apart.
    private static void Resource(List<(string, double)> metrics, Cluster cluster, string name)
    {
        var agents = cluster.Agents.Values;
        var used = agents.SelectMany(agent => OperatorViews.Used(agent).Select(part => part.Resources)).ToList();
        var (total, kept) = (agents.Sum(agent => agent.Slot.Total.Scalar(name)), agents.Sum(agent => agent.Slot.Total.WithoutRevocable().Scalar(name)));
        var (inUse, keptInUse) = (used.Sum(part => part.Scalar(name)), used.Sum(part => part.WithoutRevocable().Scalar(name)));
        Add("", kept, keptInUse);
        Add("_revocable", total - kept, inUse - keptInUse);
        if (name == "gpus")
            return;
        metrics.Add(($"allocator/mesos/resources/{name}/total", Milli.ToDouble(total)));
        metrics.Add(($"allocator/mesos/resources/{name}/offered_or_allocated", Milli.ToDouble(total - agents.Sum(agent => agent.Slot.Available.Scalar(name)))));

        void Add(string kind, long all, long taken)
        {
            metrics.Add(($"master/{name}{kind}_total", Milli.ToDouble(all)));
            metrics.Add(($"master/{name}{kind}_used", Milli.ToDouble(taken)));
            metrics.Add(($"master/{name}{kind}_percent", all == 0 ? 0 : (double)taken / all));
        }
    }

    private static double Count(Cluster cluster, TaskState state) =>
        cluster.Frameworks.Values.Sum(framework => framework.Tasks.Values.Count(task => task.Record.State == state));
}
