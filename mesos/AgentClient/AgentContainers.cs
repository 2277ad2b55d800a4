using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.AgentApi;
using Google.Protobuf;
using CallType = Declarative.Mesos.Protocol.AgentApi.Call.Types.Type;
using InputType = Declarative.Mesos.Protocol.AgentApi.Call.Types.AttachContainerInput.Types.Type;

namespace Declarative.Mesos.AgentClient;

/// <summary>
/// Processes in the containers of an agent: a session beside a running task (<c>kubectl exec</c>), a task's own terminal (<c>kubectl attach</c>).
/// Every method throws <see cref="AgentUnavailable"/> and <see cref="AgentRefused"/>.
/// </summary>
public sealed class AgentContainers(AgentClient agent)
{
    /// <summary>The container that a task runs in; null where the agent runs no such task.</summary>
    public async Task<ContainerID?> Find(string taskId, CancellationToken stop)
    {
        var tasks = (await agent.Call(new Call { Type = CallType.GetTasks }, stop)).GetTasks?.LaunchedTasks ?? [];
        var task = tasks.FirstOrDefault(task => task.TaskId.Value == taskId);
        if (task is null)
            return null;
        if (task.Statuses.LastOrDefault(status => status.ContainerStatus?.ContainerId is not null) is { } told)
            return told.ContainerStatus.ContainerId;
        // A command task's executor bears the task's id.
        return (await agent.Containers(stop)).FirstOrDefault(container => container.ExecutorId?.Value == taskId)?.ContainerId;
    }

    /// <summary>Starts a process inside the container that is <paramref name="session"/>'s parent; it lives no longer than the output is held.</summary>
    /// <param name="terminal">It gets a terminal of its own; null for pipes.</param>
    public Task<ContainerOutput> Launch(ContainerID session, CommandInfo command, TTYInfo? terminal, CancellationToken stop)
    {
        var call = new Call { Type = CallType.LaunchNestedContainerSession, LaunchNestedContainerSession = new() { ContainerId = session, Command = command } };
        if (terminal is not null)
            call.LaunchNestedContainerSession.Container = new() { Type = ContainerInfo.Types.Type.Mesos, TtyInfo = terminal };
        return Open(call, stop);
    }

    /// <summary>The output of a running container from now on. Real agents refuse it for containers without a terminal.</summary>
    public Task<ContainerOutput> Attach(ContainerID container, CancellationToken stop) =>
        Open(new Call { Type = CallType.AttachContainerOutput, AttachContainerOutput = new() { ContainerId = container } }, stop);

    /// <summary>Sends input until it ends. Returns when the agent has taken it all, or the container has ended.</summary>
    public async Task Feed(ContainerID container, IAsyncEnumerable<ProcessIO> input, CancellationToken stop)
    {
        using var content = new InputContent(container, input);
        using var response = await agent.Send(content, AgentClient.Protobuf, stop);
    }

    /// <summary>Waits for the end of a nested container. The raw wait status (exit 7 is 1792, signal 9 is 9); null where the agent has none.</summary>
    public async Task<int?> Wait(ContainerID container, CancellationToken stop)
    {
#pragma warning disable CS0612 // Mesos 1.11 calls it deprecated in favour of WAIT_CONTAINER, and answers both
        var waited = (await agent.Call(new Call { Type = CallType.WaitNestedContainer, WaitNestedContainer = new() { ContainerId = container } }, stop)).WaitNestedContainer;
#pragma warning restore CS0612
        return waited is { HasExitStatus: true } ? waited.ExitStatus : null;
    }

    private async Task<ContainerOutput> Open(Call call, CancellationToken stop)
    {
        using var content = new ByteArrayContent(call.ToByteArray());
        content.Headers.ContentType = new MediaTypeHeaderValue(AgentClient.Protobuf);
        var response = await agent.Send(content, AgentClient.RecordIo, stop);
        return new ContainerOutput(agent.Address, response, await response.Content.ReadAsStreamAsync(stop));
    }

    /// <summary>ATTACH_CONTAINER_INPUT: records that name the container first, then carry what is typed. No bytes are the end of the input.</summary>
    private sealed class InputContent : HttpContent
    {
        private readonly ContainerID container;
        private readonly IAsyncEnumerable<ProcessIO> input;
        private readonly ArrayBufferWriter<byte> buffer = new();

        public InputContent(ContainerID container, IAsyncEnumerable<ProcessIO> input)
        {
            this.container = container;
            this.input = input;
            Headers.ContentType = new MediaTypeHeaderValue(AgentClient.RecordIo);
            Headers.Add("Message-Content-Type", AgentClient.Protobuf);
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, default);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            await Write(stream, new() { Type = InputType.ContainerId, ContainerId = container }, cancellationToken);
            await foreach (var io in input.WithCancellation(cancellationToken))
                await Write(stream, new() { Type = InputType.ProcessIo, ProcessIo = io }, cancellationToken);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }

        private async Task Write(Stream stream, Call.Types.AttachContainerInput call, CancellationToken stop)
        {
            buffer.ResetWrittenCount();
            RecordWriter.Write(buffer, new Call { Type = CallType.AttachContainerInput, AttachContainerInput = call }, json: false);
            await stream.WriteAsync(buffer.WrittenMemory, stop);
            await stream.FlushAsync(stop);
        }
    }
}
