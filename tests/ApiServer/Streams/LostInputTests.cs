using System.Net;
using System.Text;
using System.Threading.Channels;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Streams;
using Declarative.Mesos.AgentClient;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Protocol;
using Declarative.Tests.Mesos.Agent;
using Xunit;
using Status = Declarative.Api.Objects.Status;

namespace Declarative.Tests.ApiServer.Streams;

/// <summary>
/// Input has a connection of its own to the agent, which on a busy machine may not come about: it is tried again, and where what the client has typed is
/// lost the session ends and says so. A command that waits for its input would else run for ever, and kubectl with it.
/// </summary>
public sealed class LostInputTests : IAsyncLifetime
{
    private readonly AgentBench _bench = new();
    private AgentServer _agent = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _bench.Start();
        _agent = await AgentServer.Start(_bench.Agent, new IPEndPoint(IPAddress.Loopback, 0), Stop);
        _bench.Master.Run(AgentBench.Shell("t.0", "while :; do sleep 1; done"));
        await _bench.Master.Until("t.0", TaskState.TaskRunning);
    }

    public async ValueTask DisposeAsync()
    {
        await _agent.DisposeAsync();
        await _bench.DisposeAsync();
    }

    [Fact]
    public async Task A_connection_that_does_not_come_about_is_tried_again()
    {
        using var agents = new Unlucky(attempts: 3, afterBytes: false);
        var (result, output) = await Exec(agents, stdin: true);
        Assert.True(result.IsSuccess, result.Message);
        Assert.Equal("hello", output);
        Assert.Equal(4, agents.Inputs);
    }

    [Fact]
    public async Task Input_that_is_lost_ends_the_session_and_says_so()
    {
        using var agents = new Unlucky(attempts: 1, afterBytes: true);
        var lost = await Assert.ThrowsAsync<AgentUnavailable>(() => Exec(agents, stdin: true));
        Assert.Equal("no luck", lost.GetBaseException().Message);
        Assert.Equal(1, agents.Inputs);
    }

    [Fact]
    public async Task Without_input_of_the_client_nothing_is_lost()
    {
        using var agents = new Unlucky(attempts: int.MaxValue, afterBytes: false);
        var (result, _) = await Exec(agents, stdin: false, "sleep", "0.3");
        Assert.True(result.IsSuccess, result.Message);
    }

    private async Task<(Status Result, string Output)> Exec(HttpMessageHandler handler, bool stdin, params string[] command)
    {
        using var http = new HttpMessageInvoker(handler, disposeHandler: false);
        var agent = new AgentClient(new Uri($"http://127.0.0.1:{_agent.Port}"), http, TimeProvider.System);
        await using var io = new Typist();
        var request = new RemoteRequest("", command.Length > 0 ? command : ["cat"], stdin, Stdout: true, Stderr: true, Tty: false);
        var task = new ContainerTask(new Pod(), new Container(), new TaskAnnotation(), agent.Address, "t.0");
        var container = await new AgentContainers(agent).Find("t.0", Stop);
        var result = await new RemoteSession(agent, io, request, task, container!, TimeProvider.System).Exec(Stop);
        return (result, io.Output);
    }

    /// <summary>Breaks the first requests that carry input, before anything is sent or when all of it was read.</summary>
    private sealed class Unlucky(int attempts, bool afterBytes) : DelegatingHandler(new SocketsHttpHandler())
    {
        private int _inputs;

        public int Inputs => _inputs;

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.Content?.Headers.ContentType?.MediaType != "application/recordio" || Interlocked.Increment(ref _inputs) > attempts) return await base.SendAsync(request, cancellationToken);
            if (afterBytes) await request.Content.CopyToAsync(new Full(bytesMax: 100), cancellationToken);
            throw new HttpRequestException("no luck");
        }
    }

    /// <summary>A connection that breaks after so many bytes.</summary>
    private sealed class Full(int bytesMax) : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Write(buffer.Span);
            return Length > bytesMax ? throw new IOException("no luck") : ValueTask.CompletedTask;
        }
    }

    /// <summary>A client that types a word and the end of it.</summary>
    private sealed class Typist : IRemoteIo
    {
        private readonly Channel<RemoteInput> _input = Channel.CreateUnbounded<RemoteInput>();
        private readonly StringBuilder _output = new();

        public Typist()
        {
            _input.Writer.TryWrite(new(Encoding.UTF8.GetBytes("hello")));
            _input.Writer.TryWrite(new(default, IsEnd: true));
        }

        public string Output => _output.ToString();
        public ChannelReader<RemoteInput> Input => _input.Reader;
        public CancellationToken Gone => CancellationToken.None;

        public ValueTask Write(RemoteOutput output, ReadOnlyMemory<byte> data, CancellationToken stop)
        {
            _output.Append(Encoding.UTF8.GetString(data.Span));
            return ValueTask.CompletedTask;
        }

        public ValueTask Finish(Status result, CancellationToken stop) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
