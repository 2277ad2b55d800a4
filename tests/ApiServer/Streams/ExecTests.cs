using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.Client;
using Declarative.Tests.Mesos.Agent;
using Xunit;

namespace Declarative.Tests.ApiServer.Streams;

/// <summary>kubectl exec and cp against a real agent with real processes: over SPDY until 1.29, WebSocket since 1.30.</summary>
public sealed class ExecTests : IAsyncLifetime
{
    private readonly AgentBench _bench = new();
    private AgentServer _agent = null!;
    private RunningFace _server = null!;
    private string _task = "";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string> Versions => Kubectls.Rows;

    public async ValueTask InitializeAsync()
    {
        await _bench.Start();
        _agent = await AgentServer.Start(_bench.Agent, new IPEndPoint(IPAddress.Loopback, 0), Stop);
        _server = await RunningFace.Start();
        await RunningPod.MakeNode(_server, "agent-0", _agent.Port);
        _task = await RunningPod.Make(_server, "worker", "agent-0") + ".0";
        var task = AgentBench.Shell(_task, "while :; do sleep 1; done");
        task.Command.Environment = new() { Variables = { new Declarative.Mesos.Protocol.Environment.Types.Variable { Name = "COLOR", Value = "blue" } } };
        _bench.Master.Run(task);
        await _bench.Master.Until(_task, TaskState.TaskRunning);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _agent.DisposeAsync();
        await _bench.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Outputs_inputs_and_exit_codes_are_the_command_s_own(string version)
    {
        var kubectl = Make(version);
        var both = await kubectl.Run("exec", "worker", "--", "sh", "-c", "echo out; echo err >&2; exit 7");
        Assert.Equal((7, "out\n"), (both.Code, both.Output));
        Assert.StartsWith("err\n", both.Errors, StringComparison.Ordinal);

        // The task's own environment and place; without -i a command reads the end of a file.
        Assert.Equal($"blue {_task} {new DirectoryInfo(_bench.Sandbox(_task)).ResolveLinkTarget(true)?.FullName ?? _bench.Sandbox(_task)}\n",
            (await kubectl.Run("exec", "worker", "--", "sh", "-c", "cat; echo $COLOR $MESOS_TASK_ID $(pwd -P)")).Succeeds().Output);

        // More than every buffer on the way, both ways, to the last byte.
        var much = string.Concat(Enumerable.Range(0, 60_000).Select(i => $"line {i} of the input\n"));
        Assert.Equal(much, (await kubectl.Run(much, ["exec", "-i", "worker", "--", "cat"])).Succeeds().Output);
        Assert.Equal(3_000_000, (await kubectl.Run("exec", "worker", "--", "head", "-c", "3000000", "/dev/zero")).Succeeds().Output.Length);

        var missing = await kubectl.Run("exec", "worker", "--", "no-such-program");
        Assert.Equal(127, missing.Code);
        Assert.Contains("no-such-program", missing.Errors, StringComparison.Ordinal);
        Assert.Equal(137, (await kubectl.Run("exec", "worker", "--", "sh", "-c", "kill -9 $$")).Code);
        (await kubectl.Run("exec", "nobody", "--", "true")).Fails("pods \"nobody\" not found");
        (await kubectl.Run("exec", "worker", "-c", "x", "--", "true")).Fails("x");
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task A_terminal_has_a_size_takes_control_characters_and_ends_with_its_command(string version)
    {
        var size = await InTerminal(version, "stty rows 33 cols 99; KUBECTL exec -it worker -- stty size", "");
        Assert.Contains("33 99", size.Output, StringComparison.Ordinal);
        Assert.Equal(0, size.Code);

        // Typed: a word that is echoed and read, then control-C for a command that would never end, then control-D for the shell.
        var typed = await InTerminal(version, "KUBECTL exec -it worker -- sh -c 'trap : INT; read word; echo got-$word; sh -c \"echo asleep; exec sleep 1000\"; echo code $?; exec cat'", "hello\n", "asleep", "\x03", "code 130", "\x04");
        Assert.Contains("got-hello", typed.Output, StringComparison.Ordinal);
        Assert.Equal(0, typed.Code);
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Files_are_copied_both_ways(string version)
    {
        var kubectl = Make(version);
        var folder = Directory.CreateTempSubdirectory("declarative-cp-").FullName;
        try
        {
            var bytes = new byte[500_000];
            new Random(1).NextBytes(bytes);
            await File.WriteAllBytesAsync(Path.Combine(folder, "there"), bytes, Stop);
            (await kubectl.Run("cp", Path.Combine(folder, "there"), "worker:copied")).Succeeds();
            Assert.Equal(bytes, await File.ReadAllBytesAsync(Path.Combine(_bench.Sandbox(_task), "copied"), Stop));
            (await kubectl.Run("cp", "worker:copied", Path.Combine(folder, "back"))).Succeeds();
            Assert.Equal(bytes, await File.ReadAllBytesAsync(Path.Combine(folder, "back"), Stop));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_command_ends_with_its_client_and_with_its_task()
    {
        var kubectl = Make(Kubectls.Rows.Last().Data);
        using (var client = kubectl.Start(["exec", "worker", "--", "sh", "-c", "echo $$; sleep 1000"]))
        {
            var pid = int.Parse(await client.StandardOutput.ReadLineAsync(Stop) ?? "", System.Globalization.CultureInfo.InvariantCulture);
            Assert.True(AgentBench.IsAlive(pid));
            client.Kill();
            await Eventually.True(() => !AgentBench.IsAlive(pid), "the command is gone with its client");
        }
        using (var client = kubectl.Start(["exec", "worker", "--", "sh", "-c", "echo $$; sleep 1000"]))
        {
            var pid = int.Parse(await client.StandardOutput.ReadLineAsync(Stop) ?? "", System.Globalization.CultureInfo.InvariantCulture);
            _bench.Master.Kill(_task);
            await client.WaitForExitAsync(Stop);
            Assert.NotEqual(0, client.ExitCode);
            Assert.False(AgentBench.IsAlive(pid));
        }
        (await kubectl.Run("exec", "worker", "--", "true")).Fails("is not running");
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Attach_follows_the_output_of_a_task_without_a_terminal(string version)
    {
        var kubectl = Make(version);
        var id = await RunningPod.Make(_server, "talker", "agent-0") + ".0";
        _bench.Master.Run(AgentBench.Shell(id, "echo before; while [ ! -e go ]; do sleep 0.05; done; while [ ! -e seen ]; do echo out; sleep 0.05; done"));
        await _bench.Master.Until(id, TaskState.TaskRunning);
        await Eventually.True(() => _bench.Stdout(id) == "before\n", "it has spoken");
        using var attached = kubectl.Start(["attach", "-i", "talker"], input: true);
        var said = "";
        while (!said.Contains("takes no input", StringComparison.Ordinal)) said = await attached.StandardError.ReadLineAsync(Stop) ?? throw new InvalidOperationException("ended");
        await File.WriteAllTextAsync(Path.Combine(_bench.Sandbox(id), "go"), "", Stop);
        Assert.Equal("out", await attached.StandardOutput.ReadLineAsync(Stop));
        await File.WriteAllTextAsync(Path.Combine(_bench.Sandbox(id), "seen"), "", Stop);
        await attached.StandardOutput.ReadToEndAsync(Stop);
        await attached.WaitForExitAsync(Stop);
        Assert.Equal(0, attached.ExitCode);
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Attach_is_a_task_s_own_terminal(string version)
    {
        var id = await RunningPod.Make(_server, "asker", "agent-0", "\"command\":[\"x\"],\"stdin\":true,\"tty\":true") + ".0";
        var task = AgentBench.Shell(id, "trap : INT; read word; echo got-$word; stty size; sh -c 'echo asleep; exec sleep 1000'; echo code $?; exec cat");
        task.Container = new() { Type = ContainerInfo.Types.Type.Mesos, TtyInfo = new() };
        _bench.Master.Run(task);
        await _bench.Master.Until(id, TaskState.TaskRunning);

        // The size is told as soon as one is attached; control-C is for the sleep, control-D for the cat.
        var seen = await InTerminal(version, "stty rows 33 cols 99; KUBECTL attach -it asker", "hello\n", "asleep", "\x03", "code 130", "\x04");
        Assert.Contains("got-hello", seen.Output, StringComparison.Ordinal);
        Assert.Contains("33 99", seen.Output, StringComparison.Ordinal);
        Assert.Equal(0, seen.Code);
        await _bench.Master.Until(id, TaskState.TaskFinished);
        Assert.Contains("got-hello", _bench.Stdout(id), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Attach_feeds_a_task_that_reads_a_pipe(string version)
    {
        var kubectl = Make(version);
        var id = await RunningPod.Make(_server, "eater", "agent-0", "\"command\":[\"x\"],\"stdin\":true,\"stdinOnce\":true") + ".0";
        var task = AgentBench.Shell(id, "cat; echo over");
        task.Container = new() { Type = ContainerInfo.Types.Type.Mesos, TtyInfo = new() };
        task.Labels = new() { Labels_ = { new Label { Key = TaskLabels.Input, Value = TaskLabels.Pipe } } };
        _bench.Master.Run(task);
        await _bench.Master.Until(id, TaskState.TaskRunning);
        var attached = (await kubectl.Run("first\nsecond\n", ["attach", "-i", "eater"])).Succeeds();
        Assert.Equal("first\nsecond\nover\n", attached.Output);
        await _bench.Master.Until(id, TaskState.TaskFinished);
        Assert.Equal("first\nsecond\nover\n", _bench.Stdout(id));
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Top_tells_what_pods_and_nodes_use(string version)
    {
        var kubectl = Make(version);
        var id = await RunningPod.Make(_server, "busy", "agent-0") + ".0";
        _bench.Master.Run(AgentBench.Shell(id, "while :; do :; done"));
        await _bench.Master.Until(id, TaskState.TaskRunning);
        var pods = (await kubectl.Run("top", "pods")).Succeeds().Lines;
        Assert.Matches(@"^NAME\s+CPU\(cores\)\s+MEMORY\(bytes\)\s*$", pods[0]);
        var (busy, idle) = (Row(pods, "busy"), Row(pods, "worker"));
        Assert.InRange(busy.MilliCpus, 20, 2500);
        Assert.True(busy.MilliCpus > idle.MilliCpus, string.Join('\n', pods));
        Assert.Single((await kubectl.Run("top", "pods", "-l", "app=busy", "--no-headers")).Succeeds().Lines);
        Assert.Matches(@"^busy\s+c\s+\d+m\s+\d+Mi\s*$", (await kubectl.Run("top", "pod", "busy", "--containers", "--no-headers")).Succeeds().Lines[0]);
        (await kubectl.Run("top", "pod", "nobody")).Fails("not found");

        var raw = System.Text.Json.Nodes.JsonNode.Parse((await kubectl.Run("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes/agent-0")).Succeeds().Output)!;
        Assert.Equal("NodeMetrics", (string)raw["kind"]!);
        Assert.True(long.Parse(((string)raw["usage"]!["cpu"]!).TrimEnd('n'), System.Globalization.CultureInfo.InvariantCulture) > 20_000_000, raw.ToJsonString());
        Assert.Equal(["NAME", "CPU", "MEMORY", "WINDOW"], (await kubectl.Run("get", "nodes.metrics.k8s.io")).Succeeds().Lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Matches(@"^busy\s+\d+n\s+\d+Ki\s+[0-9.]+s\s*$", (await kubectl.Run("get", "pods.metrics.k8s.io", "busy", "--no-headers")).Succeeds().Lines[0]);
        Assert.Contains("\"metadata\":{}", (await kubectl.Run("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes")).Succeeds().Output, StringComparison.Ordinal);
        (await kubectl.Run("delete", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes/agent-0")).Fails("only read");

        static (int MilliCpus, string Line) Row(IReadOnlyList<string> lines, string name)
        {
            var line = lines.Single(x => x.StartsWith(name + " ", StringComparison.Ordinal));
            return (int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1].TrimEnd('m'), System.Globalization.CultureInfo.InvariantCulture), line);
        }
    }

    private Kubectl Make(string version) => new(Kubectls.Require(version), _server.Face.KubeconfigPath, _server.Directory);

    /// <summary>A shell line in a terminal of its own; KUBECTL stands for kubectl with its kubeconfig. What is to be typed, then what must be seen before the next is typed, and so on.</summary>
    private async Task<(int Code, string Output)> InTerminal(string version, string line, params string[] typedAndSeen)
    {
        var kubectl = $"{Kubectls.Require(version)} --kubeconfig {_server.Face.KubeconfigPath} --cache-dir {_server.Directory}/cache";
        var start = new ProcessStartInfo("script", ["-qefc", line.Replace("KUBECTL", kubectl, StringComparison.Ordinal), "/dev/null"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            UseShellExecute = false,
            Environment = { ["HOME"] = _server.Directory },
        };
        using var process = Process.Start(start)!;
        var output = "";
        var ended = Task.Run(async () =>
        {
            var buffer = new char[4096];
            while (await process.StandardOutput.ReadAsync(buffer, Stop) is > 0 and var read) output += new string(buffer, 0, read);
        }, Stop);
        for (var i = 0; i < typedAndSeen.Length; i++)
        {
            if (i % 2 == 0 && typedAndSeen[i].Length > 0)
            {
                await process.StandardInput.WriteAsync(typedAndSeen[i]);
                await process.StandardInput.FlushAsync(Stop);
            }
            else if (i % 2 == 1)
            {
                await Eventually.True(() => output.Contains(typedAndSeen[i], StringComparison.Ordinal) || ended.IsCompleted, $"{typedAndSeen[i]} is seen in: {output}");
            }
        }
        await ended.WaitAsync(TimeSpan.FromSeconds(60), Stop);
        await process.WaitForExitAsync(Stop);
        return (process.ExitCode, output);
    }
}
