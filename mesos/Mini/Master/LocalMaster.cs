using System.Runtime.CompilerServices;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>A scheduler in the same process as the embedded master.</summary>
internal sealed class LocalMaster(MiniMaster master) : IMaster
{
    private volatile string? _streamId;

    public async IAsyncEnumerable<Event> Subscribe(
        Call.Types.Subscribe subscribe,
        FrameworkID? id,
        [EnumeratorCancellation] CancellationToken stop
    )
    {
        var call = new Call { Type = CallType.Subscribe, Subscribe = subscribe.Clone() };
        if (id is not null)
            call.FrameworkId = call.Subscribe.FrameworkInfo.Id = id.Clone();
        if (CallValidation.Fault(call) is { } fault)
            throw new CallRefused(400, fault);
        var stream = master.Subscribe(call);
        _streamId = stream.Id;
        try
        {
            while (await stream.Wait(stop))
            {
                while (stream.TryRead(out var message))
                    yield return message;
            }

            if (master.IsStopped)
                throw new MasterUnavailable("The master has stopped.");
        }
        finally
        {
            master.Disconnected(stream);
        }
    }

    public Task Call(Call call, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        if (CallValidation.Fault(call) is { } fault)
            return Task.FromException(new CallRefused(400, fault));
        try
        {
            // The master takes a call over and may complete it.
            var outcome = master.Call(call.Clone(), _streamId);
            return outcome.IsTaken ? Task.CompletedTask : Task.FromException(Refusal(outcome));
        }
        catch (MasterUnavailable gone)
        {
            return Task.FromException(gone);
        }
    }

    // Without a subscription of this object's own there is nothing to refuse: it must subscribe (again) first.
    private static Exception Refusal(CallOutcome outcome) =>
        outcome.Status == 403 ? new MasterUnavailable(outcome.Text) : new CallRefused(outcome.Status, outcome.Text);
}
