using System.Net;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Scheduler;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The HTTP face of an embedded master: the scheduler API, the operator API and the read endpoints that others poll.</summary>
public sealed class MasterServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private MiniMaster? _master;

    private MasterServer(IPEndPoint endpoint) => _app = BareServer.Make(endpoint, Handle);

    /// <summary>The port it listens on.</summary>
    public int Port { get; private set; }

    public MiniMaster Master => _master ?? throw new InvalidOperationException("The server has not started.");

    /// <summary>Listens, and makes the master when the port is known.</summary>
    /// <param name="endpoint">Port 0 takes a free one.</param>
    /// <param name="make">Makes the master that answers; <see cref="MasterOptions.Port"/> should be the port it is given.</param>
    /// <param name="stop">Gives up starting.</param>
    /// <exception cref="IOException">The port is taken.</exception>
    public static async Task<MasterServer> Start(IPEndPoint endpoint, Func<int, MiniMaster> make, CancellationToken stop)
    {
        var server = new MasterServer(endpoint);
        try
        {
            await server._app.StartAsync(stop);
            server.Port = new Uri(server._app.Urls.First()).Port;
            server._master = make(server.Port);
            return server;
        }
        catch
        {
            await server._app.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops the master, ends all streams and closes the port.</summary>
    public async ValueTask DisposeAsync()
    {
        _master?.Dispose();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _app.StopAsync(patience.Token);
        await _app.DisposeAsync();
    }

    private async Task Handle(HttpContext context)
    {
        if (_master is not { } current)
        {
            await Answer.Text(context, 503, "The master is starting");
            return;
        }

        var path = Path(context.Request.Path.Value ?? "/");
        string? principal = null;
        if (current.Options.Credentials is { } credentials && BasicAuthentication.RealmOf(path) is { } realm)
        {
            principal = BasicAuthentication.PrincipalOf(context.Request, credentials);
            if (principal is null)
            {
                await BasicAuthentication.Refuse(context, realm);
                return;
            }
        }

        try
        {
            if (path == "/api/v1/scheduler")
                await SchedulerEndpoint.Handle(context, current, principal);
            else if (path == "/api/v1" || path.StartsWith("/api/v1/", StringComparison.Ordinal))
                await OperatorEndpoint.Handle(context, current);
            else if (!await ReadEndpoints.Handle(context, current, path))
                await Answer.Text(context, 404, "404 Not Found.");
        }
        catch (MasterUnavailable gone)
        {
            await Answer.Text(context, 503, gone.Message);
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException bad)
        {
            await Answer.Text(context, bad.StatusCode, bad.Message);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone.
        }
    }

    // Every path also answers below /master, and with a slash behind.
    private static string Path(string path)
    {
        if (path.Length > 1 && path.EndsWith('/'))
            path = path[..^1];
        return path.StartsWith("/master/", StringComparison.Ordinal) ? path["/master".Length..] : path;
    }
}
