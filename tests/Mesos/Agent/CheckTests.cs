using System.Net;
using System.Net.Sockets;
using Declarative.Mesos.Protocol;
using Xunit;
using static Declarative.Tests.Mesos.Agent.AgentBench;
using TaskStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Tests.Mesos.Agent;

/// <summary>The order of updates is that of the recordings of a real agent (02 and 03).</summary>
public class CheckTests
{
    private static readonly TaskState[] HealthyThenKilled =
    [
        TaskState.TaskStarting,
        TaskState.TaskRunning,
        TaskState.TaskRunning,
        TaskState.TaskRunning,
        TaskState.TaskRunning,
        TaskState.TaskKilling,
        TaskState.TaskKilled,
    ];

    [Fact]
    public async Task A_command_health_check_reports_healthy_once_and_every_failure_and_kills()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var task = Shell("t", "sleep 1000");
        task.HealthCheck = new()
        {
            Type = HealthCheck.Types.Type.Command,
            Command = new() { Value = "test ! -e unhealthy" },
            DelaySeconds = 0,
            IntervalSeconds = 0.1,
            TimeoutSeconds = 5,
            GracePeriodSeconds = 0,
            ConsecutiveFailures = 2,
        };
        bench.Master.Run(task);
        await TestMaster.Until(() => bench.Master.Updates("t").Any(status => status.Healthy));
        await File.WriteAllTextAsync(Path.Combine(bench.Sandbox("t"), "unhealthy"), "", TestContext.Current.CancellationToken);
        var killed = await bench.Master.Until("t", TaskState.TaskKilled);
        Assert.True(killed.HasHealthy && !killed.Healthy);
        Assert.Equal("Command terminated with signal Terminated", killed.Message);
        var updates = bench.Master.Updates("t");
        Assert.Equal(HealthyThenKilled, updates.Select(status => status.State));
        Assert.False(updates[1].HasHealthy);
        Assert.Equal(
            [true, false, false],
            updates.Where(status => status.Reason == TaskStatus.Types.Reason.TaskHealthCheckStatusUpdated).Select(status => status.Healthy)
        );
        Assert.False(updates[5].HasHealthy);
    }

    [Fact]
    public async Task Failures_in_the_grace_period_do_not_count()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var task = Shell("t", "sleep 1000");
        task.HealthCheck = new()
        {
            Type = HealthCheck.Types.Type.Tcp,
            Tcp = new() { Port = (uint)FreePort() },
            DelaySeconds = 0,
            IntervalSeconds = 0.05,
            GracePeriodSeconds = 1,
            ConsecutiveFailures = 1,
        };
        bench.Master.Run(task);
        await bench.Master.Until("t", TaskState.TaskKilled);
        var updates = bench.Master.Updates("t");
        var bad = Assert.Single(updates, status => status.Reason == TaskStatus.Types.Reason.TaskHealthCheckStatusUpdated);
        Assert.True(bad.Timestamp - updates[1].Timestamp >= 1);
    }

    [Fact]
    public async Task HTTP_health_takes_2xx_and_3xx_or_the_statuses_that_are_named()
    {
        await using var bench = new AgentBench();
        using var server = new Answering();
        await bench.Start();
        bench.Master.Run(With("plain"));
        bench.Master.Run(With("named", 404));
        await TestMaster.Until(() => bench.Master.Updates("plain").Any(status => status.Healthy));
        await TestMaster.Until(() => bench.Master.Updates("named").Any(status => status.HasHealthy && !status.Healthy));
        server.Code = 404;
        await TestMaster.Until(() => bench.Master.Updates("named").Any(status => status.Healthy));
        await bench.Master.Until("plain", TaskState.TaskKilled);

        TaskInfo With(string id, params uint[] statuses)
        {
            var task = Shell(id, "sleep 1000");
            task.HealthCheck = new()
            {
                Type = HealthCheck.Types.Type.Http,
                Http = new() { Port = (uint)server.Port, Path = "/x", Statuses = { statuses } },
                DelaySeconds = 0,
                IntervalSeconds = 0.05,
                GracePeriodSeconds = 0,
                ConsecutiveFailures = id == "plain" ? 1u : 0,
            };
            return task;
        }
    }

    [Fact]
    public async Task Checks_report_each_change_of_their_result()
    {
        await using var bench = new AgentBench();
        using var server = new Answering { Code = 503 };
        await bench.Start();
        var command = Shell("command", "sleep 1000");
        command.Check = new() { Type = CheckInfo.Types.Type.Command, Command = new() { Command_ = new() { Value = "test -e ready; exit $(($? * 3))" } }, DelaySeconds = 0, IntervalSeconds = 0.05 };
        var http = Shell("http", "sleep 1000");
        http.Check = new() { Type = CheckInfo.Types.Type.Http, Http = new() { Port = (uint)server.Port, Path = "/ready" }, DelaySeconds = 0, IntervalSeconds = 0.05 };
        var tcp = Shell("tcp", "sleep 1000");
        tcp.Check = new() { Type = CheckInfo.Types.Type.Tcp, Tcp = new() { Port = (uint)FreePort() }, DelaySeconds = 0, IntervalSeconds = 0.05 };
        foreach (var task in (TaskInfo[])[command, http, tcp])
            bench.Master.Run(task);
        await TestMaster.Until(() => bench.Master.Updates("command").Any(status => status.CheckStatus?.Command?.ExitCode == 3));
        await TestMaster.Until(() => bench.Master.Updates("http").Any(status => status.CheckStatus?.Http?.StatusCode == 503));
        await TestMaster.Until(() => bench.Master.Updates("tcp").Any(status => status.CheckStatus?.Tcp?.HasSucceeded == true));
        await File.WriteAllTextAsync(Path.Combine(bench.Sandbox("command"), "ready"), "", TestContext.Current.CancellationToken);
        server.Code = 200;
        await TestMaster.Until(() => bench.Master.Updates("command")[^1].CheckStatus is { Command: { HasExitCode: true, ExitCode: 0 } });
        await TestMaster.Until(() => bench.Master.Updates("http")[^1].CheckStatus?.Http?.StatusCode == 200);
        server.Dispose();
        await TestMaster.Until(() => bench.Master.Updates("http")[^1].CheckStatus is { Http.HasStatusCode: false }, () => string.Join("\n", bench.Master.Updates("http")));
        Assert.False(bench.Master.Updates("tcp")[^1].CheckStatus.Tcp.Succeeded);
        var updates = bench.Master.Updates("command");
        // Before the first result: which kind of check, and no result.
        Assert.All(updates.Take(2), status => Assert.True(status.CheckStatus is { Type: CheckInfo.Types.Type.Command, Command.HasExitCode: false }));
        Assert.All(updates.Skip(2), status => Assert.Equal(TaskStatus.Types.Reason.TaskCheckStatusUpdated, status.Reason));
        Assert.Equal(4, updates.Count);
    }

    /// <summary>The interval is a day: what has not succeeded yet is asked sooner, so that what comes up is seen at once.</summary>
    [Fact]
    public async Task A_check_that_has_not_succeeded_yet_is_asked_again_before_its_interval()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        var task = Shell("slow", "until [ -e go ]; do sleep 0.05; done; touch ready; sleep 1000");
        task.Check = new() { Type = CheckInfo.Types.Type.Command, Command = new() { Command_ = new() { Value = "test -e ready" } }, DelaySeconds = 0, IntervalSeconds = 86_400 };
        bench.Master.Run(task);
        await TestMaster.Until(() => bench.Master.Updates("slow").Any(status => status.CheckStatus?.Command is { HasExitCode: true, ExitCode: 1 }));
        await File.WriteAllTextAsync(Path.Combine(bench.Sandbox("slow"), "go"), "", TestContext.Current.CancellationToken);
        await TestMaster.Until(() => bench.Master.Updates("slow").Any(status => status.CheckStatus?.Command is { HasExitCode: true, ExitCode: 0 }));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>An HTTP server that gives one status code to everything.</summary>
    private sealed class Answering : IDisposable
    {
        private readonly TcpListener listener = new(IPAddress.Loopback, 0);

        public Answering()
        {
            listener.Start();
            Port = ((IPEndPoint)listener.LocalEndpoint).Port;
            Serving = Serve();
        }

        public int Code { get; set; } = 200;
        public int Port { get; }
        private Task Serving { get; }

        public void Dispose()
        {
            listener.Stop();
            Serving.Wait(TimeSpan.FromSeconds(5));
        }

        private async Task Serve()
        {
            var buffer = new byte[4096];
            try
            {
                while (true)
                {
                    using var socket = await listener.AcceptSocketAsync();
                    await socket.ReceiveAsync(buffer);
                    await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes($"HTTP/1.1 {Code} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
                }
            }
            catch (Exception closed) when (closed is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}
