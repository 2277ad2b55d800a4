using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Declarative.ApiServer.Http.Transport;
using Declarative.Tests.Client;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>Connections of the transport with nothing above them: the test itself reads and writes where Kestrel would.</summary>
public sealed class LoopConnectionTests
{
    private const int ReadAheadMax = 1024 * 1024;
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_reader_that_fails_ends_its_connection_and_no_other(bool isBehind)
    {
        Assert.SkipUnless(Epoll.IsSupported, "the event loops are Linux'");
        using var loop = new ConnectionLoop(0, NullLogger.Instance);
        var (peer, failing) = await Open(loop);
        var (otherPeer, other) = await Open(loop);
        await using (failing)
        await using (other)
        using (peer)
        using (otherPeer)
        {
            var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            failing.ConnectionClosed.Register(closed.SetResult);
            if (isBehind) await SendUntilNothingIsTaken(peer, failing);
            // What the reader has failed with is not thrown at it.
            failing.Transport.Input.Complete(new IOException("a bug"));
            if (!isBehind) await peer.SendAsync("x"u8.ToArray(), Stop);
            await End(peer);
            await closed.Task.WaitAsync(Stop);

            await otherPeer.SendAsync("still here"u8.ToArray(), Stop);
            var read = await other.Transport.Input.ReadAtLeastAsync(10, Stop);
            await other.Transport.Output.WriteAsync(read.Buffer.ToArray(), Stop);
            var answer = new byte[10];
            await new NetworkStream(otherPeer).ReadExactlyAsync(answer, Stop);
            Assert.Equal("still here"u8, answer);
        }
    }

    [Fact]
    public async Task Who_goes_last_is_read_after_those_who_sent_later()
    {
        Assert.SkipUnless(Epoll.IsSupported, "the event loops are Linux'");
        using var loop = new ConnectionLoop(0, NullLogger.Instance);
        var (firstPeer, first) = await Open(loop);
        var (lastPeer, last) = await Open(loop);
        var (otherPeer, other) = await Open(loop);
        using var reading = new SemaphoreSlim(0);
        using var goOn = new SemaphoreSlim(0);
        await using (first)
        await using (last)
        await using (other)
        using (firstPeer)
        using (lastPeer)
        using (otherPeer)
        {
            var order = new ConcurrentQueue<string>();
            last.GoesLast = true;
            OnData(first, () => { reading.Release(); goOn.Wait(Stop); });
            OnData(last, () => order.Enqueue("last"));
            OnData(other, () => order.Enqueue("other"));
            // The loop is busy with the first while the two others send.
            await firstPeer.SendAsync("x"u8.ToArray(), Stop);
            await reading.WaitAsync(Stop);
            await lastPeer.SendAsync("x"u8.ToArray(), Stop);
            await otherPeer.SendAsync("x"u8.ToArray(), Stop);
            goOn.Release();
            await Eventually.True(() => order.Count == 2, "both are read");
            Assert.Equal(["other", "last"], order);
        }

        // In the loop's thread.
        static void OnData(LoopConnection connection, Action act) => connection.Transport.Input.ReadAsync(Stop).GetAwaiter().OnCompleted(act);
    }

    private static async Task<(Socket Peer, LoopConnection Connection)> Open(ConnectionLoop loop)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var peer = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(listener.LocalEndpoint, Stop);
        var connection = new LoopConnection("test", await listener.AcceptSocketAsync(Stop), loop, MemoryPool<byte>.Shared, NullLogger.Instance);
        connection.Start();
        return (peer, connection);
    }

    private static async Task SendUntilNothingIsTaken(Socket peer, LoopConnection connection)
    {
        peer.Blocking = false;
        var block = new byte[64 * 1024];
        await Eventually.True(() =>
        {
            for (var error = SocketError.Success; error == SocketError.Success;) peer.Send(block, SocketFlags.None, out error);
            if (!connection.Transport.Input.TryRead(out var read)) return false;
            connection.Transport.Input.AdvanceTo(read.Buffer.Start);
            return read.Buffer.Length >= ReadAheadMax;
        }, "nothing is read ahead any more");
        peer.Blocking = true;
    }

    private static async Task End(Socket peer)
    {
        try
        {
            Assert.Equal(0, await peer.ReceiveAsync(new byte[1], Stop));
        }
        catch (SocketException reset)
        {
            Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode); // what it had sent was not read
        }
    }
}
