using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>
/// A thread that blocks on its own socket, answers what came and blocks again. Nothing that arrives ends it: only <see cref="Dispose"/> does.
/// </summary>
internal sealed class UdpLoop : IDisposable
{
    private readonly Socket _socket;
    private readonly Answering _answering;
    private readonly ILogger _logger;
    private readonly IPEndPoint _address;
    private readonly Thread _thread;
    private readonly ForeignQuestions? _foreign;
    private readonly CancellationTokenSource _giveUp = new();
    private volatile bool _stopping;
    private long _receiveFailures;

    /// <param name="socket">Bound; owned by the loop from now on.</param>
    /// <param name="zones">What to answer from.</param>
    /// <param name="parts">What all loops share.</param>
    /// <param name="logger">For the first failure of a kind.</param>
    /// <param name="batched">With recvmmsg; else one packet per call, which works everywhere.</param>
    public UdpLoop(Socket socket, DnsZones zones, ServerParts parts, ILogger logger, bool batched)
    {
        _socket = socket;
        _logger = logger;
        _address = (IPEndPoint)socket.LocalEndPoint!;
        _answering = new Answering(zones, parts, logger);
        _foreign = parts.Forwarder is { } forwarder ? new ForeignQuestions(forwarder, logger) : null;
        socket.ReceiveTimeout = DnsLimits.StopPollMilliseconds;
        socket.ReceiveBufferSize = DnsLimits.UdpReceiveBufferBytes;
        _thread = new Thread(batched ? RunBatched : RunPlain) { IsBackground = true, Name = $"dns udp {_address}" };
        _thread.Start();
    }

    public Counters Counters => _answering.Counters;

    /// <summary>Tells the thread to end without waiting for it.</summary>
    public void Stop() => _stopping = true;

    public void Dispose()
    {
        Stop();
        _thread.Join();
        _giveUp.Cancel();
        // What is still asked for elsewhere writes to the socket: it is closed after the last one.
        _foreign?.Rest(CancellationToken.None).Wait(DnsLimits.StopForwardsMilliseconds);
        _giveUp.Dispose();
        _socket.Dispose();
        _answering.Dispose();
    }

    private void RunBatched()
    {
        using var batch = new LinuxBatch((int)_socket.SafeHandle.DangerousGetHandle(), DnsLimits.UdpBatchPackets, DnsSockets.IsWildcard(_address));
        while (!_stopping)
        {
            var got = batch.Receive();
            if (got < 0)
            {
                if (-got is not (LinuxBatch.Again or LinuxBatch.Interrupted))
                    Failed($"error {-got}");
                continue;
            }
            _answering.Begin();
            for (var i = 0; i < got; i++)
            {
                var query = batch.Query(i);
                var length = _answering.Write(query, batch.AnswerBuffer, stream: false, batch.Client(i), out var fate);
                if (fate != AnswerFate.Done)
                    AskElsewhere(query, batch.AnswerBuffer[..length], batch.Later(i));
                else if (length > 0)
                    batch.Add(i, length);
            }
            Counters.Unsent += batch.Send();
            _answering.End();
        }
    }

    private void AskElsewhere(ReadOnlySpan<byte> query, ReadOnlySpan<byte> local, LinuxBatch.LaterAnswer later) =>
        _foreign!.Start(query.ToArray(), local.ToArray(), stream: false, answer =>
        {
            later.Send(answer.Span);
            return ValueTask.CompletedTask;
        }, _giveUp.Token);

    private void RunPlain()
    {
        var query = new byte[DnsLimits.QueryBytesMax];
        var response = new byte[Answer.UdpSizeMax];
        var sender = new SocketAddress(_socket.AddressFamily);
        while (!_stopping)
        {
            try
            {
                var length = _socket.ReceiveFrom(query, SocketFlags.None, sender);
                _answering.Begin();
                var packet = query.AsSpan(0, length);
                length = _answering.Write(packet, response, stream: false, ClientOf(sender), out var fate);
                if (fate != AnswerFate.Done)
                    AskElsewhere(packet, response.AsSpan(0, length), sender);
                else if (length > 0)
                    _socket.SendTo(response.AsSpan(0, length), SocketFlags.None, sender);
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
                _answering.End();
            }
        }
    }

    private static ReadOnlySpan<byte> ClientOf(SocketAddress sender) => sender.Family == AddressFamily.InterNetwork ? sender.Buffer.Span.Slice(4, 4) : sender.Buffer.Span.Slice(8, 16);

    private void AskElsewhere(ReadOnlySpan<byte> query, ReadOnlySpan<byte> local, SocketAddress sender)
    {
        var to = new SocketAddress(sender.Family, sender.Size);
        sender.Buffer.Span[..sender.Size].CopyTo(to.Buffer.Span);
        _foreign!.Start(query.ToArray(), local.ToArray(), stream: false, answer =>
        {
            _socket.SendTo(answer.Span, SocketFlags.None, to);
            return ValueTask.CompletedTask;
        }, _giveUp.Token);
    }

    private void Failed(string reason)
    {
        if (_receiveFailures++ == 0)
            Log.ReceiveFailed(_logger, _address, reason);
        Thread.Sleep(1); // an error that stays must not turn into a busy loop
    }
}
