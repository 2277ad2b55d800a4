using Xunit;
using System.Net;
using System.Net.Sockets;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using static Declarative.Tests.Mesos.Agent.AgentBench;
using TaskStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Tests.Mesos.Agent;

public class AgentTests
{
    [Fact]
    public async Task A_command_task_starts_runs_and_finishes_with_its_output_in_the_sandbox()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var task = Shell("t1", "echo hello; echo oops >&2; env; pwd");
        task.Command.Environment = new() { Variables = { new Declarative.Mesos.Protocol.Environment.Types.Variable { Name = "PORT", Value = "31005" } } };
        bench.Master.Run(task);
        var last = await bench.Master.Until("t1", TaskState.TaskFinished);
        Assert.Equal([TaskState.TaskStarting, TaskState.TaskRunning, TaskState.TaskFinished], bench.Master.States("t1"));
        Assert.Equal("Command exited with status 0", last.Message);
        Assert.Equal("S-1", last.AgentId.Value);
        Assert.Equal("t1", last.ExecutorId.Value);
        Assert.Equal("127.0.0.1", last.ContainerStatus.NetworkInfos[0].IpAddresses[0].IpAddress);
        Assert.NotEmpty(last.ContainerStatus.ContainerId.Value);
        Assert.Equal(16, last.Uuid.Length);
        var lines = bench.Stdout("t1").Split('\n');
        Assert.Contains("hello", lines);
        Assert.Contains("PORT=31005", lines);
        Assert.Contains("MESOS_TASK_ID=t1", lines);
        Assert.Contains(lines, line => line.StartsWith("MESOS_SANDBOX=/", StringComparison.Ordinal) && lines.Contains(line["MESOS_SANDBOX=".Length..]));
        Assert.Equal("oops\n", File.ReadAllText(Path.Combine(bench.Sandbox("t1"), "stderr")));
    }

    [Theory]
    [InlineData("exit 1", "Command exited with status 1")]
    [InlineData("exit 137", "Command exited with status 137")]
    [InlineData("kill -9 $$", "Command terminated with signal Killed")]
    [InlineData("nosuchcommand --flag", "Command exited with status 127: /bin/sh: 1: nosuchcommand: not found")]
    public async Task A_failing_task_says_how(string script, string message)
    {
        await using var bench = new AgentBench();
        await bench.Start();
        bench.Master.Run(Shell("t", script));
        Assert.Equal(message, (await bench.Master.Until("t", TaskState.TaskFailed)).Message);
    }

    [Fact]
    public async Task What_cannot_be_started_is_named()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var missing = Shell("missing", "nosuch");
        missing.Command.Shell = false;
        var image = Shell("image", "true");
        image.Container = new() { Type = ContainerInfo.Types.Type.Mesos, Mesos = new() { Image = new() { Type = Image.Types.Type.Docker, Docker = new() { Name = "nginx:1" } } } };
        var user = Shell("user", "true");
        user.Command.User = "no-such-user";
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var number = ((IPEndPoint)listener.LocalEndpoint).Port;
        var port = Shell("port", "true");
        port.Resources.Add(
            new Resource
            {
                Name = "ports",
                Type = Value.Types.Type.Ranges,
                Ranges = new() { Range = { new Value.Types.Range { Begin = (ulong)number, End = (ulong)number } } },
            }
        );
        foreach (var task in (TaskInfo[])[missing, image, user, port])
            bench.Master.Run(task);
        await Failed("missing", "command not found: nosuch: looked in /usr/local/sbin, /usr/local/bin, /usr/sbin, /usr/bin, /sbin, /bin");
        await Failed("image", "this agent runs no images: nginx:1");
        await Failed("user", $"this agent runs tasks as user {System.Environment.UserName} only, not as no-such-user");
        await Failed("port", $"port {number} in use");

        async Task Failed(string id, string message)
        {
            var status = await bench.Master.Until(id, TaskState.TaskFailed);
            Assert.Equal(message, status.Message);
            Assert.Equal(TaskStatus.Types.Reason.ContainerLaunchFailed, status.Reason);
        }
    }

    [Fact]
    public async Task Kill_sends_TERM_and_after_the_grace_period_KILL()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        bench.Master.Run(Shell("polite", "sleep 1000"));
        bench.Master.Run(Shell("stubborn", "trap 'echo TERM' TERM; echo up; while true; do sleep 0.05; done"));
        await bench.Master.Until("polite", TaskState.TaskRunning);
        await TestMaster.Until(() => bench.Stdout("stubborn").Contains("up", StringComparison.Ordinal));
        bench.Master.Kill("polite");
        bench.Master.Kill("stubborn", TimeSpan.FromSeconds(1));
        Assert.Equal("Command terminated with signal Terminated", (await bench.Master.Until("polite", TaskState.TaskKilled)).Message);
        Assert.Equal("Command terminated with signal Killed", (await bench.Master.Until("stubborn", TaskState.TaskKilled)).Message);
        Assert.Equal([TaskState.TaskStarting, TaskState.TaskRunning, TaskState.TaskKilling, TaskState.TaskKilled], bench.Master.States("stubborn"));
        Assert.Contains("TERM", bench.Stdout("stubborn"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Updates_keep_their_order_and_wait_for_the_acknowledgement()
    {
        await using var bench = new AgentBench();
        bench.Master.Acknowledging = false;
        await bench.Start();
        bench.Master.Run(Shell("t", "true"));
        await TestMaster.Until(() => bench.Agent.Runs is [{ EndedAt: not null }]);
        Assert.Equal([TaskState.TaskStarting], bench.Master.States("t"));
        Assert.Equal(TaskState.TaskFinished, bench.Agent.Runs[0].Tasks[0].Record.State);
        foreach (var state in (TaskState[])[TaskState.TaskStarting, TaskState.TaskRunning, TaskState.TaskFinished])
        {
            var status = await bench.Master.Until("t", state);
            Assert.False(bench.Agent.Runs[0].IsSettled);
            bench.Master.Send(new ToAgent { AcknowledgeUpdate = new() { Task = TestMaster.Ref("t"), Uuid = status.Uuid } });
        }

        await TestMaster.Until(() => bench.Agent.Runs[0].IsSettled);
    }

    [Fact]
    public async Task A_pod_dies_as_a_whole_when_one_container_fails_but_not_when_one_finishes()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        RunPod(bench, "pod", Shell("a", "while [ ! -e go ]; do sleep 0.02; done; exit 1"), Shell("b", "sleep 1000"), Shell("c", "true"));
        await bench.Master.Until("c", TaskState.TaskFinished);
        var running = await bench.Master.Until("b", TaskState.TaskRunning);
        Assert.Equal("pod", running.ExecutorId.Value);
        Assert.NotEmpty(running.ContainerStatus.ContainerId.Parent.Value);
        Assert.True(File.Exists(Path.Combine(bench.Sandbox("pod"), "tasks", "a", "stdout")));
        File.WriteAllText(Path.Combine(bench.Sandbox("pod"), "tasks", "a", "go"), "");
        await bench.Master.Until("a", TaskState.TaskFailed);
        await bench.Master.Until("b", TaskState.TaskKilled);
        Assert.Equal([TaskState.TaskStarting, TaskState.TaskRunning, TaskState.TaskKilling, TaskState.TaskKilled], bench.Master.States("b"));
        var exited = await bench.Master.Until(ToMaster.MessageOneofCase.ExitedExecutor);
        Assert.Equal("pod", exited.ExitedExecutor.ExecutorId.Value);
    }

    [Fact]
    public async Task No_container_of_a_pod_starts_when_one_cannot()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var missing = Shell("b", "nosuch");
        missing.Command.Shell = false;
        RunPod(bench, "pod", Shell("a", "touch started; sleep 1000"), missing);
        Assert.StartsWith("command not found: nosuch", (await bench.Master.Until("b", TaskState.TaskFailed)).Message, StringComparison.Ordinal);
        Assert.Contains("b: command not found: nosuch", (await bench.Master.Until("a", TaskState.TaskKilled)).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(bench.Sandbox("pod"), "tasks", "a", "started")));
    }

    [Fact]
    public async Task A_second_group_joins_a_running_executor_and_SHUTDOWN_ends_all()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        RunPod(bench, "pod", Shell("a", "sleep 1000"));
        await bench.Master.Until("a", TaskState.TaskRunning);
        RunPod(bench, "pod", Shell("b", "sleep 1000"));
        await bench.Master.Until("b", TaskState.TaskRunning);
        Assert.Single(bench.Agent.Runs);
        bench.Master.Send(new ToAgent { ShutdownExecutor = new() { FrameworkId = TestMaster.Framework.Id, ExecutorId = new() { Value = "pod" } } });
        await bench.Master.Until("a", TaskState.TaskKilled);
        await bench.Master.Until("b", TaskState.TaskKilled);
    }

    [Fact]
    public async Task After_an_orderly_stop_the_next_agent_has_the_same_id_and_the_same_processes()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        bench.Master.Run(Shell("stays", "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; exit 4"));
        await bench.Master.Until("stays", TaskState.TaskRunning);
        await TestMaster.Until(() => bench.Stdout("stays").Length > 0);
        var pid = bench.Pid("stays");
        await bench.Stop();
        Assert.True(IsAlive(pid));

        await bench.Start();
        var again = (await bench.Master.Until(ToMaster.MessageOneofCase.Reregister)).Reregister;
        Assert.Equal("S-1", again.Agent.Id.Value);
        Assert.Equal("F-1", Assert.Single(again.Frameworks).Id.Value);
        var known = Assert.Single(again.Tasks);
        Assert.Equal(TaskState.TaskRunning, known.State);
        Assert.Equal(pid, bench.Pid("stays"));
        File.WriteAllText(Path.Combine(bench.Sandbox("stays"), "go"), "");
        Assert.Equal("Command exited with status 4", (await bench.Master.Until("stays", TaskState.TaskFailed)).Message);
        Assert.Equal("one\ntwo\n", bench.Stdout("stays"));
        Assert.Equal([TaskState.TaskStarting, TaskState.TaskRunning, TaskState.TaskFailed], bench.Master.States("stays"));
    }

    [Fact]
    public async Task Unacknowledged_updates_and_a_begun_kill_survive_the_agent()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        bench.Master.Run(Shell("stubborn", "trap '' TERM; echo up; while true; do sleep 0.05; done"));
        await TestMaster.Until(() => File.Exists(Path.Combine(bench.Sandbox("stubborn"), "stdout")) && bench.Stdout("stubborn").Length > 0);
        await bench.Master.Until("stubborn", TaskState.TaskRunning);
        bench.Master.Acknowledging = false;
        bench.Master.Kill("stubborn", TimeSpan.FromHours(1));
        await bench.Master.Until("stubborn", TaskState.TaskKilling);
        await bench.Stop();
        bench.Master.Acknowledging = true;
        await bench.Start();
        bench.Master.Kill("stubborn", TimeSpan.Zero);
        await bench.Master.Until("stubborn", TaskState.TaskKilled);
        Assert.Equal([TaskState.TaskStarting, TaskState.TaskRunning, TaskState.TaskKilling, TaskState.TaskKilled], bench.Master.States("stubborn"));
    }

    [Fact]
    public async Task A_lost_connection_is_made_again_and_nothing_is_lost()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        bench.Master.Run(Shell("t", "while [ ! -e go ]; do sleep 0.02; done"));
        await bench.Master.Until("t", TaskState.TaskRunning);
        bench.Master.Acknowledging = false;
        File.WriteAllText(Path.Combine(bench.Sandbox("t"), "go"), "");
        await bench.Master.Until("t", TaskState.TaskFinished);
        bench.Master.Cut();
        bench.Master.Acknowledging = true;
        var again = await bench.Master.Until(ToMaster.MessageOneofCase.Reregister);
        Assert.Equal(TaskState.TaskFinished, Assert.Single(again.Reregister.Tasks).State);
        await TestMaster.Until(() => bench.Agent.Runs[0].IsSettled);
    }

    [Fact]
    public async Task Unknown_tasks_are_reported_as_dropped()
    {
        await using var bench = new AgentBench();
        bench.Master.ToReconcile = () => [TestMaster.Ref("lost")];
        await bench.Start();
        Assert.Equal(TaskStatus.Types.Reason.Reconciliation, (await bench.Master.Until("lost", TaskState.TaskDropped)).Reason);
        bench.Master.Kill("ghost");
        await bench.Master.Until("ghost", TaskState.TaskDropped);
    }

    [Fact]
    public async Task EndTasks_ends_what_an_agent_left_running()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        bench.Master.Run(Shell("a", "sleep 1000"));
        bench.Master.Run(Shell("b", "sleep 1000"));
        await bench.Master.Until("a", TaskState.TaskRunning);
        await bench.Master.Until("b", TaskState.TaskRunning);
        int[] pids = [bench.Pid("a"), bench.Pid("b")];
        await bench.Stop();
        Assert.Equal(2, await Declarative.Mesos.Mini.Agents.ProcessAgent.EndTasks(bench.Options, TimeProvider.System, new Random(3), TestContext.Current.CancellationToken));
        Assert.All(pids, pid => Assert.False(IsAlive(pid)));
        await bench.Start();
        await bench.Master.Until("a", TaskState.TaskKilled);
        await bench.Master.Until("b", TaskState.TaskKilled);
    }

    [Fact]
    public async Task Time_limit_ends_a_task()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var task = Shell("t", "sleep 1000");
        task.MaxCompletionTime = new() { Nanoseconds = 200_000_000 };
        bench.Master.Run(task);
        var failed = await bench.Master.Until("t", TaskState.TaskFailed);
        Assert.Equal(TaskStatus.Types.Reason.MaxCompletionTimeReached, failed.Reason);
    }

    [Fact]
    public async Task Old_sandboxes_are_removed()
    {
        await using var bench = new AgentBench(sandboxAge: TimeSpan.Zero);
        await bench.Start();
        bench.Master.Run(Shell("t", "true"));
        await TestMaster.Until(() => bench.Agent.Runs is [{ IsSettled: true }]);
        Assert.True(Directory.Exists(bench.Sandbox("t")));
        bench.Agent.RemoveOld();
        Assert.Empty(bench.Agent.Runs);
        Assert.False(Directory.Exists(bench.Sandbox("t")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(bench.Options.WorkDirectory, "meta", "runs")));
    }

    [Fact]
    public async Task Two_hundred_tasks()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        for (var i = 0; i < 200; i++)
            bench.Master.Run(Shell($"t{i}", "true"));
        for (var i = 0; i < 200; i++)
            await bench.Master.Until($"t{i}", TaskState.TaskFinished);
        TestContext.Current.SendDiagnosticMessage("200 tasks in {0} ms", clock.ElapsedMilliseconds);
    }

    private static void RunPod(AgentBench bench, string executor, params TaskInfo[] tasks) =>
        bench.Master.Send(
            new ToAgent
            {
                RunGroup = new()
                {
                    Framework = TestMaster.Framework,
                    Executor = new() { Type = ExecutorInfo.Types.Type.Default, ExecutorId = new() { Value = executor } },
                    Group = new() { Tasks = { tasks } },
                },
            }
        );
}
