using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http;
using Declarative.ApiServer.Streams.Spdy;
using Declarative.Mesos.AgentClient;
using ContainerID = Declarative.Mesos.Protocol.ContainerID;

namespace Declarative.ApiServer.Streams;

/// <summary><c>pods/NAME/exec</c> and <c>pods/NAME/attach</c>: the client's streams joined to a container on its agent.</summary>
/// <param name="agents">Not disposed here.</param>
internal sealed class PodRemote(HttpMessageInvoker agents, TimeProvider time)
{
    // Best first. Before version 4 the result is text; terminal sizes came with 3, a way to end stdin over WebSocket with 5.
    private static readonly string[] WebSocketProtocols = [WebSocketIo.V5, WebSocketIo.V4];
    private static readonly string[] SpdyProtocols = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];
    private static readonly TimeSpan StreamsWithin = TimeSpan.FromSeconds(30);

    /// <param name="api">The server's own: who may exec needs no right to read pods and nodes.</param>
    public async Task Answer(Exchange exchange, IApi api, CancellationToken closing)
    {
        var isExec = exchange.Path.Subresource == "exec";
        var request = RemoteRequest.Read(exchange.Query, isExec);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(exchange.Aborted, closing);
        var task = await ContainerTask.Find(api, exchange.Key, request.Container, stop.Token);
        var agent = new AgentClient(task.Agent, agents, time);
        var container = await Container(agent, task, stop.Token);

        await using var io = await Connect(exchange, request, stop.Token);
        using var session = CancellationTokenSource.CreateLinkedTokenSource(stop.Token, io.Gone);
        var result = await Run(new RemoteSession(agent, io, request, task, container, time), isExec, session.Token);
        if (result is not null && !session.IsCancellationRequested) await io.Finish(result, session.Token);
    }

    /// <summary>null where the client has gone: there is nobody to tell.</summary>
    private static async Task<Status?> Run(RemoteSession session, bool isExec, CancellationToken stop)
    {
        try
        {
            return await (isExec ? session.Exec(stop) : session.Attach(stop));
        }
        catch (Exception failed) when (failed is AgentRefused or AgentUnavailable)
        {
            return new(500, StatusReason.InternalError, failed.Message);
        }
        catch (Exception) when (stop.IsCancellationRequested)
        {
            return null;
        }
    }

    private static async Task<ContainerID> Container(AgentClient agent, ContainerTask task, CancellationToken stop)
    {
        try
        {
            return await new AgentContainers(agent).Find(task.Id, stop)
                ?? throw Status.BadRequest($"container \"{task.Container.Name}\" in pod \"{task.Pod.Name}\" is not running: the agent at {task.Agent} has no task {task.Id}");
        }
        catch (Exception failed) when (failed is AgentRefused or AgentUnavailable)
        {
            throw Status.Unavailable(failed.Message);
        }
    }

    private async Task<IRemoteIo> Connect(Exchange exchange, RemoteRequest request, CancellationToken stop)
    {
        if (Upgrade.IsWebSocket(exchange)) return new WebSocketIo(await Upgrade.ToWebSocket(exchange, WebSocketProtocols), time);
        if (!Upgrade.IsSpdy(exchange)) throw Upgrade.Required(exchange);
        var (connection, protocol) = await Upgrade.ToSpdy(exchange, SpdyProtocols);
        try
        {
            using var within = CancellationTokenSource.CreateLinkedTokenSource(stop, connection.Ended);
            within.CancelAfter(StreamsWithin);
            return await SpdyIo.Accept(connection, request.SpdyStreams(resize: protocol[1] is '3' or '4'), asJson: protocol[1] == '4', within.Token);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }
}
