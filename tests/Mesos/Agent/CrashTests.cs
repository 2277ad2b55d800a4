using System.Diagnostics;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Xunit;
using static Declarative.Tests.Mesos.Agent.AgentBench;

namespace Declarative.Tests.Mesos.Agent;

/// <summary>An agent in a process of its own (this executable, running <see cref="Host"/>) dies by kill -9.</summary>
public sealed class CrashTests : IDisposable
{
    private const string FolderVariable = "CRASH_TEST_FOLDER";
    private readonly string folder = Directory.CreateTempSubdirectory("crash-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Tasks_of_a_framework_that_does_not_checkpoint_end_with_the_agent()
    {
        await using var bench = new AgentBench(Path.Combine(folder, "forgets"));
        await bench.Start();
        var framework = TestMaster.Framework.Clone();
        framework.Checkpoint = false;
        bench.Master.Send(new ToAgent { RunTask = new() { Framework = framework, Task = Shell("a", "sleep 1000") } });
        await bench.Master.Until("a", TaskState.TaskRunning);
        var pid = bench.Pid("a");
        await bench.Stop();
        await bench.Start();
        Assert.Empty(bench.Agent.Runs);
        Assert.Empty(bench.Master.Received.Last(message => message.Reregister is not null).Reregister.Tasks);
        await TestMaster.Until(() => !IsAlive(pid) && !Directory.Exists(bench.Sandbox("a")));
    }

    [Fact]
    public async Task After_kill_9_the_next_agent_has_the_same_tasks_and_learns_what_ended_meanwhile()
    {
        // At the end it also ends whatever the host left running.
        await using var bench = new AgentBench(Path.Combine(folder, "work"));
        using (var host = StartHost())
        {
            try
            {
                await TestMaster.Until(() => File.Exists(Path.Combine(folder, "ready")), () => "the host is not ready");
            }
            finally
            {
                host.Kill();
                await host.WaitForExitAsync(CancellationToken.None);
            }
        }

        var pids = (await File.ReadAllTextAsync(Path.Combine(folder, "ready"), TestContext.Current.CancellationToken)).Split(' ').Select(int.Parse).ToArray();
        Assert.All(pids, pid => Assert.True(IsAlive(pid)));
        // One of them ends while there is no agent, another is killed.
        await File.WriteAllTextAsync(Path.Combine(bench.Sandbox("ends"), "go"), "", TestContext.Current.CancellationToken);
        Posix.Kill(pids[2], Posix.SigKill);
        await TestMaster.Until(() => !IsAlive(pids[1]) && !IsAlive(pids[2]));

        await bench.Start();
        var again = Assert.Single(bench.Master.Received, message => message.Reregister is not null).Reregister;
        Assert.Equal("S-1", again.Agent.Id.Value);
        Assert.Equal(["ends", "is-killed", "pod-a", "pod-b", "stays"], again.Tasks.Select(task => task.TaskId.Value).Order(StringComparer.Ordinal));
        Assert.Equal("Command exited with status 6", (await bench.Master.Until("ends", TaskState.TaskFailed)).Message);
        Assert.Equal("Command terminated with signal Killed", (await bench.Master.Until("is-killed", TaskState.TaskFailed)).Message);
        Assert.Equal(pids[0], bench.Pid("stays"));
        Assert.Equal(pids[3], bench.Pid("pod-a"));
        Assert.Equal(pids[4], bench.Pid("pod-b"));
        Assert.Empty(bench.Master.Updates("stays"));

        // And it is master of them: a kill still works, and the pod still dies as a whole.
        bench.Master.Kill("stays");
        bench.Master.Kill("pod-a");
        await bench.Master.Until("stays", TaskState.TaskKilled);
        await bench.Master.Until("pod-b", TaskState.TaskKilled);
        Assert.All(pids, pid => Assert.False(IsAlive(pid)));
    }

    /// <summary>Not a test: what runs in the process that is killed.</summary>
    [Fact(Explicit = true)]
    public async Task Host()
    {
        var shared = System.Environment.GetEnvironmentVariable(FolderVariable);
        Assert.SkipWhen(shared is null, "runs only as the child of another test");
        var bench = new AgentBench(Path.Combine(shared, "work"));
        await bench.Start();
        bench.Master.Run(Shell("stays", "sleep 1000"));
        bench.Master.Run(Shell("ends", "while [ ! -e go ]; do sleep 0.02; done; exit 6"));
        bench.Master.Run(Shell("is-killed", "exec sleep 1000"));
        bench.Master.Send(
            new()
            {
                RunGroup = new()
                {
                    Framework = TestMaster.Framework,
                    Executor = new() { Type = ExecutorInfo.Types.Type.Default, ExecutorId = new() { Value = "pod" } },
                    Group = new() { Tasks = { Shell("pod-a", "sleep 1000"), Shell("pod-b", "sleep 1000") } },
                },
            }
        );
        string[] tasks = ["stays", "ends", "is-killed", "pod-a", "pod-b"];
        foreach (var task in tasks)
            await bench.Master.Until(task, TaskState.TaskRunning);
        await TestMaster.Until(() => bench.Agent.Runs.SelectMany(run => run.Tasks).All(task => task.Process?.Pid is not null));
        var ready = Path.Combine(shared, "ready");
        await File.WriteAllTextAsync(ready + ".next", string.Join(' ', tasks.Select(bench.Pid)), TestContext.Current.CancellationToken);
        File.Move(ready + ".next", ready);
        await Task.Delay(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        await bench.DisposeAsync();
    }

    private Process StartHost()
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Declarative.Tests"))
        {
            ArgumentList = { "-method", $"{typeof(CrashTests).FullName}.{nameof(Host)}", "-explicit", "only" },
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[FolderVariable] = folder;
        return Process.Start(start)!;
    }
}
