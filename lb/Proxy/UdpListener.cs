using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Microsoft.Extensions.Logging;

namespace Declarative.Lb.Proxy;

/// <summary>
/// One bound UDP socket. The datagrams of one client address and port are a flow: they go to one endpoint, whose datagrams come back to it, until
/// none has passed for a while. A flow counts as in flight. When its pod goes away the next datagram of the client begins a new flow at
/// another endpoint, and the old one waits a moment for answers that are under way.
/// </summary>
internal sealed class UdpListener : IDisposable
{
    /// <summary>The kernel's connection tracking forgets a flow without answer after 30 s.</summary>
    private static readonly TimeSpan IdleDefault = TimeSpan.FromSeconds(30);

    /// <summary>So long answers of a pod that goes away are waited for after the flow was last used.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SweepEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>Flows of one listener: as many sockets.</summary>
    private const int FlowsMax = 8192;

    /// <summary>Of one listener towards the kernel: bursts come while a thread is elsewhere.</summary>
    private const int SocketBufferBytes = 1024 * 1024;
    private const int DatagramBytesMax = 65_535;

    private readonly Socket _socket;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<IPEndPoint, Flow> _flows = new();
    private readonly ConcurrentDictionary<Flow, Task> _answering = new();

    /// <summary>There are flows to look after.</summary>
    private readonly SemaphoreSlim _begun = new(0);
    private readonly Func<RouteTable> _table;
    private Cluster? _cluster;

    /// <exception cref="SocketException">The address cannot be listened on.</exception>
    public UdpListener(ListenerKey key, Cluster cluster, Func<RouteTable> table, ILogger logger)
    {
        (Key, _cluster, _table, _logger) = (key, cluster, table, logger);
        var address = IPAddress.Parse(key.Address);
        _socket = new(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveBufferSize = SocketBufferBytes };
        try
        {
            _socket.Bind(new IPEndPoint(address, key.Port));
        }
        catch
        {
            _socket.Dispose();
            throw;
        }
    }

    public ListenerKey Key { get; }

    public int Flows => _flows.Count;

    /// <summary>Where new flows go; null after the Service has gone.</summary>
    public Cluster? Cluster
    {
        get => Volatile.Read(ref _cluster);
        set => Volatile.Write(ref _cluster, value);
    }

    /// <summary>Returns when the listener is disposed and all flows have ended.</summary>
    public async Task Run()
    {
        using var ended = new CancellationTokenSource();
        var sweeping = Sweep(ended.Token);
        var buffer = GC.AllocateUninitializedArray<byte>(DatagramBytesMax, pinned: true);
        var from = new IPEndPoint(_socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        while (true)
        {
            try
            {
                var got = await _socket.ReceiveFromAsync(buffer, SocketFlags.None, from);
                await Pass((IPEndPoint)got.RemoteEndPoint, buffer.AsMemory(0, got.ReceivedBytes));
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
            {
                break;
            }
            catch (SocketException e)
            {
                ProxyLog.ConnectionLost(_logger, Key.ToString(), e.Message);
            }
        }
        ended.Cancel();
        await sweeping;
        _begun.Dispose();
        // Those that their clients have left are in no table of clients any longer; the pod of one may never say anything again.
        foreach (var flow in _answering.Keys) End(flow);
        foreach (var answering in _answering.Values) await answering;
    }

    public void Dispose() => _socket.Dispose();

    private async Task Pass(IPEndPoint client, ReadOnlyMemory<byte> datagram)
    {
        if (_flows.TryGetValue(client, out var flow) && flow.Destination.IsClosed)
        {
            _flows.TryRemove(client, out _);
            flow.IsLeft = true;
            flow = null;
        }
        flow ??= Begin(client);
        if (flow is null) return;
        flow.Touch();
        try
        {
            await flow.Socket.SendAsync(datagram, SocketFlags.None);
        }
        catch (SocketException e)
        {
            // ICMP told of the datagram before: nobody listens there. The client sends again, as with UDP it must; somebody else answers then.
            ProxyLog.ConnectionLost(_logger, Key.ToString(), e.Message);
            flow.Cluster.Outcome(flow.Destination, failed: true);
            End(flow);
        }
        catch (ObjectDisposedException)
        {
            End(flow);
        }
    }

    private Flow? Begin(IPEndPoint client)
    {
        if (Cluster is not { } cluster) return null;
        for (var hop = 0; cluster.Edge is { } edge; hop++)
        {
            if (hop > Limits.SplitHopsMax || !TcpTunnel.IsLetIn(edge, client.Address))
            {
                Interlocked.Increment(ref cluster.Counts.RefusalCount);
                return null;
            }
            var next = edge.Divides ? Splits.Next(null, cluster, edge, _table(), from: null) : cluster;
            if (next == cluster) break;
            cluster = next;
        }
        Interlocked.Increment(ref cluster.Counts.ConnectionCount);
        if (_flows.Count >= FlowsMax)
        {
            Interlocked.Increment(ref cluster.Counts.RefusalCount);
            return null;
        }
        var settings = cluster.Settings;
        if (cluster.Pick(but: null, settings.Balance == Balance.Source ? Mixing.Hash(client.Address) : 0) is not { } destination)
        {
            Interlocked.Increment(ref cluster.Counts.NoEndpointCount);
            return null;
        }
        Socket? socket = null;
        try
        {
            // Fails where the limit of open files is reached.
            socket = new(destination.EndPoint.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            socket.Connect(destination.EndPoint);
        }
        catch (SocketException e)
        {
            ProxyLog.ConnectionLost(_logger, Key.ToString(), e.Message);
            Interlocked.Increment(ref cluster.Counts.FailureCount);
            socket?.Dispose();
            destination.Release();
            return null;
        }
        var flow = new Flow(client, cluster, destination, socket, settings.IdleTimeout ?? IdleDefault);
        _flows[client] = flow;
        _answering[flow] = Task.CompletedTask;
        if (_begun.CurrentCount == 0) _begun.Release();
        _answering.TryUpdate(flow, Answer(flow), Task.CompletedTask); // not where it has ended already and is gone
        return flow;
    }

    private async Task Answer(Flow flow)
    {
        var first = new byte[1];
        try
        {
            while (true)
            {
                // Waits without a buffer of a datagram's size: thousands of flows are idle.
                await flow.Socket.ReceiveAsync(first, SocketFlags.Peek);
                await PassBack(flow);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            if (e is SocketException { SocketErrorCode: SocketError.ConnectionRefused }) flow.Cluster.Outcome(flow.Destination, failed: true);
            End(flow);
        }
        finally
        {
            flow.Destination.Release();
            _answering.TryRemove(flow, out _);
        }
    }

    private async Task PassBack(Flow flow)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(DatagramBytesMax);
        try
        {
            var count = await flow.Socket.ReceiveAsync(buffer, SocketFlags.None);
            flow.Touch();
            flow.Cluster.Outcome(flow.Destination, failed: false);
            await _socket.SendToAsync(buffer.AsMemory(0, count), SocketFlags.None, flow.Client);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void End(Flow flow)
    {
        _flows.TryRemove(KeyValuePair.Create(flow.Client, flow));
        flow.Socket.Dispose();
    }

    private async Task Sweep(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                while (_answering.IsEmpty) await _begun.WaitAsync(stop);
                await Task.Delay(SweepEvery, stop);
                var now = Environment.TickCount64;
                foreach (var flow in _answering.Keys)
                {
                    var wait = flow.IsLeft || flow.Destination.IsClosed ? Math.Min(Linger.TotalMilliseconds, flow.Idle.TotalMilliseconds) : flow.Idle.TotalMilliseconds;
                    if (now - flow.Last >= wait) End(flow);
                }
            }
        }
        catch (OperationCanceledException)
        {
            return;
        }
    }

    private sealed class Flow(IPEndPoint client, Cluster cluster, Destination destination, Socket socket, TimeSpan idle)
    {
        private long _last = Environment.TickCount64;

        public IPEndPoint Client => client;
        public Cluster Cluster => cluster;
        public Destination Destination => destination;
        public Socket Socket => socket;
        public TimeSpan Idle => idle;
        public long Last => Volatile.Read(ref _last);

        /// <summary>Its client has begun another one.</summary>
        public bool IsLeft { get; set; }

        public void Touch() => Volatile.Write(ref _last, Environment.TickCount64);
    }
}
