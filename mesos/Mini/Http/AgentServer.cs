using System.Net;
using Declarative.Mesos.Mini.Agents;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The HTTP face of an embedded agent: the v1 operator and executor APIs and the read endpoints that others poll.</summary>
public sealed class AgentServer : IAsyncDisposable
{
    private readonly ProcessAgent _agent;
    private readonly WebApplication _app;

    private AgentServer(ProcessAgent agent, IPEndPoint endpoint)
    {
        _agent = agent;
        _app = BareServer.Make(endpoint, Handle);
    }

    /// <summary>The port it listens on.</summary>
    public int Port { get; private set; }

    /// <param name="agent">Answers from its state; whether it is connected to a master does not matter.</param>
    /// <param name="endpoint">Port 0 takes a free one; else it should be the port in the agent's options, which the master hands on.</param>
    /// <exception cref="IOException">The port is taken.</exception>
    public static async Task<AgentServer> Start(ProcessAgent agent, IPEndPoint endpoint, CancellationToken stop)
    {
        var server = new AgentServer(agent, endpoint);
        try
        {
            await server._app.StartAsync(stop);
            server.Port = new Uri(server._app.Urls.First()).Port;
            return server;
        }
        catch
        {
            await server._app.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _app.StopAsync(patience.Token);
        await _app.DisposeAsync();
    }

    private async Task Handle(HttpContext context)
    {
        var path = Path(context.Request.Path.Value ?? "/");
        try
        {
            if (path == "/api/v1")
                await AgentCalls.Handle(context, _agent);
            else if (path == "/api/v1/executor")
                await ExecutorEndpoint.Handle(context, _agent);
            else if (!await AgentReadEndpoints.Handle(context, _agent, path))
                await Answer.Text(context, 404, "404 Not Found.");
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException bad)
        {
            await Answer.Text(context, bad.StatusCode, bad.Message);
        }
        catch (IOException unreadable)
        {
            await Answer.Text(context, 500, unreadable.Message);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone.
        }
    }

    // Every path also answers below /slave(1), and with a slash behind.
    private static string Path(string path)
    {
        const string actor = "/slave(1)";
        if (path.Length > 1 && path.EndsWith('/'))
            path = path[..^1];
        return path.StartsWith(actor + "/", StringComparison.Ordinal) ? path[actor.Length..] : path;
    }
}
