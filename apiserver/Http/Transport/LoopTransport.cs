using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Http.Transport;

/// <summary>Kestrel's sockets on event loops of this server's own, one per processor. Linux; elsewhere Kestrel's own sockets serve.</summary>
internal sealed class LoopTransport(ILoggerFactory logs) : IConnectionListenerFactory
{
    private const int WaitingMax = 512;
    private static readonly TimeSpan AcceptAgainIn = TimeSpan.FromMilliseconds(50); // a failure that lasts is not tried all the time

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
        var log = logs.CreateLogger<LoopTransport>();
        var loops = new List<ConnectionLoop>();
        try
        {
            socket.Listen(WaitingMax);
            for (var i = 0; i < Environment.ProcessorCount; i++) loops.Add(new(i, log));
            return ValueTask.FromResult<IConnectionListener>(new Listener(socket, [.. loops], new RecordPool(), log));
        }
        catch
        {
            socket.Dispose();
            foreach (var loop in loops) loop.Dispose();
            throw;
        }
    }

    private sealed class Listener(Socket socket, ConnectionLoop[] loops, MemoryPool<byte> pool, ILogger log) : IConnectionListener
    {
        private readonly string _run = Guid.NewGuid().ToString("n")[..8];
        private uint _accepted;
        private bool _fails;

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
                catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionAborted)
                {
                    continue; // the client went while it waited
                }
                catch (SocketException e)
                {
                    await Failed(e);
                    continue;
                }
                var number = _accepted++;
                try
                {
                    var connection = new LoopConnection(string.Create(CultureInfo.InvariantCulture, $"{_run}-{number}"), accepted, loops[number % loops.Length], pool, log);
                    connection.Start();
                    _fails = false;
                    return connection;
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    accepted.Dispose(); // the client is gone, or the loops are
                }
                catch (IOException e)
                {
                    accepted.Dispose();
                    await Failed(e);
                }
            }

            async Task Failed(Exception reason)
            {
                if (!_fails) Log.NotAccepted(log, reason.Message);
                _fails = true;
                await Task.Delay(AcceptAgainIn, cancellationToken);
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
            foreach (var loop in loops) loop.Dispose();
            pool.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
