using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Declarative.ApiServer.Http.Transport;

/// <summary>Kestrel's sockets on event loops of this server's own, one per processor. Linux; elsewhere Kestrel's own sockets serve.</summary>
internal sealed class LoopTransport(IMemoryPoolFactory<byte> pools) : IConnectionListenerFactory
{
    private const int WaitingMax = 512;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket socket;
        try
        {
            socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(e.Message, e);
        }
        socket.Listen(WaitingMax);
        return ValueTask.FromResult<IConnectionListener>(new Listener(socket, pools.Create(new())));
    }

    private sealed class Listener(Socket socket, MemoryPool<byte> pool) : IConnectionListener
    {
        private readonly ConnectionLoop[] _loops = [.. Enumerable.Range(0, Environment.ProcessorCount).Select(x => new ConnectionLoop(x))];
        private readonly string _run = Guid.NewGuid().ToString("n")[..8];
        private int _accepted;

        public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (true)
            {
                Socket accepted;
                try
                {
                    accepted = await socket.AcceptAsync(cancellationToken);
                }
                catch (ObjectDisposedException)
                {
                    return null;
                }
                catch (SocketException e) when (e.SocketErrorCode == SocketError.OperationAborted)
                {
                    return null;
                }
                catch (SocketException)
                {
                    continue; // the client went while it waited
                }
                var number = _accepted++;
                try
                {
                    var connection = new LoopConnection(string.Create(CultureInfo.InvariantCulture, $"{_run}-{number}"), accepted, _loops[number % _loops.Length], pool);
                    connection.Start();
                    return connection;
                }
                catch (SocketException)
                {
                    accepted.Dispose();
                }
            }
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            socket.Dispose();
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync()
        {
            socket.Dispose();
            foreach (var loop in _loops) loop.Dispose();
            pool.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
