using System.Globalization;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// The variables that an agent gives to processes: to an executor that a framework brings those of Mesos' executor API
/// (docs/executor-http-api.md, "Environment Variables"), to a task where and for whom it runs.
/// </summary>
internal static class ExecutorEnvironment
{
    public static IReadOnlyList<(string Name, string Value)> Of(AgentWorld world, ExecutorRun run)
    {
        var times = world.Options.Executors;
        var checkpoint = run.Framework.Checkpoint;
        List<(string, string)> variables = Place(world, run, run.Sandbox);
        variables.AddRange(
            [
                ("MESOS_SLAVE_PID", $"slave(1)@{world.Ip}:{world.Options.Port}"),
                ("MESOS_HTTP_COMMAND_EXECUTOR", "0"),
                ("LIBPROCESS_PORT", "0"),
                ("MESOS_CHECKPOINT", checkpoint ? "1" : "0"),
                ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", Duration(run.Executor?.ShutdownGracePeriod is { } given ? TimeSpan.FromTicks(given.Nanoseconds / TimeSpan.NanosecondsPerTick) : times.ShutdownGrace)),
            ]
        );
        if (checkpoint)
        {
            variables.Add(("MESOS_RECOVERY_TIMEOUT", Duration(times.Recovery)));
            variables.Add(("MESOS_SUBSCRIPTION_BACKOFF_MAX", Duration(times.SubscriptionBackoffMax)));
        }

        if (run.Executor?.Resources.FirstOrDefault(resource => resource.AllocationInfo is not null) is { } allocated)
            variables.Add(("MESOS_ALLOCATION_ROLE", allocated.AllocationInfo.Role));
        return variables;
    }

    public static IReadOnlyList<(string Name, string Value)> Of(AgentWorld world, ExecutorRun run, AgentTask task, string sandbox)
    {
        List<(string, string)> variables = Place(world, run, sandbox);
        variables.Add(("MESOS_TASK_ID", task.Id));
        if (task.Info.Resources.FirstOrDefault(resource => resource.AllocationInfo is not null) is { } allocated)
            variables.Add(("MESOS_ALLOCATION_ROLE", allocated.AllocationInfo.Role));
        return variables;
    }

    private static List<(string, string)> Place(AgentWorld world, ExecutorRun run, string sandbox) =>
        [
            .. world.Options.TaskEnvironment,
            ("MESOS_SANDBOX", sandbox),
            ("MESOS_DIRECTORY", sandbox),
            ("MESOS_CONTAINER_IP", world.Ip),
            ("MESOS_FRAMEWORK_ID", run.FrameworkId.Value),
            ("MESOS_EXECUTOR_ID", run.ExecutorId.Value),
            ("MESOS_SLAVE_ID", world.Id!.Value),
            ("MESOS_AGENT_ENDPOINT", $"{world.Ip}:{world.Options.Port}"),
        ];

    // As Mesos prints durations, in the largest unit that gives a whole number.
    private static string Duration(TimeSpan time)
    {
        (double Value, string Unit)[] units = [(time.TotalDays, "days"), (time.TotalHours, "hrs"), (time.TotalMinutes, "mins"), (time.TotalSeconds, "secs")];
        foreach (var (value, unit) in units)
        {
            if (value >= 1 && value == Math.Floor(value))
                return string.Create(CultureInfo.InvariantCulture, $"{value}{unit}");
        }

        return string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds}ms");
    }
}
