using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.AgentApi;
using Google.Protobuf;
using CallType = Declarative.Mesos.Protocol.AgentApi.Call.Types.Type;

namespace Declarative.Mesos.AgentClient;

/// <summary>The v1 operator API of a Mesos agent, real or embedded. Only calls are used that a real agent answers.</summary>
/// <remarks>Thread-safe. Every method throws <see cref="AgentUnavailable"/> and <see cref="AgentRefused"/>.</remarks>
public sealed class AgentClient
{
    /// <summary>A read from here gives no data, but says how long the file is.</summary>
    internal const long BeyondTheEnd = 1L << 62;

    internal const string Protobuf = "application/x-protobuf";

    /// <summary>A stream of messages, each with its length in front.</summary>
    internal const string RecordIo = "application/recordio";

    private readonly Uri agent;
    private readonly Uri api;
    private readonly HttpMessageInvoker http;
    private readonly TimeProvider time;

    /// <param name="agent">Its base address, <c>http://host:5051</c>.</param>
    /// <param name="http">Shared by all clients; not disposed here.</param>
    /// <param name="time">Paces the following of files.</param>
    public AgentClient(Uri agent, HttpMessageInvoker http, TimeProvider time)
    {
        this.agent = agent;
        api = new Uri(agent, "/api/v1");
        this.http = http;
        this.time = time;
    }

    internal Uri Address => agent;

    /// <summary>Any call of the v1 API that has a response.</summary>
    public async Task<Response> Call(Call call, CancellationToken stop)
    {
        using var content = new ByteArrayContent(call.ToByteArray());
        content.Headers.ContentType = new MediaTypeHeaderValue(Protobuf);
        using var response = await Send(content, Protobuf, stop);
        try
        {
            var body = await response.Content.ReadAsByteArrayAsync(stop);
            return body.Length == 0 ? new Response() : Response.Parser.ParseFrom(body);
        }
        catch (Exception failed) when (failed is HttpRequestException or IOException or InvalidProtocolBufferException)
        {
            throw new AgentUnavailable(agent, failed);
        }
    }

    /// <summary>A call with any body.</summary>
    /// <param name="accept"><see cref="RecordIo"/> stands for a stream of protobuf messages.</param>
    internal async Task<HttpResponseMessage> Send(HttpContent content, string accept, CancellationToken stop)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, api) { Content = content };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(accept));
        if (accept == RecordIo)
            request.Headers.Add("Message-Accept", Protobuf);
        try
        {
            var response = await http.SendAsync(request, stop);
            if (response.IsSuccessStatusCode)
                return response;
            using (response)
                throw new AgentRefused((int)response.StatusCode, await response.Content.ReadAsStringAsync(stop));
        }
        catch (Exception failed) when (failed is HttpRequestException or IOException)
        {
            throw new AgentUnavailable(agent, failed);
        }
        catch (OperationCanceledException failed) when (!stop.IsCancellationRequested)
        {
            // No connection in time.
            throw new AgentUnavailable(agent, failed.InnerException ?? failed);
        }
    }

    /// <summary>A part of a file. Agents give at most 64 KB at once.</summary>
    /// <param name="length">In bytes; null for as much as the agent gives.</param>
    /// <returns>The bytes (none at the end of the file) and how long the whole file is.</returns>
    public async Task<(ByteString Data, long Size)> ReadFile(string path, long offset, long? length, CancellationToken stop)
    {
        var call = new Call { Type = CallType.ReadFile, ReadFile = new() { Path = path, Offset = (ulong)offset } };
        if (length is { } most)
            call.ReadFile.Length = (ulong)most;
        var read = (await Call(call, stop)).ReadFile;
        return (read.Data, (long)read.Size);
    }

    public async Task<IReadOnlyList<Protocol.FileInfo>> ListFiles(string path, CancellationToken stop) =>
        (await Call(new Call { Type = CallType.ListFiles, ListFiles = new() { Path = path } }, stop)).ListFiles.FileInfos;

    /// <summary>What runs, with CPU and memory used. Nested containers of pods too.</summary>
    public async Task<IReadOnlyList<Response.Types.GetContainers.Types.Container>> Containers(CancellationToken stop) =>
        (await Call(new Call { Type = CallType.GetContainers, GetContainers = new() { ShowNested = true } }, stop)).GetContainers?.Containers ?? [];

    /// <summary>The sandbox of a task, running or ended; null when the agent does not know it (any more).</summary>
    public async Task<TaskSandbox?> FindSandbox(string taskId, CancellationToken stop)
    {
        var tasks = (await Call(new Call { Type = CallType.GetTasks }, stop)).GetTasks;
        // A task that ended and one that runs may have the same id: the one that runs comes last.
        var found = tasks.CompletedTasks.Concat(tasks.TerminatedTasks).Concat(tasks.QueuedTasks).Concat(tasks.LaunchedTasks).LastOrDefault(task => task.TaskId.Value == taskId);
        return found is null ? null : new(TaskSandbox.PathOf(found.FrameworkId.Value, found.ExecutorId?.Value is { Length: > 0 } executor ? executor : null, taskId), found.State);
    }

    /// <summary>
    /// The output of a task as bytes. Mesos has two files without time stamps: at first comes what is in stdout, then what is in stderr; what
    /// follows comes as it is written, of two files in whole lines.
    /// </summary>
    /// <param name="tailLines">Only so many last lines, counted over both files, the more recently written one first; null for all.</param>
    /// <param name="limitBytes">Ends after so many bytes; null for no limit.</param>
    /// <param name="follow">Goes on until the task has ended (and all of its output is read) or <paramref name="stop"/>.</param>
    /// <param name="begun">Called when the place to read from is known: what is written after that is read.</param>
    /// <exception cref="AgentRefused">404: the agent does not know the task.</exception>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadLog(
        string taskId,
        LogStreams streams,
        int? tailLines,
        long? limitBytes,
        bool follow,
        [EnumeratorCancellation] CancellationToken stop,
        Action? begun = null
    )
    {
        var sandbox = await FindSandbox(taskId, stop) ?? throw new AgentRefused(404, $"task {taskId} is not known to the agent");
        var reader = new LogReader(this, time, taskId, sandbox, streams);
        var left = limitBytes ?? long.MaxValue;
        await foreach (var chunk in reader.Read(tailLines, follow, begun, stop))
        {
            if (left <= 0)
                yield break;
            yield return chunk.Length <= left ? chunk : chunk[..(int)left];
            left -= chunk.Length;
        }
    }

    /// <summary>One file as it grows, from its end or another offset. Ends with <paramref name="stop"/> only.</summary>
    /// <param name="fromOffset">Null: from the end it has now.</param>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> FollowFile(string path, long? fromOffset, [EnumeratorCancellation] CancellationToken stop)
    {
        var offset = fromOffset ?? (await ReadFile(path, BeyondTheEnd, null, stop)).Size;
        var pace = new PollPace(time);
        while (true)
        {
            var (data, size) = await ReadFile(path, offset, null, stop);
            // A file that became shorter was begun anew.
            if (size < offset)
                offset = 0;
            offset += data.Length;
            if (data.Length > 0)
                yield return data.Memory;
            await pace.Wait(data.Length > 0, stop);
        }
    }
}
