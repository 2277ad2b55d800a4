using System.Net;
using System.Text;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Xunit;
using static Declarative.Tests.Mesos.Agent.AgentBench;
using Reason = Declarative.Mesos.Protocol.TaskStatus.Types.Reason;

namespace Declarative.Tests.Mesos.Agent;

/// <summary>Executors that frameworks bring: a real process that speaks the executor API with a real agent over a socket.</summary>
public sealed class OwnExecutorTests : IAsyncLifetime
{
    private readonly AgentBench bench = new(port: FreePort());
    private AgentServer server = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/node"), "node is not in /usr/bin");
        server = await Start(bench);
    }

    public async ValueTask DisposeAsync()
    {
        if (server is not null)
            await server.DisposeAsync();
        await bench.DisposeAsync();
    }

    [Fact]
    public async Task It_is_told_of_tasks_and_what_it_says_of_them_is_passed_on()
    {
        Run(bench, Task("runs", Executor("e")));
        Run(bench, Task("ends", Executor("e"), "finish"));
        await bench.Master.Until("ends", TaskState.TaskFinished);
        var status = await bench.Master.Until("runs", TaskState.TaskRunning);
        Assert.Equal(("e", Declarative.Mesos.Protocol.TaskStatus.Types.Source.Executor, "S-1", 16), (status.ExecutorId.Value, status.Source, status.AgentId.Value, status.Uuid.Length));
        var run = Assert.Single(bench.Agent.Runs);
        Assert.Equal(run.Container, status.ContainerStatus.ContainerId);
        Assert.Equal((uint)run.Own!.Process!.KeeperPid, status.ContainerStatus.ExecutorPid);

        bench.Master.Kill("runs", TimeSpan.FromSeconds(2));
        await bench.Master.Until("runs", TaskState.TaskKilled);
        Assert.Contains("kill runs 2000000000", Output("e"), StringComparison.Ordinal);

        // As Mesos says in docs/executor-http-api.md; the recovery time-outs only where the framework checkpoints.
        string[] expected =
        [
            $"MESOS_AGENT_ENDPOINT=127.0.0.1:{bench.Options.Port}",
            "MESOS_CHECKPOINT=1",
            $"MESOS_DIRECTORY={run.Sandbox}",
            "MESOS_EXECUTOR_ID=e",
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=1secs",
            "MESOS_FRAMEWORK_ID=F-1",
            "MESOS_RECOVERY_TIMEOUT=15mins",
            $"MESOS_SANDBOX={run.Sandbox}",
            "MESOS_SUBSCRIPTION_BACKOFF_MAX=2secs",
        ];
        Assert.Subset(Output("e").Split('\n').ToHashSet(), expected.ToHashSet());
    }

    [Fact]
    public async Task Messages_go_both_ways_and_a_group_stays_a_group()
    {
        bench.Master.Send(new ToAgent { RunGroup = new() { Framework = Framework, Executor = Executor("e"), Group = new() { Tasks = { Task("a"), Task("b") } } } });
        await bench.Master.Until("b", TaskState.TaskRunning);
        Assert.Contains("group of 2\nlaunch a\nlaunch b", Output("e"), StringComparison.Ordinal);
        bench.Master.Send(new ToAgent { ExecutorMessage = new() { FrameworkId = Framework.Id, ExecutorId = new() { Value = "e" }, Data = ByteString.CopyFromUtf8("hello") } });
        var answer = await bench.Master.Until(ToMaster.MessageOneofCase.FrameworkMessage);
        Assert.Equal(("e", "echo hello"), (answer.FrameworkMessage.ExecutorId.Value, answer.FrameworkMessage.Data.ToStringUtf8()));
    }

    [Fact]
    public async Task When_it_ends_its_tasks_have_failed_and_the_framework_hears_how()
    {
        Run(bench, Task("a", Executor("e")));
        await bench.Master.Until("a", TaskState.TaskRunning);
        Run(bench, Task("b", Executor("e"), "exit"));
        var failed = await bench.Master.Until("a", TaskState.TaskFailed);
        Assert.Equal(("Executor terminated", Reason.ExecutorTerminated), (failed.Message, failed.Reason));
        await bench.Master.Until("b", TaskState.TaskFailed);
        var exited = await bench.Master.Until(ToMaster.MessageOneofCase.ExitedExecutor);
        Assert.Equal(("e", 7 << 8), (exited.ExitedExecutor.ExecutorId.Value, exited.ExitedExecutor.Status));
        // The next launch is another run of it.
        Run(bench, Task("c", Executor("e")));
        await bench.Master.Until("c", TaskState.TaskRunning);
        Assert.Equal(2, bench.Agent.Runs.Count);
    }

    [Fact]
    public async Task It_is_asked_to_end_and_ended_where_it_does_not()
    {
        Run(bench, Task("kind", Executor("kind")));
        Run(bench, Task("stubborn", Executor("stubborn", ("STUBBORN", "1"))));
        await bench.Master.Until("kind", TaskState.TaskRunning);
        await bench.Master.Until("stubborn", TaskState.TaskRunning);
        foreach (var executor in (string[])["kind", "stubborn"])
            bench.Master.Send(new ToAgent { ShutdownExecutor = new() { FrameworkId = Framework.Id, ExecutorId = new() { Value = executor } } });
        await bench.Master.Until("kind", TaskState.TaskKilled);
        Assert.Equal(Reason.ExecutorTerminated, (await bench.Master.Until("stubborn", TaskState.TaskFailed)).Reason);
        await TestMaster.Until(() => bench.Agent.Runs.All(run => run.EndedAt is not null));
        Assert.All((string[])["kind", "stubborn"], executor => Assert.Contains("shutdown", Output(executor), StringComparison.Ordinal));
    }

    [Fact]
    public async Task One_that_does_not_subscribe_in_time_is_ended()
    {
        await using var impatient = new AgentBench(port: FreePort(), times: new() { Registration = TimeSpan.FromSeconds(1) });
        await using var door = await Start(impatient);
        Run(impatient, Task("a", Executor("e", ("SILENT", "1"))));
        // Killed before it was ever told of: never heard of by the executor.
        Run(impatient, Task("b", Executor("e", ("SILENT", "1"))));
        impatient.Master.Kill("b");
        Assert.Equal(Reason.TaskKilledDuringLaunch, (await impatient.Master.Until("b", TaskState.TaskKilled)).Reason);
        var failed = await impatient.Master.Until("a", TaskState.TaskFailed);
        Assert.Equal(("Executor did not register within 1secs", Reason.ExecutorRegistrationTimeout), (failed.Message, failed.Reason));
    }

    [Fact]
    public async Task It_outlives_the_agent_and_the_next_one_takes_up_what_was_not_acknowledged()
    {
        Run(bench, Task("a", Executor("e")));
        await bench.Master.Until("a", TaskState.TaskRunning);
        var pid = bench.Agent.Runs[0].Own!.Process!.KeeperPid;
        var folder = bench.Agent.Runs[0].Sandbox;
        await server.DisposeAsync();
        await bench.Stop();
        Assert.True(IsAlive(pid));
        await bench.Start();
        server = await Listen(bench);
        await TestMaster.Until(() => bench.Agent.Runs[0].Own!.IsKnown);
        Assert.Equal(pid, bench.Agent.Runs[0].Own!.Process!.KeeperPid);
        // Still the same executor, and the task of before is its.
        var next = "b";
        Run(bench, Task(next, Executor("e")));
        // An executor that subscribes once more just then has not heard of it: a framework launches it again, as with Mesos.
        while ((await TestMaster.Until(() => bench.Master.Updates(next).LastOrDefault(x => x.State is TaskState.TaskRunning or TaskState.TaskDropped))).State is TaskState.TaskDropped) Run(bench, Task(next += "b", Executor("e")));
        bench.Master.Kill("a");
        await bench.Master.Until("a", TaskState.TaskKilled);
        Assert.Equal([TaskState.TaskRunning, TaskState.TaskKilled], bench.Master.States("a"));
        Assert.Equal(1, Output("e").Split('\n').Count(line => line == "launch a"));
        Assert.Equal(folder, Assert.Single(bench.Agent.Runs).Sandbox);
    }

    [Fact]
    public async Task Heartbeats_come_as_often_as_is_said()
    {
        await using var lively = new AgentBench(port: FreePort(), times: new() { Heartbeat = TimeSpan.FromMilliseconds(50) });
        await using var door = await Start(lively);
        Run(lively, Task("a", Executor("e")));
        await lively.Master.Until("a", TaskState.TaskRunning);
        await TestMaster.Until(() => lively.Stdout("e").Split('\n').Count(line => line == "heartbeat") >= 3);
    }

    [Fact]
    public async Task It_runs_containers_of_its_own_below_its_own()
    {
        Run(bench, Task("n", Executor("e"), "nest"));
        await bench.Master.Until("n", TaskState.TaskFinished);
        Assert.Contains($"nested 200\nended 200 {3 << 8}", Output("e"), StringComparison.Ordinal);
        Assert.Equal("in e\n", await File.ReadAllTextAsync(Path.Combine(bench.Agent.Runs[0].Sandbox, "containers", "nested-n", "stdout"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Where_executors_authenticate_only_the_token_of_the_one_that_speaks_is_taken()
    {
        var key = Encoding.ASCII.GetBytes("a key of this agent");
        await using var strict = new AgentBench(port: FreePort(), executorKey: key);
        await using var door = await Start(strict);
        Run(strict, Task("a", Executor("e"), "finish"));
        await strict.Master.Until("a", TaskState.TaskFinished);
        var run = Assert.Single(strict.Agent.Runs);
        var right = strict.Stdout("e").Split('\n').Single(line => line.StartsWith("MESOS_EXECUTOR_AUTHENTICATION_TOKEN=", StringComparison.Ordinal)).Split('=', 2)[1];
        Assert.Equal(new("F-1", "e", run.Container.Value), ExecutorTokens.Read(key, right));

        Assert.Equal((202, ""), await Say(right));
        // Containers beside it do not speak for it.
        var beside = strict.Agent.Nested.Launch(new() { Value = "beside", Parent = run.Container }, new() { Value = "env" }, null, toFiles: true);
        await beside.Container!.Ended;
        var given = (await File.ReadAllTextAsync(Path.Combine(run.Sandbox, "containers", "beside", "stdout"), TestContext.Current.CancellationToken)).Split('\n');
        Assert.Contains("MESOS_EXECUTOR_ID=e", given);
        Assert.DoesNotContain(given, line => line.StartsWith("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", StringComparison.Ordinal));
        Assert.Equal((401, "401 Unauthorized."), await Say(null));
        Assert.Equal((401, "401 Unauthorized."), await Say(right[..^2] + "xx"));
        Assert.Equal((401, "401 Unauthorized."), await Say(ExecutorTokens.Make("another key"u8.ToArray(), new("F-1", "e", run.Container.Value))));
        Assert.Equal((403, "The token is of executor f, the call of e"), await Say(ExecutorTokens.Make(key, new("F-1", "f", run.Container.Value))));
        Assert.Equal((403, $"The token is of container c, the executor runs in {run.Container.Value}"), await Say(ExecutorTokens.Make(key, new("F-1", "e", "c"))));

        async Task<(int, string)> Say(string? token)
        {
            using var http = new HttpClient();
            using var content = new ByteArrayContent("""{"type":"HEARTBEAT","framework_id":{"value":"F-1"},"executor_id":{"value":"e"}}"""u8.ToArray());
            content.Headers.TryAddWithoutValidation("Content-Type", "application/json");
            if (token is not null)
                http.DefaultRequestHeaders.Authorization = new("Bearer", token);
            using var response = await http.PostAsync(new Uri($"http://127.0.0.1:{door.Port}/api/v1/executor"), content, TestContext.Current.CancellationToken);
            if (response.StatusCode == HttpStatusCode.Unauthorized)
                Assert.Equal("Bearer realm=\"mesos-agent-executor\"", response.Headers.WwwAuthenticate.Single().ToString());
            return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
    }

    [Theory]
    [InlineData("""{"framework_id":{"value":"F-1"},"executor_id":{"value":"e"}}""", 400, "Failed to validate Executor::Call: Expecting 'type' to be present")]
    [InlineData("""{"type":"SUBSCRIBE","framework_id":{"value":"F-1"},"executor_id":{"value":"e"}}""", 400, "Failed to validate Executor::Call: Expecting 'subscribe' to be present")]
    [InlineData("""{"type":"SUBSCRIBE","subscribe":{},"framework_id":{"value":"F-2"},"executor_id":{"value":"e"}}""", 400, "Framework cannot be found")]
    [InlineData("""{"type":"SUBSCRIBE","subscribe":{},"framework_id":{"value":"F-1"},"executor_id":{"value":"x"}}""", 400, "Executor cannot be found")]
    [InlineData("""{"type":"HEARTBEAT","framework_id":{"value":"F-1"},"executor_id":{"value":"e"}}""", 403, "Executor is not subscribed")]
    [InlineData("""{"type":"UPDATE","update":{"status":{"task_id":{"value":"a"},"state":"TASK_RUNNING"}},"framework_id":{"value":"F-1"},"executor_id":{"value":"e"}}""", 400, "Failed to validate Executor::Call: Expecting 'uuid' to be present")]
    public async Task Wrong_calls_are_refused_by_name(string call, int status, string text)
    {
        Run(bench, Task("a", Executor("e", ("SILENT", "1"))));
        await TestMaster.Until(() => bench.Agent.Runs.Any());
        using var http = new HttpClient();
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(call));
        content.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        using var response = await http.PostAsync(new Uri($"http://127.0.0.1:{server.Port}/slave(1)/api/v1/executor"), content, TestContext.Current.CancellationToken);
        Assert.Equal((status, text), ((int)response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)));
    }

    private static void Run(AgentBench on, TaskInfo task) => on.Master.Send(new ToAgent { RunTask = new() { Framework = Framework, Task = task } });

    private static async Task<AgentServer> Start(AgentBench bench)
    {
        await bench.Start();
        return await Listen(bench);
    }

    private static Task<AgentServer> Listen(AgentBench bench) =>
        AgentServer.Start(bench.Agent, new IPEndPoint(IPAddress.Loopback, bench.Options.Port), TestContext.Current.CancellationToken);

    private static readonly FrameworkInfo Framework = Checkpointing();

    private static FrameworkInfo Checkpointing()
    {
        var framework = TestMaster.Framework.Clone();
        framework.Checkpoint = true;
        return framework;
    }

    private static ExecutorInfo Executor(string id, params (string Name, string Value)[] variables)
    {
        var executor = new ExecutorInfo
        {
            Type = ExecutorInfo.Types.Type.Custom,
            ExecutorId = new() { Value = id },
            FrameworkId = Framework.Id,
            Name = "own",
            Command = new() { Value = $"exec node {Script()}", Environment = new() },
            ShutdownGracePeriod = new() { Nanoseconds = 1_000_000_000 },
            Resources = { Scalar("cpus", 0.1), Scalar("mem", 32) },
        };
        foreach (var (name, value) in variables)
            executor.Command.Environment.Variables.Add(new Declarative.Mesos.Protocol.Environment.Types.Variable { Name = name, Value = value });
        return executor;
    }

    private static TaskInfo Task(string id, ExecutorInfo? executor = null, string fate = "")
    {
        var task = Shell(id, "");
        task.Command = null;
        task.Executor = executor;
        task.Data = ByteString.CopyFromUtf8(fate);
        return task;
    }

    private string Output(string executor) => bench.Stdout(executor);

    private static string Script([System.Runtime.CompilerServices.CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "executor.js");

    private static int FreePort()
    {
        using var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
