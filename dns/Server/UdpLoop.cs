using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>
/// A thread that blocks on its own socket, answers what came and blocks again. Nothing that arrives ends it: only <see cref="Dispose"/> does.
/// </summary>
internal sealed class UdpLoop : IDisposable
{
    private readonly Socket socket;
    private readonly Answering answering;
    private readonly ILogger logger;
    private readonly IPEndPoint address;
    private readonly Thread thread;
    private volatile bool stopping;
    private long receiveFailures;

    /// <param name="socket">Bound; owned by the loop from now on.</param>
    /// <param name="zones">What to answer from.</param>
    /// <param name="logger">For the first failure of a kind.</param>
    /// <param name="batched">With recvmmsg; else one packet per call, which works everywhere.</param>
    public UdpLoop(Socket socket, DnsZones zones, ILogger logger, bool batched)
    {
        this.socket = socket;
        this.logger = logger;
        address = (IPEndPoint)socket.LocalEndPoint!;
        answering = new Answering(zones, logger);
        socket.ReceiveTimeout = DnsLimits.StopPollMilliseconds;
        socket.ReceiveBufferSize = DnsLimits.UdpReceiveBufferBytes;
        thread = new Thread(batched ? RunBatched : RunPlain) { IsBackground = true, Name = $"dns udp {address}" };
        thread.Start();
    }

    public Counters Counters => answering.Counters;

    /// <summary>Tells the thread to end without waiting for it.</summary>
    public void Stop() => stopping = true;

    public void Dispose()
    {
        Stop();
        thread.Join();
        socket.Dispose();
        answering.Dispose();
    }

    private void RunBatched()
    {
        using var batch = new LinuxBatch((int)socket.SafeHandle.DangerousGetHandle(), DnsLimits.UdpBatchPackets, DnsSockets.IsWildcard(address));
        while (!stopping)
        {
            var got = batch.Receive();
            if (got < 0)
            {
                if (-got is not (LinuxBatch.Again or LinuxBatch.Interrupted))
                    Failed($"error {-got}");
                continue;
            }
            answering.Begin();
            for (var i = 0; i < got; i++)
            {
                var length = answering.Write(batch.Query(i), batch.AnswerBuffer, stream: false);
                if (length > 0)
                    batch.Add(i, length);
            }
            Counters.Unsent += batch.Send();
            answering.End();
        }
    }

    private void RunPlain()
    {
        var query = new byte[DnsLimits.QueryBytesMax];
        var response = new byte[Answer.UdpSizeMax];
        var sender = new SocketAddress(socket.AddressFamily);
        while (!stopping)
        {
            try
            {
                var length = socket.ReceiveFrom(query, SocketFlags.None, sender);
                answering.Begin();
                length = answering.Write(query.AsSpan(0, length), response, stream: false);
                if (length > 0)
                    socket.SendTo(response.AsSpan(0, length), SocketFlags.None, sender);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock or SocketError.Interrupted)
            {
                continue; // nothing came: look whether to stop
            }
            catch (SocketException e)
            {
                // Also the echo of an earlier answer that found no one (Windows: ConnectionReset).
                Failed(e.SocketErrorCode.ToString());
            }
            finally
            {
                answering.End();
            }
        }
    }

    private void Failed(string reason)
    {
        if (receiveFailures++ == 0)
            Log.ReceiveFailed(logger, address, reason);
        Thread.Sleep(1); // an error that stays must not turn into a busy loop
    }
}
