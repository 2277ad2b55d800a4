using System.Runtime.InteropServices;
using Declarative.Mesos.Protocol;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using OperationType = Declarative.Mesos.Protocol.Offer.Types.Operation.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>What a master has counted since it started, under the names that a real one's /metrics/snapshot has.</summary>
/// <remarks>Source: Mesos' document "Monitoring". Called under the master's gate.</remarks>
internal sealed class Counters
{
    public const string SlaveRemovals = "master/slave_removals";

    private static readonly Dictionary<CallType, string> Calls = new()
    {
        [CallType.Accept] = "master/messages_launch_tasks",
        [CallType.Decline] = "master/messages_decline_offers",
        [CallType.Kill] = "master/messages_kill_task",
        [CallType.Acknowledge] = "master/messages_status_update_acknowledgement",
        [CallType.AcknowledgeOperationStatus] = "master/messages_operation_status_update_acknowledgement",
        [CallType.Reconcile] = "master/messages_reconcile_tasks",
        [CallType.ReconcileOperations] = "master/messages_reconcile_operations",
        [CallType.Revive] = "master/messages_revive_offers",
        [CallType.Suppress] = "master/messages_suppress_offers",
        [CallType.Message] = "master/messages_framework_to_executor",
        [CallType.Request] = "master/messages_resource_request",
    };

    private static readonly Dictionary<TaskState, string> Ends = new()
    {
        [TaskState.TaskFinished] = "finished",
        [TaskState.TaskFailed] = "failed",
        [TaskState.TaskKilled] = "killed",
        [TaskState.TaskLost] = "lost",
        [TaskState.TaskError] = "error",
        [TaskState.TaskDropped] = "dropped",
        [TaskState.TaskGone] = "gone",
        [TaskState.TaskGoneByOperator] = "gone_by_operator",
    };

    private static readonly Dictionary<OperationType, string> Operations = new()
    {
        [OperationType.Reserve] = "reserve",
        [OperationType.Unreserve] = "unreserve",
        [OperationType.Create] = "create",
        [OperationType.Destroy] = "destroy",
        [OperationType.GrowVolume] = "grow_volume",
        [OperationType.ShrinkVolume] = "shrink_volume",
        [OperationType.CreateDisk] = "create_disk",
        [OperationType.DestroyDisk] = "destroy_disk",
    };

    private static readonly Dictionary<OperationState, string> OperationEnds = new()
    {
        [OperationState.OperationDropped] = "dropped",
        [OperationState.OperationError] = "error",
        [OperationState.OperationFailed] = "failed",
        [OperationState.OperationFinished] = "finished",
        [OperationState.OperationGoneByOperator] = "gone_by_operator",
        [OperationState.OperationUnreachable] = "unreachable",
    };

    // There from the start, so that what watches them sees a 0 and not a gap.
    private static readonly string[] FromTheStart =
    [
        .. Calls.Values,
        .. Ends.Values.Select(end => $"master/tasks_{end}"),
        .. Operations.Values.Prepend("").SelectMany(type => OperationEnds.Values.Append("total").Select(end => OperationName(type, end))),
        "master/dropped_messages",
        "master/messages_register_framework",
        "master/messages_reregister_framework",
        "master/messages_register_slave",
        "master/messages_reregister_slave",
        "master/messages_unregister_slave",
        "master/messages_status_update",
        "master/messages_operation_status_update",
        "master/messages_exited_executor",
        "master/messages_executor_to_framework",
        "master/valid_status_updates",
        "master/invalid_status_updates",
        "master/valid_status_update_acknowledgements",
        "master/invalid_status_update_acknowledgements",
        "master/valid_operation_status_update_acknowledgements",
        "master/invalid_operation_status_update_acknowledgements",
        "master/valid_operation_status_updates",
        "master/invalid_operation_status_updates",
        "master/valid_framework_to_executor_messages",
        "master/invalid_framework_to_executor_messages",
        "master/valid_executor_to_framework_messages",
        "master/invalid_executor_to_framework_messages",
        "master/slave_registrations",
        "master/slave_reregistrations",
        SlaveRemovals,
        SlaveRemovals + "/reason_registered",
        SlaveRemovals + "/reason_unhealthy",
        SlaveRemovals + "/reason_unregistered",
        "master/slave_unreachable_scheduled",
        "master/slave_unreachable_completed",
        "master/recovery_slave_removals",
        "allocator/mesos/allocation_runs",
    ];

    private readonly Dictionary<string, long> _counts = FromTheStart.ToDictionary(name => name, _ => 0L, StringComparer.Ordinal);

    public IEnumerable<(string Name, double Value)> All => _counts.Select(count => (count.Key, (double)count.Value));

    public void Add(string name) => CollectionsMarshal.GetValueRefOrAddDefault(_counts, name, out _)++;

    /// <summary>A call of a framework that is subscribed.</summary>
    public void Add(CallType call)
    {
        if (Calls.TryGetValue(call, out var name))
            Add(name);
    }

    /// <summary>A task has ended, or was refused: by its state, and by who said so and why where there is a reason.</summary>
    public void Ended(TaskStatus status)
    {
        if (!Ends.TryGetValue(status.State, out var end))
            return;
        Add($"master/tasks_{end}");
        if (status.HasReason)
            Add($"master/task_{end}/{Source(status.Source)}/{Http.StateJson.Name(status.Reason).ToLowerInvariant()}");
    }

    public void Ended(OperationType type, OperationState state)
    {
        if (!Operations.TryGetValue(type, out var name) || !OperationEnds.TryGetValue(state, out var end))
            return;
        foreach (var of in (string[])["", name])
        {
            Add(OperationName(of, end));
            Add(OperationName(of, "total"));
        }
    }

    private static string OperationName(string type, string end) => type.Length == 0 ? $"master/operations/{end}" : $"master/operations/{type}/{end}";

    // Its metrics still say slave for agent.
    private static string Source(TaskStatus.Types.Source source) =>
        source switch
        {
            TaskStatus.Types.Source.Master => "source_master",
            TaskStatus.Types.Source.Agent => "source_slave",
            _ => "source_executor",
        };
}
