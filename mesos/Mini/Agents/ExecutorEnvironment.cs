namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// The variables that an agent gives to processes: to an executor that a framework brings those of Mesos' executor API
/// (docs/executor-http-api.md, "Environment Variables"), to a task where and for whom it runs.
/// </summary>
internal static class ExecutorEnvironment
{
    /// <summary>Whoever has it speaks as the executor: it is the executor's alone.</summary>
    public const string Token = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN";

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
                ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", DurationText.Of(run.Executor?.ShutdownGracePeriod is { } given ? TimeSpan.FromTicks(given.Nanoseconds / TimeSpan.NanosecondsPerTick) : times.ShutdownGrace)),
            ]
        );
        if (checkpoint)
        {
            variables.Add(("MESOS_RECOVERY_TIMEOUT", DurationText.Of(times.Recovery)));
            variables.Add(("MESOS_SUBSCRIPTION_BACKOFF_MAX", DurationText.Of(times.SubscriptionBackoffMax)));
        }

        if (run.Executor?.Resources.FirstOrDefault(resource => resource.AllocationInfo is not null) is { } allocated)
            variables.Add(("MESOS_ALLOCATION_ROLE", allocated.AllocationInfo.Role));
        if (world.Options.ExecutorKey is { } key)
            variables.Add((Token, ExecutorTokens.Make(key, new(run.FrameworkId.Value, run.ExecutorId.Value, run.Container.Value))));
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
}
