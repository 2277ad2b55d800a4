using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.AgentApi;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using CallType = Declarative.Mesos.Protocol.AgentApi.Call.Types.Type;
using ResponseType = Declarative.Mesos.Protocol.AgentApi.Response.Types.Type;

namespace Declarative.Mesos.Mini.Http;

/// <summary>POST /api/v1 of an agent.</summary>
internal static class AgentCalls
{
    public static async Task Handle(HttpContext context, ProcessAgent agent)
    {
        if (NestedCalls.IsInput(context.Request))
        {
            await NestedCalls.Input(context, agent);
            return;
        }

        if (await ApiCall.Read<Call>(context) is not { } call)
            return;
        if (Missing(call) is { } what)
        {
            await Answer.Text(context, 400, $"Failed to validate agent::Call: Expecting '{what}' to be present");
            return;
        }

        if (await NestedCalls.Handle(context, call, agent))
            return;
        if (MediaTypes.OfAccept(context.Request) is not { } accept)
        {
            await Answer.Text(context, 406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'");
            return;
        }

        var files = new AgentFiles(agent);
        switch (call.Type)
        {
            case CallType.ListFiles when files.List(call.ListFiles.Path) is { } list:
                await Answer.Message(context, Files(list), accept);
                break;
            case CallType.ReadFile when files.Find(call.ReadFile.Path) is { } real:
                var (size, data) = await AgentFiles.Read(
                    real,
                    (long)call.ReadFile.Offset,
                    call.ReadFile.HasLength ? (long)call.ReadFile.Length : null,
                    context.RequestAborted
                );
                var read = new Response { Type = ResponseType.ReadFile, ReadFile = new() { Size = (ulong)size, Data = ByteString.CopyFrom(data) } };
                await Answer.Message(context, read, accept);
                break;
            case CallType.ListFiles or CallType.ReadFile:
                await Answer.NoFile(context);
                break;
            default:
                if (call.Type == CallType.PruneImages)
                    await Answer.Empty(context, 200); // it keeps none
                else if (Read(call, agent) is { } response)
                    await Answer.Message(context, response, accept);
                else
                    await Answer.Text(context, 501, $"This agent does not support {StateJson.Name(call.Type)}");
                break;
        }
    }

    private static string? Missing(Call call) =>
        call switch
        {
            { HasType: false } or { Type: CallType.Unknown } => "type",
            _ when !Enum.IsDefined(call.Type) => "type",
            { Type: CallType.GetMetrics, GetMetrics: null } => "get_metrics",
            { Type: CallType.ListFiles, ListFiles: null } => "list_files",
            { Type: CallType.ReadFile, ReadFile: null } => "read_file",
#pragma warning disable CS0612 // Answered by every agent all the same
            { Type: CallType.LaunchNestedContainer, LaunchNestedContainer: null } => "launch_nested_container",
            { Type: CallType.LaunchNestedContainerSession, LaunchNestedContainerSession: null } => "launch_nested_container_session",
            { Type: CallType.WaitNestedContainer, WaitNestedContainer: null } => "wait_nested_container",
            { Type: CallType.KillNestedContainer, KillNestedContainer: null } => "kill_nested_container",
            { Type: CallType.RemoveNestedContainer, RemoveNestedContainer: null } => "remove_nested_container",
#pragma warning restore CS0612
            { Type: CallType.WaitContainer, WaitContainer: null } => "wait_container",
            { Type: CallType.KillContainer, KillContainer: null } => "kill_container",
            { Type: CallType.RemoveContainer, RemoveContainer: null } => "remove_container",
            { Type: CallType.AttachContainerOutput, AttachContainerOutput: null } => "attach_container_output",
            _ => null,
        };

    private static Response? Read(Call call, ProcessAgent agent) =>
        call.Type switch
        {
            CallType.GetHealth => new Response { Type = ResponseType.GetHealth, GetHealth = new() { Healthy = true } },
            CallType.GetVersion => new Response
            {
                Type = ResponseType.GetVersion,
                GetVersion = new() { VersionInfo = new() { Version = agent.Options.Version } },
            },
            CallType.GetLoggingLevel => new Response { Type = ResponseType.GetLoggingLevel, GetLoggingLevel = new() { Level = 0 } },
            CallType.GetFlags => Flags(agent),
            CallType.GetMetrics => Metrics(agent),
            CallType.GetAgent => new Response { Type = ResponseType.GetAgent, GetAgent = new() { AgentInfo = agent.Describe() } },
            CallType.GetTasks => new Response { Type = ResponseType.GetTasks, GetTasks = AgentViews.Tasks(agent) },
            CallType.GetExecutors => new Response { Type = ResponseType.GetExecutors, GetExecutors = AgentViews.Executors(agent) },
            CallType.GetFrameworks => new Response { Type = ResponseType.GetFrameworks, GetFrameworks = AgentViews.Frameworks(agent) },
            CallType.GetState => new Response
            {
                Type = ResponseType.GetState,
                GetState = new()
                {
                    GetTasks = AgentViews.Tasks(agent),
                    GetExecutors = AgentViews.Executors(agent),
                    GetFrameworks = AgentViews.Frameworks(agent),
                },
            },
            CallType.GetContainers => Containers(agent, call.GetContainers?.ShowNested == true),
            CallType.GetOperations => new Response { Type = ResponseType.GetOperations, GetOperations = new() },
            CallType.GetResourceProviders => new Response { Type = ResponseType.GetResourceProviders, GetResourceProviders = new() },
            _ => null,
        };

    private static Response Containers(ProcessAgent agent, bool nested)
    {
        var response = new Response { Type = ResponseType.GetContainers };
        var containers = AgentViews.Containers(agent, nested);
        // Without any, the member is left out.
        if (containers.Count > 0)
            response.GetContainers = new() { Containers = { containers } };
        return response;
    }

    private static Response Files(List<(string Path, FileStatus Status)> list)
    {
        var response = new Response { Type = ResponseType.ListFiles, ListFiles = new() };
        foreach (var (path, status) in list)
        {
            response.ListFiles.FileInfos.Add(
                new Declarative.Mesos.Protocol.FileInfo
                {
                    Path = path,
                    Nlink = (int)status.Links,
                    Size = (ulong)status.Bytes,
                    Mtime = new TimeInfo { Nanoseconds = status.Modified.ToUnixTimeSeconds() * 1_000_000_000 },
                    Mode = status.Mode,
                    Uid = status.UserName,
                    Gid = status.GroupName,
                }
            );
        }

        return response;
    }

    private static Response Flags(ProcessAgent agent)
    {
        var response = new Response { Type = ResponseType.GetFlags, GetFlags = new() };
        foreach (var (name, value) in AgentViews.Flags(agent))
            response.GetFlags.Flags.Add(new Flag { Name = name, Value = value });
        return response;
    }

    private static Response Metrics(ProcessAgent agent)
    {
        var response = new Response { Type = ResponseType.GetMetrics, GetMetrics = new() };
        foreach (var (name, value) in AgentViews.Metrics(agent))
            response.GetMetrics.Metrics.Add(new Metric { Name = name, Value = value });
        return response;
    }
}
