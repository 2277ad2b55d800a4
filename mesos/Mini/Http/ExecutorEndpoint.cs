using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.ExecutorApi;
using Microsoft.AspNetCore.Http;
using CallType = Declarative.Mesos.Protocol.ExecutorApi.Call.Types.Type;

namespace Declarative.Mesos.Mini.Http;

/// <summary>POST /api/v1/executor of an agent: what executors that frameworks bring say.</summary>
internal static class ExecutorEndpoint
{
    private const int UuidBytes = 16;

    private const string Scheme = "Bearer ";

    public static async Task Handle(HttpContext context, ProcessAgent agent)
    {
        ExecutorTokens.Claims? claims = null;
        if (agent.Options.ExecutorKey is { } key)
        {
            var header = context.Request.Headers.Authorization.ToString();
            claims = header.StartsWith(Scheme, StringComparison.Ordinal) ? ExecutorTokens.Read(key, header[Scheme.Length..]) : null;
            if (claims is null)
            {
                context.Response.Headers.WWWAuthenticate = "Bearer realm=\"mesos-agent-executor\"";
                await Answer.Text(context, 401, "401 Unauthorized.");
                return;
            }
        }

        if (await ApiCall.Read<Call>(context) is not { } call)
            return;
        if (Fault(call) is { } fault)
        {
            await Answer.Text(context, 400, $"Failed to validate Executor::Call: {fault}");
            return;
        }

        if (claims is not null && Foreign(call, claims) is { } foreign)
        {
            await Answer.Text(context, 403, foreign);
            return;
        }

        if (!agent.HasRecovered)
        {
            await Answer.Text(context, 503, "Agent has not finished recovery");
            return;
        }

        if (agent.ExecutorOf(call.FrameworkId, call.ExecutorId, out var unknown) is not { } executor)
        {
            await Answer.Text(context, 400, unknown);
            return;
        }

        if (claims is not null && claims.Container != executor.Container.Value)
        {
            await Answer.Text(context, 403, $"The token is of container {claims.Container}, the executor runs in {executor.Container.Value}");
            return;
        }

        if (call.Type == CallType.Subscribe)
        {
            if (MediaTypes.OfAccept(context.Request) is { } accept)
                await Subscribe(context, agent, executor, call, accept);
            else
                await Answer.Text(context, 406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'");
            return;
        }

        if (!executor.IsKnown)
        {
            await Answer.Text(context, 403, "Executor is not subscribed");
            return;
        }

        if (call.Type == CallType.Update)
            executor.Update(call.Update.Status);
        else if (call.Type == CallType.Message)
            agent.Pass(call);
        await Answer.Empty(context, 202);
    }

    private static async Task Subscribe(HttpContext context, ProcessAgent agent, OwnExecutor executor, Call call, MediaType accept)
    {
        var stream = executor.Subscribe(call.Subscribe, agent.Describe());
        try
        {
            await EventBody.Write(context, stream, accept);
        }
        finally
        {
            executor.Disconnected(stream);
        }
    }

    // What the token says and the call says otherwise.
    private static string? Foreign(Call call, ExecutorTokens.Claims claims) =>
        call.FrameworkId.Value != claims.Framework ? $"The token is of framework {claims.Framework}, the call of {call.FrameworkId.Value}"
        : call.ExecutorId.Value != claims.Executor ? $"The token is of executor {claims.Executor}, the call of {call.ExecutorId.Value}"
        : null;

    private static string? Fault(Call call) =>
        call switch
        {
            { HasType: false } or { Type: CallType.Unknown } => "Expecting 'type' to be present",
            _ when !Enum.IsDefined(call.Type) => "Expecting 'type' to be present",
            { Type: CallType.Subscribe, Subscribe: null } => "Expecting 'subscribe' to be present",
            { Type: CallType.Update, Update: null } => "Expecting 'update' to be present",
            { Type: CallType.Message, Message: null } => "Expecting 'message' to be present",
            { Type: CallType.Update } => StatusFault(call.Update.Status),
            { Type: CallType.Subscribe } => call.Subscribe.UnacknowledgedUpdates.Select(update => StatusFault(update.Status)).FirstOrDefault(fault => fault is not null),
            _ => null,
        };

    private static string? StatusFault(TaskStatus status) =>
        status switch
        {
            { HasUuid: false } => "Expecting 'uuid' to be present",
            { Uuid.Length: not UuidBytes } => $"Not a valid UUID: {status.Uuid.Length} bytes instead of {UuidBytes}",
            { HasSource: true, Source: not TaskStatus.Types.Source.Executor } => "Expecting 'source' to be 'SOURCE_EXECUTOR'",
            { State: TaskState.TaskStaging } => "TASK_STAGING is no state that an executor reports",
            _ => null,
        };
}
