using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Resources;
using Capability = Declarative.Mesos.Protocol.FrameworkInfo.Types.Capability.Types.Type;
using OperationType = Declarative.Mesos.Protocol.Offer.Types.Operation.Types.Type;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;
using Reason = Declarative.Mesos.Protocol.TaskStatus.Types.Reason;

namespace Declarative.Mesos.Mini.Master;

/// <summary>ACCEPT and DECLINE: offers become tasks, or resources that are free again.</summary>
internal sealed class Accepting(Cluster cluster, OperationDesk operations, MaintenanceDesk maintenance)
{
    public void Accept(Framework framework, Call.Types.Accept accept)
    {
        if (OfferFault(framework, accept.OfferIds) is { } fault)
        {
            GiveBack(framework, accept.OfferIds);
            foreach (var task in accept.Operations.SelectMany(TasksOf))
            {
                var state = framework.PartitionAware ? TaskState.TaskDropped : TaskState.TaskLost;
                Refuse(framework, task, state, Reason.InvalidOffers, $"Task launched with invalid offers: {fault}");
            }

            foreach (var operation in accept.Operations.Where(operation => !IsLaunch(operation)))
                operations.Refuse(framework, operation, OperationState.OperationDropped, $"Operation with invalid offers: {fault}");
            return;
        }

        var left = new ResourceBag();
        Agent? agent = null;
        var role = "";
        foreach (var id in accept.OfferIds)
        {
            var offer = cluster.Offers[id.Value];
            (agent, role) = (offer.Agent, offer.Role);
            left.Add(offer.Resources);
            cluster.Withdraw(offer);
        }

        foreach (var operation in accept.Operations)
        {
            switch (operation.Type)
            {
                case OperationType.Launch when operation.Launch is { } launch:
                    foreach (var task in launch.TaskInfos)
                        Launch(framework, agent!, role, task, left);
                    break;
                case OperationType.LaunchGroup when operation.LaunchGroup is { } group:
                    Launch(framework, agent!, role, group, left);
                    break;
                default:
                    operations.Perform(framework, agent!, role, operation, left);
                    break;
            }
        }

        Refuse(framework, agent!, role, left, accept.Filters);
        cluster.Recover(framework, agent!, role, left);
    }

    public void Decline(Framework framework, Call.Types.Decline decline)
    {
        foreach (var id in decline.OfferIds)
        {
            if (!framework.Offers.TryGetValue(id.Value, out var offer))
                continue;
            cluster.Withdraw(offer);
            Refuse(framework, offer.Agent, offer.Role, offer.Resources, decline.Filters);
            cluster.Recover(offer);
        }
    }

    private static bool IsLaunch(Operation operation) => operation.Type is OperationType.Launch or OperationType.LaunchGroup;

    private static IEnumerable<TaskInfo> TasksOf(Operation operation) =>
        operation.Type switch
        {
            OperationType.Launch => operation.Launch?.TaskInfos ?? [],
            OperationType.LaunchGroup => operation.LaunchGroup?.TaskGroup.Tasks ?? [],
            _ => [],
        };

    private string? OfferFault(Framework framework, IReadOnlyCollection<OfferID> ids)
    {
        if (ids.Count == 0)
            return "No offers specified";
        Offer? first = null;
        HashSet<string> seen = [];
        foreach (var id in ids)
        {
            if (!seen.Add(id.Value))
                return $"Duplicate offer {id.Value} in offer list";
            if (!cluster.Offers.TryGetValue(id.Value, out var offer))
                return $"Offer {id.Value} is no longer valid";
            if (offer.Framework != framework)
                return $"Offer {id.Value} has invalid framework {offer.Framework.Id} while framework {framework.Id} is expected";
            first ??= offer;
            if (offer.Agent != first.Agent)
            {
                return "Aggregated offers must belong to one single agent."
                    + $" Offer {id.Value} uses agent {offer.Agent.Id} and agent {first.Agent.Id}";
            }

            if (offer.Role != first.Role)
            {
                return "Aggregated offers must be allocated to the same role."
                    + $" Offer {id.Value} uses role {offer.Role} but another is using role {first.Role}";
            }
        }

        return null;
    }

    private void GiveBack(Framework framework, IEnumerable<OfferID> ids)
    {
        foreach (var id in ids)
        {
            if (!framework.Offers.TryGetValue(id.Value, out var offer))
                continue;
            cluster.Withdraw(offer);
            cluster.Recover(offer);
        }
    }

    private void Refuse(Framework framework, Agent agent, string role, ResourceBag resources, Filters? filters)
    {
        var seconds = filters?.RefuseSeconds ?? new Filters().RefuseSeconds;
        if (!double.IsFinite(seconds) || seconds < 0)
            seconds = new Filters().RefuseSeconds;
        if (seconds == 0 || resources.IsEmpty)
            return;
        var until = cluster.Now.AddSeconds(Math.Min(seconds, Limits.RefuseSecondsMax));
        cluster.Allocator.Refuse(framework.Claimant, agent.Slot, role, resources.Clone(), until);
    }

    private void Launch(Framework framework, Agent agent, string role, TaskInfo task, ResourceBag left)
    {
        var fault = TaskValidation.Fault(task, framework, agent, role, inGroup: false);
        var resources = ResourceBag.Of(task.Resources);
        ResourceBag? ofExecutor = null;
        if (fault is null && task.Executor is { } executor)
        {
            // One that does not say what it is brings its command.
            if (!executor.HasType)
                executor.Type = ExecutorInfo.Types.Type.Custom;
            fault = executor.Type == ExecutorInfo.Types.Type.Default
                ? "'ExecutorInfo.type' must be 'CUSTOM'"
                : TaskValidation.ExecutorFault(executor, framework, role) ?? ChangeFault(executor, framework, agent, role);
            if (!agent.Executors.ContainsKey((framework.Id, executor.ExecutorId.Value)))
                ofExecutor = ResourceBag.Of(executor.Resources);
        }

        if (fault is null)
        {
            var total = resources.Clone();
            if (ofExecutor is not null)
                total.Add(ofExecutor);
            if (left.Contains(total))
                left.Subtract(total);
            else
                fault = $"Total resources {total.ToText(role)} required by task and its executor is more than available {left.ToText(role)}";
        }

        if (fault is not null)
        {
            Refuse(framework, task, Reason.TaskInvalid, fault);
            return;
        }

        if (ofExecutor is not null)
            Start(framework, agent, role, task.Executor, ofExecutor);
        Add(framework, agent, role, task, task.Executor?.ExecutorId, resources);
        agent.Send(new ToAgent { RunTask = new() { Framework = framework.Record, Task = task } });
    }

    private void Launch(Framework framework, Agent agent, string role, Operation.Types.LaunchGroup group, ResourceBag left)
    {
        var tasks = group.TaskGroup.Tasks;
        if (GroupFault(framework, agent, role, group, left, out var ofExecutor) is { } fault)
        {
            foreach (var task in tasks)
                Refuse(framework, task, Reason.TaskGroupInvalid, fault);
            return;
        }

        var executor = group.Executor;
        if (ofExecutor is not null)
        {
            left.Subtract(ofExecutor);
            Start(framework, agent, role, executor, ofExecutor);
        }

        foreach (var task in tasks)
        {
            var resources = ResourceBag.Of(task.Resources);
            left.Subtract(resources);
            Add(framework, agent, role, task, executor.ExecutorId, resources);
        }

        agent.Send(
            new ToAgent
            {
                RunGroup = new()
                {
                    Framework = framework.Record,
                    Executor = executor,
                    Group = group.TaskGroup,
                },
            }
        );
    }

    private static string? GroupFault(
        Framework framework,
        Agent agent,
        string role,
        Operation.Types.LaunchGroup group,
        ResourceBag left,
        out ResourceBag? ofExecutor
    )
    {
        ofExecutor = null;
        if ((TaskValidation.ExecutorFault(group.Executor, framework, role) ?? ChangeFault(group.Executor, framework, agent, role)) is { } wrong)
            return wrong;
        var total = new ResourceBag();
        if (!agent.Executors.ContainsKey((framework.Id, group.Executor.ExecutorId.Value)))
            total.Add(ofExecutor = ResourceBag.Of(group.Executor.Resources));
        HashSet<string> seen = [];
        foreach (var task in group.TaskGroup.Tasks)
        {
            if (!seen.Add(task.TaskId.Value))
                return $"Task '{task.TaskId.Value}' is invalid: Task has duplicate ID: {task.TaskId.Value}";
            if (TaskValidation.Fault(task, framework, agent, role, inGroup: true) is { } fault)
                return $"Task '{task.TaskId.Value}' is invalid: {fault}";
            total.Add(ResourceBag.Of(task.Resources));
        }

        return left.Contains(total)
            ? null
            : $"Total resources {total.ToText(role)} required by task group and its executor are more than available {left.ToText(role)}";
    }

    private static string? ChangeFault(ExecutorInfo executor, Framework framework, Agent agent, string role)
    {
        executor.FrameworkId ??= framework.Record.Id;
        Allocate(executor.Resources, role);
        return TaskValidation.ChangeFault(executor, agent);
    }

    private static void Allocate(IEnumerable<Resource> resources, string role)
    {
        foreach (var resource in resources)
            resource.AllocationInfo ??= new() { Role = role };
    }

    private static void Start(Framework framework, Agent agent, string role, ExecutorInfo record, ResourceBag resources)
    {
        Allocate(record.Resources, role);
        var executor = new Executor(record, framework, agent, role, resources);
        framework.Executors[(agent.Id, executor.Id)] = executor;
        agent.Executors[(framework.Id, executor.Id)] = executor;
    }

    private void Add(Framework framework, Agent agent, string role, TaskInfo info, ExecutorID? executor, ResourceBag resources)
    {
        // The agent keeps the role too: it brings the task back after a restart of the master.
        Allocate(info.Resources, role);
        var record = TaskRecord.Of(info, framework.Record.Id, executor);
        var task = new Launched(record, framework, agent, role, resources);
        framework.Tasks.Add(task.Id, task);
        agent.Tasks[(framework.Id, task.Id)] = task;
        cluster.Operators.TaskAdded(task);
        maintenance.Launched(agent);
    }

    private void Refuse(Framework framework, TaskInfo task, Reason reason, string message) => Refuse(framework, task, TaskState.TaskError, reason, message);

    private void Refuse(Framework framework, TaskInfo task, TaskState state, Reason reason, string message)
    {
        var status = cluster.MasterUpdate(task.TaskId.Value, task.AgentId.Value, state, reason, message);
        cluster.Counters.Ended(status);
        Cluster.Send(framework, status);
    }
}
