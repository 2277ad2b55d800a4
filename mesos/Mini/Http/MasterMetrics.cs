using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The gauges of /metrics/snapshot that monitoring of Mesos looks at, under their own names.</summary>
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
            ("master/outstanding_offers", cluster.Offers.Count),
            ("master/tasks_staging", Count(cluster, TaskState.TaskStaging)),
            ("master/tasks_starting", Count(cluster, TaskState.TaskStarting)),
            ("master/tasks_running", Count(cluster, TaskState.TaskRunning)),
            ("master/tasks_killing", Count(cluster, TaskState.TaskKilling)),
            ("master/tasks_unreachable", frameworks.Sum(framework => framework.Unreachable.Count)),
        ];
        foreach (var name in (string[])["cpus", "mem", "disk", "gpus"])
        {
            var total = agents.Sum(agent => agent.Slot.Total.Scalar(name));
            var used = agents.Sum(agent => OperatorViews.Used(agent).Sum(part => part.Resources.Scalar(name)));
            metrics.Add(($"master/{name}_total", Milli.ToDouble(total)));
            metrics.Add(($"master/{name}_used", Milli.ToDouble(used)));
            metrics.Add(($"master/{name}_percent", total == 0 ? 0 : (double)used / total));
        }

        return metrics;
    }

    private static double Count(Cluster cluster, TaskState state) =>
        cluster.Frameworks.Values.Sum(framework => framework.Tasks.Values.Count(task => task.Record.State == state));
}
