using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
using CheckType = Declarative.Mesos.Protocol.CheckInfo.Types.Type;
using HealthCheckType = Declarative.Mesos.Protocol.HealthCheck.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>Whether a task can be launched from an offer. Texts as a real master words them.</summary>
internal static class TaskValidation
{
    private const int IdCharactersMax = 255;

    /// <summary>What is wrong with the task itself, whatever is left of the offer; null when nothing is.</summary>
    public static string? Fault(TaskInfo task, Framework framework, Agent agent, string role, bool inGroup)
    {
        if (IdFault(task.TaskId.Value) is { } id)
            return id;
        if (framework.Tasks.ContainsKey(task.TaskId.Value))
            return $"Task has duplicate ID: {task.TaskId.Value}";
        // It may come back with its agent, and then there would be two of one id.
        if (framework.Unreachable.ContainsKey(task.TaskId.Value))
            return $"Task reuses the ID of an unreachable task: {task.TaskId.Value}";
        if (task.AgentId.Value != agent.Id)
            return $"Task uses invalid agent {task.AgentId.Value} while agent {agent.Id} is expected";
        if (task.KillPolicy?.GracePeriod?.Nanoseconds < 0)
            return "Task's 'kill_policy.grace_period' must be non-negative";
        if (task.MaxCompletionTime?.Nanoseconds < 0)
            return "Task's 'max_completion_time' must be non-negative";
        if (task.Check is { } check && CheckFault(check) is { } wrongCheck)
            return $"Task uses invalid check: {wrongCheck}";
        if (task.HealthCheck is { } health && HealthCheckFault(health) is { } wrongHealth)
            return $"Task uses invalid health check: {wrongHealth}";
        if (task.Resources.Count == 0)
            return "Task uses no resources";
        if (ResourceFault(task.Resources) is { } resource)
            return resource;
        if (RoleFault(task.Resources, role) is { } roles)
            return $"Invalid task resources: {roles}";
        if (inGroup && task.Executor is not null)
            return "'TaskInfo.executor' must not be set";
        if (!inGroup && task.Executor is null == task.Command is null)
            return "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present";
        return null;
    }

    /// <summary>What is wrong with the executor of a group.</summary>
    public static string? ExecutorFault(ExecutorInfo executor, Framework framework, string role)
    {
        if (IdFault(executor.ExecutorId.Value) is { } id)
            return id;
        if (executor.FrameworkId is { } owner && owner.Value != framework.Id)
            return $"ExecutorInfo has an invalid FrameworkID (Actual: {owner.Value} vs Expected: {framework.Id})";
        if (ResourceFault(executor.Resources) is { } resource)
            return resource;
        if (RoleFault(executor.Resources, role) is { } roles)
            return $"Invalid executor resources: {roles}";
        if (executor.Type == ExecutorInfo.Types.Type.Unknown)
            return "Unknown executor type";
        if (executor.Type == ExecutorInfo.Types.Type.Custom && executor.Command is null)
            return "'ExecutorInfo.command' must be set for 'CUSTOM' executor";
        if (executor.Type == ExecutorInfo.Types.Type.Default)
        {
            if (executor.Command is not null)
                return "'ExecutorInfo.command' must not be set for 'DEFAULT' executor";
            var bag = ResourceBag.Of(executor.Resources);
            if (TooLittle(bag, "cpus", 10, "CPUs", "0.01") is { } cpus)
                return $"Executor '{executor.ExecutorId.Value}' {cpus}";
            if (TooLittle(bag, "mem", 32_000, "memory", "32MB") is { } mem)
                return $"Executor '{executor.ExecutorId.Value}' {mem}";
            if (TooLittle(bag, "disk", 1, "disk", "more than 0") is { } disk)
                return $"Executor '{executor.ExecutorId.Value}' {disk}";
        }

        return null;
    }

    /// <summary>An executor that runs already is not to be another one now.</summary>
    /// <param name="executor">As the agent would get it: with its framework's id and the role of its resources.</param>
    public static string? ChangeFault(ExecutorInfo executor, Agent agent) =>
        agent.Executors.TryGetValue((executor.FrameworkId.Value, executor.ExecutorId.Value), out var running) && !running.Record.Equals(executor)
            ? $"ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID: {executor} instead of {running.Record}"
            : null;

    private static string? TooLittle(ResourceBag bag, string name, long milliMin, string word, string minimum)
    {
        var milli = bag.Scalar(name);
        return milli >= milliMin ? null : $"uses less {word} ({(milli == 0 ? "None" : Milli.ToText(milli))}) than the minimum required ({minimum})";
    }

    private static string? IdFault(string id)
    {
        if (id.Length == 0)
            return "ID must not be empty";
        if (id.Length > IdCharactersMax)
            return $"ID must not be greater than {IdCharactersMax} characters";
        if (id is "." or "..")
            return $"'{id}' is disallowed";
        foreach (var character in id)
        {
            if (char.IsControl(character) || character is '/' or '\\')
                return $"'{id}' contains invalid characters";
        }

        return null;
    }

    public static string? ResourceFault(IEnumerable<Resource> resources)
    {
        foreach (var resource in resources)
        {
            if (ResourceFault(resource) is { } fault)
                return fault;
        }

        return null;
    }

    private static string? ResourceFault(Resource resource)
    {
        switch (resource.Type)
        {
            case Value.Types.Type.Scalar when resource.Scalar is null:
                return $"Resource '{resource.Name}' is invalid: Invalid scalar resource";
            case Value.Types.Type.Scalar when Milli.Of(resource.Scalar.Value) is var milli && milli <= 0:
                return $"Resource '{resource.Name}:{Milli.ToText(milli)}' is invalid: Invalid scalar resource: value <= 0";
            case Value.Types.Type.Ranges when resource.Ranges is null || resource.Ranges.Range.Count == 0:
                return $"Resource '{resource.Name}' is invalid: Invalid ranges resource";
            case Value.Types.Type.Ranges when resource.Ranges.Range.Any(range => range.Begin > range.End):
                return $"Resource '{resource.Name}' is invalid: Invalid ranges resource: begin > end";
            case Value.Types.Type.Ranges when !Disjoint(resource.Ranges):
                return $"Resource '{resource.Name}' is invalid: Invalid ranges resource: overlapping ranges";
            case Value.Types.Type.Set when resource.Set is null:
                return $"Resource '{resource.Name}' is invalid: Invalid set resource";
            case Value.Types.Type.Set when resource.Set.Item.Distinct().Count() != resource.Set.Item.Count:
                return $"Resource '{resource.Name}' is invalid: Invalid set resource: duplicated elements";
            case Value.Types.Type.Text:
                return $"Resource '{resource.Name}' is invalid: Unsupported resource type";
            default:
                return null;
        }
    }

    private static bool Disjoint(Value.Types.Ranges ranges)
    {
        ulong sum = 0;
        foreach (var range in ranges.Range)
            sum += range.End - range.Begin + 1;
        return RangeSet.Of(ranges).Count == sum;
    }

    private static string? RoleFault(IEnumerable<Resource> resources, string role)
    {
        foreach (var resource in resources)
        {
            if (resource.AllocationInfo is { HasRole: true } allocation && allocation.Role != role)
            {
                return $"The resources have multiple allocation roles ('{role}' and '{allocation.Role}')"
                    + " but only one allocation role is allowed";
            }
        }

        return null;
    }

    private static string? CheckFault(CheckInfo check) =>
        check.Type switch
        {
            _ when !check.HasType || check.Type == CheckType.Unknown => "CheckInfo must specify 'type'",
            CheckType.Command when check.Command?.Command_ is null => "Expecting 'command' to be set for COMMAND check",
            CheckType.Http when check.Http is null => "Expecting 'http' to be set for HTTP check",
            CheckType.Tcp when check.Tcp is null => "Expecting 'tcp' to be set for TCP check",
            _ when check.DelaySeconds < 0 => "Expecting 'delay_seconds' to be non-negative",
            _ when check.IntervalSeconds < 0 => "Expecting 'interval_seconds' to be non-negative",
            _ when check.TimeoutSeconds < 0 => "Expecting 'timeout_seconds' to be non-negative",
            _ => null,
        };

    private static string? HealthCheckFault(HealthCheck check) =>
        check.Type switch
        {
            _ when !check.HasType || check.Type == HealthCheckType.Unknown => "HealthCheck must specify 'type'",
            HealthCheckType.Command when check.Command is null => "Expecting 'command' to be set for COMMAND health check",
            HealthCheckType.Http when check.Http is null => "Expecting 'http' to be set for HTTP health check",
            HealthCheckType.Tcp when check.Tcp is null => "Expecting 'tcp' to be set for TCP health check",
            _ when check.DelaySeconds < 0 => "Expecting 'delay_seconds' to be non-negative",
            _ when check.IntervalSeconds < 0 => "Expecting 'interval_seconds' to be non-negative",
            _ when check.TimeoutSeconds < 0 => "Expecting 'timeout_seconds' to be non-negative",
            _ when check.GracePeriodSeconds < 0 => "Expecting 'grace_period_seconds' to be non-negative",
            _ => null,
        };
}
