using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Matching;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>The operation that launches a pod's attempt, or why it cannot be built yet.</summary>
internal sealed record BuiltTask(Offer.Types.Operation? Operation, IReadOnlyList<string> Missing, IReadOnlyList<string> Warnings);

/// <summary>A pod as Mesos tasks: one container is a command task (LAUNCH), several are a group on the default executor (LAUNCH_GROUP). Pure.</summary>
internal static class TaskBuilder
{
    private const long DefaultGraceSeconds = 30;

    public static BuiltTask Build(Pod pod, TaskContext context)
    {
        var (missing, warnings) = (new List<string>(), new List<string>());
        var group = pod.Spec.Containers.Count > 1;
        var tasks = new List<TaskInfo>(pod.Spec.Containers.Count);
        foreach (var container in pod.Spec.Containers)
        {
            var environment = ContainerEnvironment.Of(pod, container, context);
            missing.AddRange(environment.Missing);
            var task = Task(pod, container, group, environment, context, warnings);
            missing.AddRange(Mounts.Add(pod, container, context.Volumes, task));
            tasks.Add(task);
        }
        if (pod.Spec.InitContainers.Count > 0) missing.Add($"initContainers are not supported yet ({pod.Spec.InitContainers[0].Name})");
        if (tasks.Count == 0) missing.Add("the pod has no containers");
        if (missing.Count > 0) return new(null, missing, warnings);
        if (group) return new(Group(pod, tasks, context), missing, warnings);
        var operation = new Offer.Types.Operation { Type = Offer.Types.Operation.Types.Type.Launch, Launch = new() };
        operation.Launch.TaskInfos.Add(tasks[0]);
        return new(operation, missing, warnings);
    }

    public static long GraceSeconds(Pod pod) => pod.Metadata.DeletionGracePeriodSeconds ?? pod.Spec.TerminationGracePeriodSeconds ?? DefaultGraceSeconds;

    public static DurationInfo Duration(TimeSpan time) => new() { Nanoseconds = time.Ticks * 100 };

    private static Offer.Types.Operation Group(Pod pod, List<TaskInfo> tasks, TaskContext context)
    {
        var executor = new ExecutorInfo
        {
            Type = ExecutorInfo.Types.Type.Default,
            ExecutorId = new() { Value = new PodTask(pod.Uid, context.Attempt).AttemptId },
            FrameworkId = new() { Value = context.FrameworkId },
            ShutdownGracePeriod = Grace(pod),
        };
        executor.Resources.Add(Scalars(Demand.GroupExecutor));
        var launch = new Offer.Types.Operation.Types.LaunchGroup { Executor = executor, TaskGroup = new() };
        launch.TaskGroup.Tasks.Add(tasks);
        return new() { Type = Offer.Types.Operation.Types.Type.LaunchGroup, LaunchGroup = launch };
    }

    private static TaskInfo Task(Pod pod, Container container, bool group, ContainerEnvironment environment, TaskContext context, List<string> warnings)
    {
        var task = new TaskInfo
        {
            Name = context.Name,
            TaskId = new() { Value = new PodTask(pod.Uid, context.Attempt, group ? container.Name : "").TaskId },
            AgentId = new() { Value = context.AgentId },
            Command = Command(container, environment),
            KillPolicy = new() { GracePeriod = Grace(pod) },
            Labels = Labels(pod),
            Discovery = Discovery(container, context),
        };
        task.Resources.Add(Scalars(Demand.Of(container)));
        if (Ports(container, context) is { } ports) task.Resources.Add(ports);
        if (container.Image.Length > 0)
        {
            task.Container = new()
            {
                Type = ContainerInfo.Types.Type.Mesos,
                Mesos = new() { Image = new() { Type = Image.Types.Type.Docker, Docker = new() { Name = container.Image } } },
            };
        }
        if (container.Tty || container.Stdin)
        {
            task.Container ??= new() { Type = ContainerInfo.Types.Type.Mesos };
            task.Container.TtyInfo = new();
            if (!container.Tty) task.Labels.Labels_.Add(new Label { Key = TaskLabels.Input, Value = TaskLabels.Pipe });
        }
        if (context.SetLimits) AddLimits(task, container.Resources);
        if (ProbeMap.Health(container, context, warnings) is { } health) task.HealthCheck = health;
        if (ProbeMap.Check(container, context, warnings) is { } check) task.Check = check;
        return task;
    }

    /// <summary>The argv as it stands, without a shell. A working directory needs one to change into it.</summary>
    private static CommandInfo Command(Container container, ContainerEnvironment environment)
    {
        List<string> argv = [.. container.Command.Concat(container.Args).Select(x => Expansion.Expand(x, environment.Values))];
        var info = new CommandInfo { Shell = false, Environment = new() };
        foreach (var (name, value) in environment.InOrder) info.Environment.Variables.Add(new Mesos.Protocol.Environment.Types.Variable { Name = name, Value = value });
        if (container.Image.Length > 0 && container.Command.Count == 0)
        {
            // The image's entrypoint with these arguments.
            info.Arguments.Add(argv);
            return info;
        }
        if (container.WorkingDir.Length > 0 && container.Image.Length == 0) argv = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", container.WorkingDir, .. argv];
        info.Value = argv.Count > 0 ? argv[0] : "";
        info.Arguments.Add(argv);
        return info;
    }

    private static DurationInfo Grace(Pod pod) => Duration(TimeSpan.FromSeconds(pod.Spec.TerminationGracePeriodSeconds ?? DefaultGraceSeconds));

    private static Labels Labels(Pod pod)
    {
        var labels = new Labels();
        labels.Labels_.Add(new Label { Key = TaskLabels.Pod, Value = $"{pod.Namespace}/{pod.Name}" });
        foreach (var (key, value) in pod.Metadata.Labels.OrderBy(x => x.Key, StringComparer.Ordinal)) labels.Labels_.Add(new Label { Key = key, Value = value });
        return labels;
    }

    private static DiscoveryInfo Discovery(Container container, TaskContext context)
    {
        var discovery = new DiscoveryInfo { Visibility = DiscoveryInfo.Types.Visibility.Framework, Name = context.Name, Ports = new() };
        foreach (var port in container.Ports)
        {
            var info = new Port { Number = (uint)context.HostPort(container.Name, port.Number), Protocol = port.Protocol.ToLowerInvariant() };
            if (port.Name.Length > 0) info.Name = port.Name;
            discovery.Ports.Ports_.Add(info);
        }
        return discovery;
    }

    private static void AddLimits(TaskInfo task, ResourceRequirements resources)
    {
        if (resources.Limits.TryGetValue("cpu", out var cpu)) task.Limits["cpus"] = new() { Value = cpu.AsDouble };
        if (resources.Limits.TryGetValue("memory", out var memory)) task.Limits["mem"] = new() { Value = Amounts.MiB(memory.Value) / 1000.0 };
    }

    private static IEnumerable<Resource> Scalars(Amounts amounts)
    {
        yield return Scalar("cpus", amounts.Cpus);
        yield return Scalar("mem", amounts.Mem);
        if (amounts.Disk > 0) yield return Scalar("disk", amounts.Disk);
        if (amounts.Gpus > 0) yield return Scalar("gpus", amounts.Gpus);
    }

    private static Resource Scalar(string name, long thousandths) =>
        new() { Name = name, Type = Value.Types.Type.Scalar, Scalar = new() { Value = thousandths / 1000.0 } };

    private static Resource? Ports(Container container, TaskContext context)
    {
        if (container.Ports.Count == 0) return null;
        var ranges = new Value.Types.Ranges();
        foreach (var port in container.Ports.Select(x => (ulong)context.HostPort(container.Name, x.Number)).Distinct().Order())
        {
            if (ranges.Range.Count > 0 && ranges.Range[^1].End + 1 == port) ranges.Range[^1].End = port;
            else ranges.Range.Add(new Value.Types.Range { Begin = port, End = port });
        }
        return new() { Name = "ports", Type = Value.Types.Type.Ranges, Ranges = ranges };
    }
}
