using System.Text;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Xunit;
using static Declarative.Tests.Mesos.Agent.AgentBench;

namespace Declarative.Tests.Mesos.Agent;

/// <summary>Tasks that read and write a terminal, or read a pipe.</summary>
public sealed class TaskTerminalTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_terminal_has_its_size_and_its_output_is_in_the_file_too()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var task = WithTerminal("t", "tty && stty size; read word; echo got $word; exit 3");
        task.Container.TtyInfo.WindowSize = new() { Columns = 99, Rows = 33 };
        bench.Master.Run(task);
        await bench.Master.Until("t", TaskState.TaskRunning);
        await TestMaster.Until(() => bench.Stdout("t").Contains("33 99", StringComparison.Ordinal));
        Assert.Contains("/dev/pts/", bench.Stdout("t"), StringComparison.Ordinal);

        var terminal = TerminalOf(bench, "t");
        var heard = terminal.Listen();
        Assert.True(await terminal.Write("hello\n"u8.ToArray(), Stop));
        var text = new StringBuilder();
        await foreach (var (isError, data) in heard.Reader.ReadAllAsync(Stop))
        {
            Assert.False(isError);
            text.Append(Encoding.UTF8.GetString(data));
        }

        // Echoed, then answered; all of it is in the file before the end is told.
        Assert.Equal("hello\r\ngot hello\r\n", text.ToString());
        Assert.Equal("Command exited with status 3", (await bench.Master.Until("t", TaskState.TaskFailed)).Message);
        Assert.EndsWith("got hello\r\n", bench.Stdout("t"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_terminal_outlives_the_agent_and_is_taken_up_again()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        bench.Master.Run(WithTerminal("t", "while read word; do echo got $word; done; trap 'exit 0' HUP; sleep 1000"));
        await bench.Master.Until("t", TaskState.TaskRunning);
        var pid = bench.Pid("t");
        await bench.Stop();
        Assert.True(IsAlive(pid));

        await bench.Start();
        Assert.Equal(pid, bench.Pid("t"));
        await TerminalOf(bench, "t").Write("again\n"u8.ToArray(), Stop);
        await TestMaster.Until(() => bench.Stdout("t").Contains("got again", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Control_c_reaches_the_process_and_not_its_keeper()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        bench.Master.Run(WithTerminal("t", "echo ready; exec sleep 1000"));
        await bench.Master.Until("t", TaskState.TaskRunning);
        await TestMaster.Until(() => bench.Stdout("t").Contains("ready", StringComparison.Ordinal));
        await TerminalOf(bench, "t").Write([3], Stop);
        Assert.Equal("Command terminated with signal Interrupt", (await bench.Master.Until("t", TaskState.TaskFailed)).Message);
    }

    [Fact]
    public async Task Who_listens_and_does_not_read_is_left_behind()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        bench.Master.Run(WithTerminal("t", "while [ ! -e go ]; do sleep 0.02; done; head -c 300000 /dev/zero | tr '\\0' x; echo; echo end"));
        await bench.Master.Until("t", TaskState.TaskRunning);
        TerminalOf(bench, "t").Listen();
        await File.WriteAllTextAsync(Path.Combine(bench.Sandbox("t"), "go"), "", Stop);
        await bench.Master.Until("t", TaskState.TaskFinished);
        Assert.EndsWith("end\r\n", bench.Stdout("t"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pipe_is_read_to_its_end_and_output_goes_to_files()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var task = WithTerminal("t", "tty; cat; echo over >&2");
        task.Labels = new() { Labels_ = { new Label { Key = TaskLabels.Input, Value = TaskLabels.Pipe } } };
        bench.Master.Run(task);
        await bench.Master.Until("t", TaskState.TaskRunning);
        var input = TerminalOf(bench, "t");
        Assert.False(input.HasOutput);
        var much = string.Concat(Enumerable.Range(0, 20_000).Select(i => $"line {i} of the input\n"));
        await input.Write(Encoding.UTF8.GetBytes(much), Stop);
        await input.Write([], Stop);
        await bench.Master.Until("t", TaskState.TaskFinished);
        Assert.Equal("not a tty\n" + much, bench.Stdout("t"));
        Assert.Equal("over\n", await File.ReadAllTextAsync(Path.Combine(bench.Sandbox("t"), "stderr"), Stop));
    }

    private static TaskInfo WithTerminal(string id, string script)
    {
        var task = Shell(id, script);
        task.Container = new() { Type = ContainerInfo.Types.Type.Mesos, TtyInfo = new() };
        return task;
    }

    private static IAttachable TerminalOf(AgentBench bench, string id)
    {
        AgentTask task = bench.Agent.Runs.SelectMany(run => run.Tasks).Last(known => known.Id == id);
        return task.Process!.Terminal!;
    }
}
