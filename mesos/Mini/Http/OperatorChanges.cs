using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;
using CallType = Declarative.Mesos.Protocol.MasterApi.Call.Types.Type;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;
using OperationType = Declarative.Mesos.Protocol.Offer.Types.Operation.Types.Type;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The calls of the operator API that change something.</summary>
internal static class OperatorChanges
{
    /// <summary>Null when the call only reads.</summary>
    public static Func<OperatorDesk, CallOutcome>? Of(Call call) =>
        call.Type switch
        {
            CallType.Teardown => desk => desk.Teardown(call.Teardown.FrameworkId),
            CallType.UpdateWeights => desk => desk.UpdateWeights(call.UpdateWeights.WeightInfos),
            CallType.UpdateQuota => desk => desk.UpdateQuota(call.UpdateQuota.QuotaConfigs, call.UpdateQuota.Force),
#pragma warning disable CS0612 // Older clients still send these.
            CallType.SetQuota => desk => desk.SetQuota(call.SetQuota.QuotaRequest),
            CallType.RemoveQuota => desk => desk.RemoveQuota(call.RemoveQuota.Role),
#pragma warning restore CS0612
            CallType.UpdateMaintenanceSchedule => desk => desk.Maintenance.Update(call.UpdateMaintenanceSchedule.Schedule),
            CallType.StartMaintenance => desk => desk.Maintenance.Start(call.StartMaintenance.Machines),
            CallType.StopMaintenance => desk => desk.Maintenance.Stop(call.StopMaintenance.Machines),
            CallType.DrainAgent => desk => desk.Drains.Drain(call.DrainAgent.AgentId.Value, Config(call.DrainAgent)),
            CallType.DeactivateAgent => desk => desk.Drains.Deactivate(call.DeactivateAgent.AgentId.Value),
            CallType.ReactivateAgent => desk => desk.Drains.Reactivate(call.ReactivateAgent.AgentId.Value),
            CallType.MarkAgentGone => desk => desk.MarkGone(call.MarkAgentGone.AgentId),
            CallType.SetLoggingLevel => desk => desk.SetLoggingLevel(call.SetLoggingLevel.Level, call.SetLoggingLevel.Duration),
            _ => OnResources(call),
        };

    /// <summary>The member that a call of this type must have, or null for those that need none.</summary>
    public static string? Missing(Call call) =>
        call switch
        {
            { Type: CallType.Teardown, Teardown: null } => "teardown",
            { Type: CallType.UpdateWeights, UpdateWeights: null } => "update_weights",
            { Type: CallType.UpdateQuota, UpdateQuota: null } => "update_quota",
#pragma warning disable CS0612
            { Type: CallType.SetQuota, SetQuota: null } => "set_quota",
            { Type: CallType.RemoveQuota, RemoveQuota: null } => "remove_quota",
#pragma warning restore CS0612
            { Type: CallType.UpdateMaintenanceSchedule, UpdateMaintenanceSchedule: null } => "update_maintenance_schedule",
            { Type: CallType.StartMaintenance, StartMaintenance: null } => "start_maintenance",
            { Type: CallType.StopMaintenance, StopMaintenance: null } => "stop_maintenance",
            { Type: CallType.DrainAgent, DrainAgent: null } => "drain_agent",
            { Type: CallType.DeactivateAgent, DeactivateAgent: null } => "deactivate_agent",
            { Type: CallType.ReactivateAgent, ReactivateAgent: null } => "reactivate_agent",
            { Type: CallType.MarkAgentGone, MarkAgentGone: null } => "mark_agent_gone",
            { Type: CallType.SetLoggingLevel, SetLoggingLevel: null } => "set_logging_level",
            { Type: CallType.ReserveResources, ReserveResources: null } => "reserve_resources",
            { Type: CallType.UnreserveResources, UnreserveResources: null } => "unreserve_resources",
            { Type: CallType.CreateVolumes, CreateVolumes: null } => "create_volumes",
            { Type: CallType.DestroyVolumes, DestroyVolumes: null } => "destroy_volumes",
            { Type: CallType.GrowVolume, GrowVolume: null } => "grow_volume",
            { Type: CallType.GrowVolume, GrowVolume.AgentId: null } => "grow_volume.agent_id",
            { Type: CallType.ShrinkVolume, ShrinkVolume: null } => "shrink_volume",
            { Type: CallType.ShrinkVolume, ShrinkVolume.AgentId: null } => "shrink_volume.agent_id",
            _ => null,
        };

    private static Func<OperatorDesk, CallOutcome>? OnResources(Call call) =>
        call.Type switch
        {
            CallType.ReserveResources => On(
                call.ReserveResources.AgentId,
                new() { Type = OperationType.Reserve, Reserve = new() { Source = { call.ReserveResources.Source }, Resources = { call.ReserveResources.Resources } } }
            ),
            CallType.UnreserveResources => On(
                call.UnreserveResources.AgentId,
                new() { Type = OperationType.Unreserve, Unreserve = new() { Resources = { call.UnreserveResources.Resources } } }
            ),
            CallType.CreateVolumes => On(
                call.CreateVolumes.AgentId,
                new() { Type = OperationType.Create, Create = new() { Volumes = { call.CreateVolumes.Volumes } } }
            ),
            CallType.DestroyVolumes => On(
                call.DestroyVolumes.AgentId,
                new() { Type = OperationType.Destroy, Destroy = new() { Volumes = { call.DestroyVolumes.Volumes } } }
            ),
            CallType.GrowVolume => On(
                call.GrowVolume.AgentId,
                new() { Type = OperationType.GrowVolume, GrowVolume = new() { Volume = call.GrowVolume.Volume, Addition = call.GrowVolume.Addition } }
            ),
            CallType.ShrinkVolume => On(
                call.ShrinkVolume.AgentId,
                new() { Type = OperationType.ShrinkVolume, ShrinkVolume = new() { Volume = call.ShrinkVolume.Volume, Subtract = call.ShrinkVolume.Subtract } }
            ),
            _ => null,
        };

    private static Func<OperatorDesk, CallOutcome> On(AgentID agent, Operation operation) => desk => desk.Operations.Perform(agent.Value, operation);

    private static DrainConfig Config(Call.Types.DrainAgent call)
    {
        var config = new DrainConfig { MarkGone = call.MarkGone };
        if (call.MaxGracePeriod is { } grace)
            config.MaxGracePeriod = new() { Nanoseconds = checked((grace.Seconds * 1_000_000_000) + grace.Nanos) };
        return config;
    }
}
