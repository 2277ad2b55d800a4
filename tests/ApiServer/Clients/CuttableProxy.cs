using System.Net;
using System.Net.Sockets;

namespace Declarative.Tests.ApiServer.Clients;

/// <summary>Hands connections on to a port of this machine until they are cut; refuses new ones meanwhile.</summary>
internal sealed class CuttableProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly int _target;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<TcpClient> _open = [];
    private readonly List<Task> _pumps = [];
    private readonly Task _accepting;
    private bool _refuses;

    public CuttableProxy(int target)
    {
        _target = target;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = Accept();
    }

    public int Port { get; }

    /// <summary>Ends every connection, and new ones at once until <see cref="Restore"/>.</summary>
    public void Cut()
    {
        lock (_gate)
        {
            _refuses = true;
            foreach (var client in _open) client.Client.Close(0);
            _open.Clear();
        }
    }

    public void Restore()
    {
        lock (_gate) _refuses = false;
    }

    public async ValueTask DisposeAsync()
    {
        Cut();
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_pumps);
        _stop.Dispose();
    }

    private async Task Accept()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                var server = new TcpClient();
                await server.ConnectAsync(IPAddress.Loopback, _target, _stop.Token);
                lock (_gate)
                {
                    if (_refuses)
                    {
                        client.Client.Close(0);
                        server.Dispose();
                        continue;
                    }
                    _open.AddRange([client, server]);
                    _pumps.Add(Pump(client, server));
                    _pumps.Add(Pump(server, client));
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException && _stop.IsCancellationRequested)
        {
            return;
        }
    }

    private static async Task Pump(TcpClient from, TcpClient to)
    {
        try
        {
            await from.GetStream().CopyToAsync(to.GetStream());
            to.Client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // Cut here, or by one of the ends.
            to.Client.Close(0);
        }
    }
}
