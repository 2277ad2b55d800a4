using System.Buffers;
using System.Threading.Channels;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.AgentApi;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using CallType = Declarative.Mesos.Protocol.AgentApi.Call.Types.Type;
using DataType = Declarative.Mesos.Protocol.AgentApi.ProcessIO.Types.Data.Types.Type;
using InputType = Declarative.Mesos.Protocol.AgentApi.Call.Types.AttachContainerInput.Types.Type;
using ResponseType = Declarative.Mesos.Protocol.AgentApi.Response.Types.Type;

namespace Declarative.Mesos.Mini.Http;

#pragma warning disable CS0612 // The calls named NESTED are deprecated in favour of others, and answered by every agent
/// <summary>The calls of an agent about nested containers: run beside a task, wait, kill, talk to. Statuses and texts as recorded.</summary>
internal static class NestedCalls
{
    private const string RecordIo = "application/recordio";

    /// <summary>The input of ATTACH_CONTAINER_INPUT is a stream of calls, not one.</summary>
    public static bool IsInput(HttpRequest request) => request.ContentType == RecordIo && HttpMethods.IsPost(request.Method);

    /// <summary>False where the call is none of these.</summary>
    public static async Task<bool> Handle(HttpContext context, Call call, ProcessAgent agent)
    {
        switch (call.Type)
        {
            case CallType.LaunchNestedContainer:
                await Launch(context, call.LaunchNestedContainer, agent);
                return true;
            case CallType.LaunchNestedContainerSession:
                await Session(context, call.LaunchNestedContainerSession, agent);
                return true;
            case CallType.WaitNestedContainer:
                await Wait(context, call.WaitNestedContainer.ContainerId, agent, isNested: true);
                return true;
            case CallType.WaitContainer:
                await Wait(context, call.WaitContainer.ContainerId, agent, isNested: false);
                return true;
            case CallType.KillNestedContainer:
                await Kill(context, call.KillNestedContainer.ContainerId, call.KillNestedContainer.HasSignal ? call.KillNestedContainer.Signal : Posix.SigKill, agent);
                return true;
            case CallType.KillContainer:
                await Kill(context, call.KillContainer.ContainerId, call.KillContainer.HasSignal ? call.KillContainer.Signal : Posix.SigKill, agent);
                return true;
            case CallType.RemoveNestedContainer:
                await Remove(context, call.RemoveNestedContainer.ContainerId, agent);
                return true;
            case CallType.RemoveContainer:
                await Remove(context, call.RemoveContainer.ContainerId, agent);
                return true;
            case CallType.AttachContainerOutput:
                await Output(context, call.AttachContainerOutput.ContainerId, agent);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Records: first the container's id, then what is typed into it. Answered when the input has ended.</summary>
    public static async Task Input(HttpContext context, ProcessAgent agent)
    {
        if (Inner(context.Request.Headers["Message-Content-Type"].ToString()) is not { } type)
        {
            await Answer.Text(context, 415, "Expecting 'Message-Content-Type' of application/json or application/x-protobuf");
            return;
        }

        // Typed by a person, or a file of any size: each record is bounded, the stream is not.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = null;
        if (context.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
            rate.MinDataRate = null;
        await using var records = new RecordReader(context.Request.BodyReader, Limits.ProcessIoBytesMax);
        IAttachable? container = null;
        while (await records.Read(context.RequestAborted) is { } record)
        {
            if (Parse(record, type) is not { Type: CallType.AttachContainerInput, AttachContainerInput: { } input })
            {
                await Answer.Text(context, 400, "Failed to parse body into Call protobuf");
                return;
            }

            if (container is null)
            {
                if (input is not { Type: InputType.ContainerId, ContainerId: { } id })
                {
                    await Answer.Text(context, 400, "Expecting 'attach_container_input.container_id' to be present in the first record");
                    return;
                }

                container = agent.Nested.Attachable(id);
                if (container is not null)
                    continue;
                await NotFound(context, id, agent);
                return;
            }

            if (input.ProcessIo is not { } io || await Feed(container, io, context.RequestAborted))
                continue;
            break;
        }

        await Answer.Empty(context, 200);
    }

    private static async Task Launch(HttpContext context, Call.Types.LaunchNestedContainer launch, ProcessAgent agent)
    {
        var (outcome, _, error) = agent.Nested.Launch(launch.ContainerId, launch.Command, launch.Container, toFiles: true);
        if (outcome == NestedLaunch.Refused)
            await Answer.Text(context, 400, error!);
        else
            await Answer.Empty(context, outcome == NestedLaunch.Exists ? 202 : 200);
    }

    private static async Task Session(HttpContext context, Call.Types.LaunchNestedContainerSession launch, ProcessAgent agent)
    {
        if (Stream(context.Request) is not { } form)
        {
            await NotAcceptable(context);
            return;
        }

        var (outcome, container, error) = agent.Nested.Launch(launch.ContainerId, launch.Command, launch.Container, toFiles: false);
        if (container is null)
        {
            await Answer.Text(context, 400, error ?? $"Container {NestedContainers.Name(launch.ContainerId)} already exists ({outcome})");
            return;
        }

        try
        {
            await Stream(context, container, container.Session!, form);
        }
        finally
        {
            // A session lives no longer than its connection.
            if (!container.Ended.IsCompleted)
                container.Kill();
        }
    }

    private static async Task Output(HttpContext context, ContainerID id, ProcessAgent agent)
    {
        if (Stream(context.Request) is not { } form)
            await NotAcceptable(context);
        else if (agent.Nested.Attachable(id) is not { } container)
            await NotFound(context, id, agent);
        else if (!container.HasOutput)
            await Answer.Text(context, 500, "I/O switchboard server was disabled for this container");
        else
            await Stream(context, container, container.Listen(), form);
    }

    private static async Task Wait(HttpContext context, ContainerID id, ProcessAgent agent, bool isNested)
    {
        if (agent.Nested.Find(id) is not { } container)
        {
            await NotFound(context, id, agent);
            return;
        }

        if (MediaTypes.OfAccept(context.Request) is not { } accept)
        {
            await NotAcceptable(context);
            return;
        }

        var exit = await container.Ended.WaitAsync(context.RequestAborted);
        var response = isNested
            ? new Response { Type = ResponseType.WaitNestedContainer, WaitNestedContainer = new() }
            : new Response { Type = ResponseType.WaitContainer, WaitContainer = new() };
        if (exit is { } known && isNested)
            response.WaitNestedContainer.ExitStatus = known.WaitStatus;
        else if (exit is { } other)
            response.WaitContainer.ExitStatus = other.WaitStatus;
        await Answer.Message(context, response, accept);
    }

    private static async Task Kill(HttpContext context, ContainerID id, int signal, ProcessAgent agent)
    {
        if (agent.Nested.Find(id) is not { } container)
        {
            await NotFound(context, id, agent);
            return;
        }

        container.Signal(signal);
        await Answer.Empty(context, 200);
    }

    private static Task Remove(HttpContext context, ContainerID id, ProcessAgent agent) =>
        agent.Nested.Remove(id) ? Answer.Empty(context, 200) : Answer.Text(context, 500, $"Nested container has not terminated yet: {NestedContainers.Name(id)}");

    /// <summary>False when the process takes no more.</summary>
    private static async ValueTask<bool> Feed(IAttachable container, ProcessIO io, CancellationToken stop)
    {
        if (io is { Type: ProcessIO.Types.Type.Control, Control.TtyInfo.WindowSize: { } size })
            container.Resize((int)size.Columns, (int)size.Rows);
        else if (io is { Type: ProcessIO.Types.Type.Data, Data: { Type: DataType.Stdin } data })
            return await container.Write(data.Data_.ToByteArray(), stop);
        return true;
    }

    private static async Task Stream(HttpContext context, IAttachable container, Channel<(bool IsError, byte[] Data)> listener, (MediaType Type, bool IsRecordIo) form)
    {
        var response = context.Response;
        response.StatusCode = 200;
        response.ContentType = form.IsRecordIo ? RecordIo : form.Type.Name();
        if (form.IsRecordIo)
            response.Headers["Message-Content-Type"] = form.Type.Name();
        try
        {
            // The caller sends no input before it has the headers, and without input there may be no output: they go at once.
            await response.StartAsync(context.RequestAborted);
            await response.BodyWriter.FlushAsync(context.RequestAborted);
            while (await listener.Reader.WaitToReadAsync(context.RequestAborted))
            {
                while (listener.Reader.TryRead(out var piece))
                    RecordWriter.Write(response.BodyWriter, Data(piece.IsError, piece.Data), form.Type == MediaType.Json);
                await response.BodyWriter.FlushAsync(context.RequestAborted);
            }
        }
        finally
        {
            container.Leave(listener);
        }
    }

    private static ProcessIO Data(bool isError, byte[] data) => new()
    {
        Type = ProcessIO.Types.Type.Data,
        Data = new() { Type = isError ? DataType.Stderr : DataType.Stdout, Data_ = UnsafeByteOperations.UnsafeWrap(data) },
    };

    private static (MediaType Type, bool IsRecordIo)? Stream(HttpRequest request)
    {
        if (request.Headers.Accept.ToString() != RecordIo)
            return MediaTypes.OfAccept(request) is { } type ? (type, false) : null;
        return Inner(request.Headers["Message-Accept"].ToString()) is { } inner ? (inner, true) : null;
    }

    private static MediaType? Inner(string type) => type.Length == 0 ? MediaType.Json : MediaTypes.OfContent(type);

    private static Call? Parse(ReadOnlySequence<byte> record, MediaType type)
    {
        try
        {
            if (type == MediaType.Protobuf)
                return Call.Parser.ParseFrom(record);
            return MesosJson.TryRead<Call>(record.ToArray(), out var call, out _) ? call : null;
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    private static Task NotAcceptable(HttpContext context) =>
        Answer.Text(context, 406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'");

    private static Task NotFound(HttpContext context, ContainerID id, ProcessAgent agent) =>
        agent.Nested.Parent(id) is null
            ? Answer.Text(context, 404, $"Container {NestedContainers.Name(id)} cannot be found")
            : Answer.Text(context, 500, "I/O switchboard server was disabled for this container");
}
