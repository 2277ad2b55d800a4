using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol.SchedulerApi;
using Microsoft.AspNetCore.Http;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;

namespace Declarative.Mesos.Mini.Http;

/// <summary>POST /api/v1/scheduler.</summary>
internal static class SchedulerEndpoint
{
    private const string StreamId = "Mesos-Stream-Id";

    /// <param name="principal">Who asks; null where everybody may.</param>
    public static async Task Handle(HttpContext context, MiniMaster master, string? principal)
    {
        if (await ApiCall.Read<Call>(context) is not { } call)
            return;
        if (CallValidation.Fault(call) is { } fault)
        {
            await Answer.Text(context, 400, fault);
            return;
        }

        if (MediaTypes.OfAccept(context.Request) is not { } accept)
        {
            await Answer.Text(context, 406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'");
            return;
        }

        if (principal is not null && Mismatch(call, master, principal) is { } other)
        {
            await Answer.Text(context, 400, other);
            return;
        }

        var streamId = context.Request.Headers[StreamId];
        if (call.Type == CallType.Subscribe)
        {
            if (streamId.Count > 0)
                await Answer.Text(context, 400, "Subscribe calls should not include the 'Mesos-Stream-Id' header");
            else
                await Subscribe(context, master, call, accept);
            return;
        }

        var outcome = master.Call(call, streamId.Count > 0 ? streamId[0] : null);
        if (outcome.IsTaken)
            await Answer.Empty(context, outcome.Status);
        else
            await Answer.Text(context, outcome.Status, outcome.Text);
    }

    // A framework is its principal's: it says so, or is given it.
    private static string? Mismatch(Call call, MiniMaster master, string principal)
    {
        if (call.Type == CallType.Subscribe)
        {
            var info = call.Subscribe.FrameworkInfo;
            if (!info.HasPrincipal)
                info.Principal = principal;
            return info.Principal == principal ? null : $"Failed to validate scheduler::Call: {Text(principal, info.Principal)}";
        }

        var known = master.View(cluster => cluster.Frameworks.GetValueOrDefault(call.FrameworkId.Value)?.Record.Principal);
        return known is null || known == principal ? null : Text(principal, known);
    }

    private static string Text(string principal, string other) => $"Authenticated principal '{principal}' does not match principal '{other}' set in `FrameworkInfo`";

    private static async Task Subscribe(HttpContext context, MiniMaster master, Call call, MediaType accept)
    {
        var stream = master.Subscribe(call);
        try
        {
            context.Response.Headers[StreamId] = stream.Id;
            await EventBody.Write(context, stream, accept);
        }
        finally
        {
            master.Disconnected(stream);
        }

        // A master that ends does not end its streams in good order: clients must see that it is gone.
        if (master.IsStopped)
            context.Abort();
    }
}
