using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Declarative.Mesos.Scheduler.Http;
using Xunit;

namespace Declarative.Tests.Mesos;

/// <summary>Calls to a master one behind the other on one connection.</summary>
public sealed class CallPipelineTests : IDisposable
{
    private const string Answers = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        + "HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\nContent-Type: text/plain\r\n\r\nno, sorry"
        + "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\nb\r\n subscribed\r\n0\r\nX-Took: 3\r\nX-By: me\r\n\r\n"
        + "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

    private static readonly CancellationToken Stop = TestContext.Current.CancellationToken;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    public CallPipelineTests() => _listener.Start();

    public void Dispose() => _listener.Dispose();

    [Fact]
    public void Answers_are_read_wherever_the_stream_is_cut()
    {
        var bytes = Encoding.ASCII.GetBytes(Answers);
        for (var cut = 0; cut < bytes.Length; cut++)
        {
            var found = new List<CallAnswer>();
            var buffer = new ReadOnlySequence<byte>(bytes.AsMemory(0, cut));
            while (CallAnswer.TryRead(ref buffer) is { } answer) found.Add(answer);
            buffer = new(bytes.AsMemory(cut - (int)buffer.Length));
            while (CallAnswer.TryRead(ref buffer) is { } answer) found.Add(answer);
            Assert.Equal([new(202, "", false), new(400, "no, sorry", false), new(403, "not subscribed", false), new(503, "", true)], found);
            Assert.True(buffer.IsEmpty);
        }
    }

    [Theory]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n\r\n")]
    [InlineData("HTTP/1.1 abc Accepted\r\n\r\n")]
    [InlineData("HTTP/1.1 202 Accepted\r\nContent-Length: many\r\n\r\n")]
    [InlineData("HTTP/1.1 202 Accepted\r\nContent-Length: -1\r\n\r\n")]
    [InlineData("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")]
    [InlineData("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n")]
    [InlineData("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n7fffffff\r\n")]
    public void What_is_no_answer_is_refused(string text)
    {
        var buffer = new ReadOnlySequence<byte>(Encoding.ASCII.GetBytes(text));
        Assert.Throws<IOException>(() => CallAnswer.TryRead(ref buffer));
    }

    [Fact]
    public async Task A_call_waits_for_no_other_and_each_has_its_answer()
    {
        using var pipeline = Open();
        var calls = Enumerable.Range(0, 4).Select(i => Sent(pipeline, Encoding.ASCII.GetBytes($"call {i};"), Stop)).ToList();
        using var master = await _listener.AcceptTcpClientAsync(Stop);
        Assert.Equal("call 0;call 1;call 2;call 3;", await Read(master, 28)); // and none is answered yet
        Assert.True(pipeline.IsFit);
        await master.GetStream().WriteAsync(Encoding.ASCII.GetBytes(Answers), Stop);
        Assert.Equal([202, 400, 403, 503], (await Task.WhenAll(calls)).Select(x => x.Status));
        await pipeline.Running; // the last answer said so
        Assert.False(pipeline.IsFit);
    }

    [Fact]
    public async Task A_lost_connection_is_told_to_all_who_wait_and_to_who_comes_after()
    {
        using var pipeline = Open();
        var calls = Enumerable.Range(0, 2).Select(i => Sent(pipeline, Encoding.ASCII.GetBytes($"call {i};"), Stop)).ToList();
        var master = await _listener.AcceptTcpClientAsync(Stop);
        await Read(master, 14);
        master.Dispose();
        foreach (var call in calls) await Assert.ThrowsAnyAsync<IOException>(() => call);
        Assert.False(pipeline.IsFit);
        Assert.False(pipeline.TrySend("late"u8.ToArray(), Stop, out _));
        Assert.NotNull(pipeline.Why);
        await pipeline.Running;
    }

    [Fact]
    public async Task A_call_that_is_given_up_before_it_was_sent_is_never_sent()
    {
        var connected = new TaskCompletionSource();
        using var pipeline = new CallPipeline(async stop =>
        {
            await connected.Task;
            return await Connect(stop);
        }, TimeSpan.FromSeconds(30), TimeProvider.System);
        using var lease = new CancellationTokenSource();
        var first = Sent(pipeline, "first;"u8.ToArray(), lease.Token);
        var second = Sent(pipeline, "second;"u8.ToArray(), Stop);
        await lease.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        connected.SetResult();
        using var master = await _listener.AcceptTcpClientAsync(Stop);
        Assert.Equal("second;", await Read(master, 7));
        await master.GetStream().WriteAsync("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), Stop);
        Assert.Equal(202, (await second).Status);
        Assert.True(pipeline.IsFit);
    }

    [Fact]
    public async Task Who_does_not_answer_in_time_is_given_up()
    {
        using var pipeline = Open(TimeSpan.FromMilliseconds(50));
        var call = Sent(pipeline, "call"u8.ToArray(), Stop);
        using var master = await _listener.AcceptTcpClientAsync(Stop);
        Assert.Contains("no answer", (await Assert.ThrowsAnyAsync<IOException>(() => call)).Message, StringComparison.Ordinal);
        Assert.False(pipeline.IsFit);
    }

    private CallPipeline Open(TimeSpan? patience = null) => new(Connect, patience ?? TimeSpan.FromSeconds(30), TimeProvider.System);

    private Task<Stream> Connect(CancellationToken stop) => new MasterAccess().Connect(new Uri($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}"), stop);

    private static async Task<string> Read(TcpClient from, int length)
    {
        var bytes = new byte[length];
        await from.GetStream().ReadExactlyAsync(bytes, Stop);
        return Encoding.ASCII.GetString(bytes);
    }

    private static Task<CallAnswer> Sent(CallPipeline pipeline, byte[] request, CancellationToken stop)
    {
        Assert.True(pipeline.TrySend(request, stop, out var answer));
        return answer;
    }
}
