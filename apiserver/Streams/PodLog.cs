using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http;
using Declarative.Mesos.AgentClient;

namespace Declarative.ApiServer.Streams;

/// <summary><c>GET pods/NAME/log</c>: the output files of the pod's Mesos task, read through the API of its agent.</summary>
internal sealed class PodLog(HttpMessageInvoker http, TimeProvider time)
{
    /// <param name="api">The server's own: who may read the log needs no right to read pods and nodes.</param>
    public async Task Answer(Exchange exchange, IApi api, CancellationToken closing)
    {
        var request = LogRequest.Read(exchange.Query);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(exchange.Aborted, closing);
        var source = await LogSource.Find(api, exchange.Key, request, stop.Token);
        var agent = new AgentClient(source.Agent, http, time);
        try
        {
            if (await agent.FindSandbox(source.Task, stop.Token) is null) throw source.NotThere(exchange.Key.Name, request.Previous);
            Answers.Warn(exchange.Context, [.. request.Warnings]);
            // The head goes out at once: a follower of a silent task is connected, not hanging.
            var writer = Answers.Begin(exchange.Context, 200, "text/plain").BodyWriter;
            await writer.FlushAsync(stop.Token);
            await foreach (var bytes in agent.ReadLog(source.Task, request.Streams, request.TailLines, request.LimitBytes, request.Follow, stop.Token))
            {
                await writer.WriteAsync(bytes, stop.Token);
            }
        }
        catch (AgentUnavailable lost)
        {
            throw Status.Unavailable(lost.Message);
        }
        catch (AgentRefused refused)
        {
            throw refused.Status == 404 ? source.NotThere(exchange.Key.Name, request.Previous) : Status.Unavailable(refused.Message);
        }
        catch (OperationCanceledException) when (closing.IsCancellationRequested && !exchange.Aborted.IsCancellationRequested)
        {
            return; // the server stops: what has been sent is a whole answer
        }
    }
}
