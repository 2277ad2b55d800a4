using Declarative.Mesos.Protocol.SchedulerApi;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>What a scheduler call must contain, before anybody looks at what it means. Texts as a real master words them.</summary>
internal static class CallValidation
{
    /// <summary>The reason for a 400, or null.</summary>
    public static string? Fault(Call call) => Missing(call) is { } what ? "Failed to validate scheduler::Call: " + what : null;

    private static string? Missing(Call call)
    {
        // An enum number this version does not know counts as absent.
        if (!call.HasType || call.Type == CallType.Unknown || !Enum.IsDefined(call.Type))
            return Expecting("type");
        if (call.Type == CallType.Subscribe)
        {
            if (call.Subscribe is null)
                return Expecting("subscribe");
            return call.FrameworkId?.Value == call.Subscribe.FrameworkInfo.Id?.Value
                ? null
                : "'framework_id' differs from 'subscribe.framework_info.id'";
        }

        if (call.FrameworkId is null)
            return Expecting("framework_id");
        return call.Type switch
        {
            CallType.Accept when call.Accept is null => Expecting("accept"),
            CallType.Decline when call.Decline is null => Expecting("decline"),
            CallType.AcceptInverseOffers when call.AcceptInverseOffers is null => Expecting("accept_inverse_offers"),
            CallType.DeclineInverseOffers when call.DeclineInverseOffers is null => Expecting("decline_inverse_offers"),
            CallType.Kill when call.Kill is null => Expecting("kill"),
            CallType.Shutdown when call.Shutdown is null => Expecting("shutdown"),
            CallType.Acknowledge when call.Acknowledge is null => Expecting("acknowledge"),
            CallType.Acknowledge when call.Acknowledge.Uuid.Length != 16 => "Not a valid UUID",
            CallType.AcknowledgeOperationStatus when call.AcknowledgeOperationStatus is null => Expecting("acknowledge_operation_status"),
            CallType.Reconcile when call.Reconcile is null => Expecting("reconcile"),
            CallType.ReconcileOperations when call.ReconcileOperations is null => Expecting("reconcile_operations"),
            CallType.Message when call.Message is null => Expecting("message"),
            CallType.Request when call.Request is null => Expecting("request"),
            CallType.UpdateFramework when call.UpdateFramework is null => Expecting("update_framework"),
            CallType.UpdateFramework when call.FrameworkId.Value != call.UpdateFramework.FrameworkInfo.Id?.Value =>
                "'framework_id' differs from 'update_framework.framework_info.id'",
            _ => null,
        };
    }

    private static string Expecting(string field) => $"Expecting '{field}' to be present";
}
