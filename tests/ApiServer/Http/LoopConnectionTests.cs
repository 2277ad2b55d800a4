using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Declarative.ApiServer.Http.Transport;
using Declarative.ApiServer.Storage;
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
    public async Task A_post_between_two_that_go_last_leaves_the_bell_for_the_next_one()
    {
        Assert.SkipUnless(Epoll.IsSupported, "the event loops are Linux'");
        using var loop = new ConnectionLoop(0, NullLogger.Instance);
        var (busyPeer, busy) = await Open(loop);
        var (onePeer, one) = await Open(loop);
        var (twoPeer, two) = await Open(loop);
        using var reading = new SemaphoreSlim(0);
        using var goOn = new SemaphoreSlim(0);
        using var posted = new SemaphoreSlim(0);
        await using (busy)
        await using (one)
        await using (two)
        using (busyPeer)
        using (onePeer)
        using (twoPeer)
        {
            Round? round = null;
            var read = 0;
            one.GoesLast = two.GoesLast = true;
            OnData(busy, () => { round = Round.Current; reading.Release(); goOn.Wait(Stop); });
            OnData(one, () => { if (Interlocked.Increment(ref read) == 1) { reading.Release(); goOn.Wait(Stop); } });
            OnData(two, () => { if (Interlocked.Increment(ref read) == 1) { reading.Release(); goOn.Wait(Stop); } });
            // Both have sent when the loop comes to the first of them.
            await busyPeer.SendAsync("x"u8.ToArray(), Stop);
            await reading.WaitAsync(Stop);
            await onePeer.SendAsync("x"u8.ToArray(), Stop);
            await twoPeer.SendAsync("x"u8.ToArray(), Stop);
            goOn.Release();
            await reading.WaitAsync(Stop);
            round!.Post(static state => ((SemaphoreSlim)state).Release(), posted);
            goOn.Release();
            Assert.True(await posted.WaitAsync(TimeSpan.FromMinutes(1), Stop), "what is posted meanwhile is gone on with");
            await Eventually.True(() => Volatile.Read(ref read) == 2, "both are read");
            for (var i = 0; i < 3; i++)
            {
                round.Post(static state => ((SemaphoreSlim)state).Release(), posted);
                Assert.True(await posted.WaitAsync(TimeSpan.FromMinutes(1), Stop), "the loop hears of the next one");
            }
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
    }

    [Fact]
    public async Task Who_writes_again_at_each_answer_does_not_keep_the_loop_from_others()
    {
        Assert.SkipUnless(Epoll.IsSupported, "the event loops are Linux'");
        using var loop = new ConnectionLoop(0, NullLogger.Instance);
        var (busyPeer, busy) = await Open(loop);
        var (quietPeer, quiet) = await Open(loop);
        await using (busy)
        await using (quiet)
        using (busyPeer)
        using (quietPeer)
        {
            var (isRead, answers) = (false, 0);
            quiet.Transport.Input.ReadAsync(Stop).GetAwaiter().OnCompleted(() => Volatile.Write(ref isRead, true));
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            var round = await RoundOf(busyPeer, busy);
            round.Post(_ => Again(), round);
            await Eventually.True(() => Volatile.Read(ref answers) > 0, "the busy one is answered");
            await quietPeer.SendAsync("x"u8.ToArray(), Stop);
            await Eventually.True(() => Volatile.Read(ref isRead), "the quiet one is read");
            Assert.False(patience.IsCancellationRequested);

            // As a request behind another on the same connection: its write begins at the end of the round, and its answer lets the next one in.
            void Again()
            {
                answers++;
                if (!isRead && !patience.IsCancellationRequested) round.AtEnd(() => round.Post(_ => Again(), round));
            }
        }
    }

    [Fact]
    public async Task What_another_thread_posts_while_a_round_ends_is_not_forgotten()
    {
        Assert.SkipUnless(Epoll.IsSupported, "the event loops are Linux'");
        Round round;
        using (var loop = new ConnectionLoop(0, NullLogger.Instance))
        {
            var (peer, connection) = await Open(loop);
            await using (connection)
            using (peer)
            {
                var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                round = await RoundOf(peer, connection);
                // The end has counted what it goes on with when the second comes, and nothing else wakes the loop.
                round.Post(_ =>
                {
                    var other = new Thread(() => round.Post(_ => told.SetResult(), round));
                    other.Start();
                    other.Join();
                }, round);
                await told.Task.WaitAsync(Stop);
            }
        }
        // Nor what comes when the loop has ended.
        var late = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        round.Post(_ => late.SetResult(), round);
        await late.Task.WaitAsync(Stop);
    }

    // In the loop's thread.
    private static void OnData(LoopConnection connection, Action act) => connection.Transport.Input.ReadAsync(Stop).GetAwaiter().OnCompleted(act);

    /// <summary>The round of the connection's loop.</summary>
    private static async Task<Round> RoundOf(Socket peer, LoopConnection connection)
    {
        var found = new TaskCompletionSource<Round>(TaskCreationOptions.RunContinuationsAsynchronously);
        connection.Transport.Input.ReadAsync(Stop).GetAwaiter().OnCompleted(() => found.SetResult(Round.Current!));
        await peer.SendAsync("x"u8.ToArray(), Stop);
        return await found.Task.WaitAsync(Stop);
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
