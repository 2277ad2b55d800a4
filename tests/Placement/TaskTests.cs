using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Status;
using Declarative.Controllers.Placement.Tasks;
using Declarative.Mesos.Protocol;
using Xunit;
using Container = Declarative.Api.Kinds.Container;
using MesosStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Tests.Placement;

public class TaskTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static Pod Pod(params Container[] containers) => new()
    {
        Metadata = new() { Name = "web-1", Namespace = "shop", Uid = "u", Labels = new Dictionary<string, string> { ["app"] = "web" } },
        Spec = new() { Containers = containers, NodeName = "agent-0", TerminationGracePeriodSeconds = 12 },
    };

    private static TaskContext Context(EnvSources? sources = null) => new("S0", "agent-0", "10.0.0.1", 2, new Dictionary<string, int> { ["web/8080"] = 31005, ["web/9090"] = 31006 }) { Name = "web.shop", Sources = sources ?? EnvSources.None };

    private static readonly Container Web = new()
    {
        Name = "web",
        Command = ["serve", "--port", "$(PORT_HTTP)", "$(NOT_THERE)", "$$(PORT)"],
        Ports = [new() { Number = 8080, Name = "http" }, new() { Number = 9090, Name = "my-admin" }],
        Env = [new() { Name = "URL", Value = "http://$(HOST):$(PORT)/" }, new() { Name = "ME", ValueFrom = new() { FieldRef = new() { FieldPath = "metadata.name" } } }],
        ReadinessProbe = new() { HttpGet = new() { Path = "/ready", Port = "http" }, PeriodSeconds = 3 },
        LivenessProbe = new() { TcpSocket = new() { Port = 8080 }, InitialDelaySeconds = 4 },
    };

    [Fact]
    public void A_pod_of_one_container_is_a_command_task()
    {
        var built = TaskBuilder.Build(Pod(Web), Context());
        var task = Assert.Single(built.Operation!.Launch.TaskInfos);
        Assert.Equal("u.2", task.TaskId.Value);
        Assert.Equal("web.shop", task.Name);
        Assert.Equal("web.shop", task.Discovery.Name);
        Assert.False(task.Command.Shell);
        Assert.Equal(["serve", "--port", "31005", "$(NOT_THERE)", "$(PORT)"], task.Command.Arguments);
        var env = task.Command.Environment.Variables.ToDictionary(x => x.Name, x => x.Value);
        Assert.Equal("31005", env["PORT"]);
        Assert.Equal("31005", env["PORT0"]);
        Assert.Equal("31006", env["PORT1"]);
        Assert.Equal("31005", env["PORT_HTTP"]);
        Assert.Equal("31006", env["PORT_MY_ADMIN"]);
        Assert.Equal("31006", env["PORT_9090"]);
        Assert.Equal("u.2", env["MESOS_TASK_ID"]);
        Assert.Equal("web-1", env["HOSTNAME"]);
        Assert.Equal("http://10.0.0.1:31005/", env["URL"]);
        Assert.Equal("web-1", env["ME"]);
        Assert.Equal(12_000_000_000, task.KillPolicy.GracePeriod.Nanoseconds);
        Assert.Equal((31005UL, 31006UL), (task.Resources.Single(x => x.Name == "ports").Ranges.Range[0].Begin, task.Resources.Single(x => x.Name == "ports").Ranges.Range[0].End));
        Assert.Equal(31005U, task.Check.Http.Port);
        Assert.Equal("/ready", task.Check.Http.Path);
        Assert.Equal(3, task.Check.IntervalSeconds);
        Assert.Equal(31005U, task.HealthCheck.Tcp.Port);
        Assert.Equal(4, task.HealthCheck.DelaySeconds);
        Assert.Equal(["http", "my-admin"], task.Discovery.Ports.Ports_.Select(x => x.Name));
    }

    [Fact]
    public void What_Mesos_cannot_check_is_said()
    {
        var built = TaskBuilder.Build(Pod(Web with { ReadinessProbe = new() { Grpc = new() { Port = 1 } }, LivenessProbe = new() { HttpGet = new() { Port = "nope" } } }), Context());
        Assert.Contains(built.Warnings, x => x.Contains("grpc", StringComparison.Ordinal));
        Assert.Contains(built.Warnings, x => x.Contains("\"nope\" is not a declared port (declared: http, my-admin)", StringComparison.Ordinal));
        Assert.Null(built.Operation!.Launch.TaskInfos[0].Check);
        var headers = TaskBuilder.Build(Pod(Web with { ReadinessProbe = new() { HttpGet = new() { Port = 8080, Scheme = "HTTPS", HttpHeaders = [new() { Name = "A", Value = "b" }] } } }), Context());
        Assert.Equal(["curl", "-fsSk", "-o", "/dev/null", "-m", "1", "-H", "A: b", "https://127.0.0.1:31005/"], headers.Operation!.Launch.TaskInfos[0].Check.Command.Command_.Arguments);
    }

    [Fact]
    public void Missing_references_are_named_and_optional_ones_left_out()
    {
        var container = Web with
        {
            Env =
            [
                new() { Name = "A", ValueFrom = new() { SecretKeyRef = new() { Name = "s", Key = "k" } } },
                new() { Name = "B", ValueFrom = new() { ConfigMapKeyRef = new() { Name = "c", Key = "k", Optional = true } } },
            ],
        };
        Assert.Equal(["secret \"s\" not found"], TaskBuilder.Build(Pod(container), Context()).Missing);
        var sources = new EnvSources();
        sources.Secrets["s"] = new() { Data = new Dictionary<string, byte[]> { ["k"] = "v"u8.ToArray() } };
        var env = TaskBuilder.Build(Pod(container), Context(sources)).Operation!.Launch.TaskInfos[0].Command.Environment.Variables;
        Assert.Equal("v", env.Single(x => x.Name == "A").Value);
        Assert.DoesNotContain(env, x => x.Name == "B");
    }

    [Theory]
    [InlineData(TaskState.TaskFailed, "Command exited with status 3", 3, 0, "Error")]
    [InlineData(TaskState.TaskFailed, "Command terminated with signal Segmentation fault", 139, 11, "Error")]
    [InlineData(TaskState.TaskKilled, "Command terminated with signal Terminated", 143, 15, "Error")]
    [InlineData(TaskState.TaskFinished, "Command exited with status 0", 0, 0, "Completed")]
    [InlineData(TaskState.TaskDropped, "Offer O1 is no longer valid", 128, 0, "StartError")]
    public void Ends_are_told_apart(TaskState state, string message, int code, int signal, string reason)
    {
        var ended = Ending.Of(new() { State = state, Message = message, StartedAt = Now, FinishedAt = Now });
        Assert.Equal((code, signal, reason), (ended.ExitCode, ended.Signal, ended.Reason));
    }

    [Fact]
    public void A_taken_port_is_read_from_the_message() =>
        Assert.Equal(31005, Ending.PortInUse(new() { State = TaskState.TaskFailed, Message = "port 31005 in use by another process" }));

    [Fact]
    public void The_status_goes_from_creating_to_running_to_back_off()
    {
        var pod = Pod(Web with { ReadinessProbe = null });
        var track = AttemptTrack.New(pod, 2);
        Assert.Equal("ContainerCreating", Of(new() { Attempt = track }).ContainerStatuses[0].State.Waiting!.Reason);
        track = track.After(pod, new("u", 2), new MesosStatus { State = TaskState.TaskRunning, TaskId = new() { Value = "u.2" } }, Now);
        var running = Of(new() { Attempt = track, HostIp = "10.0.0.1" });
        Assert.Equal(("Running", "10.0.0.1", true, 2), (running.Phase, running.PodIP, running.ContainerStatuses[0].Ready, running.ContainerStatuses[0].RestartCount));
        track = track.After(pod, new("u", 2), new MesosStatus { State = TaskState.TaskFailed, Message = "Command exited with status 1", TaskId = new() { Value = "u.2" } }, Now);
        var verdict = Restarts.Decide(pod, track);
        Assert.Equal(Outcome.Restart, verdict.Outcome);
        var waiting = Of(new() { Attempt = track, Verdict = verdict, Backoff = TimeSpan.FromSeconds(20) });
        Assert.Equal(("Running", "CrashLoopBackOff", 1), (waiting.Phase, waiting.ContainerStatuses[0].State.Waiting!.Reason, waiting.ContainerStatuses[0].LastState.Terminated!.ExitCode));
        Assert.Equal("False", waiting.Conditions.Single(x => x.Type == "Ready").Status);

        PodStatus Of(StatusInput input) => StatusMap.Compute(pod, input, Now).Status;
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 10)]
    [InlineData(2, 20)]
    [InlineData(5, 160)]
    [InlineData(6, 300)]
    [InlineData(50, 300)]
    public void Back_off_doubles_to_five_minutes(int failures, int seconds) => Assert.Equal(seconds, Restarts.Delay(failures).TotalSeconds);

    [Theory]
    [InlineData("u.3", "u", 3, "")]
    [InlineData("u.3.web", "u", 3, "web")]
    public void Task_ids_are_read_and_written(string id, string uid, int attempt, string container)
    {
        Assert.True(PodTask.TryParse(id, out var task));
        Assert.Equal(new PodTask(uid, attempt, container), task);
        Assert.Equal(id, task.TaskId);
        Assert.False(PodTask.TryParse("someone-else", out _));
        Assert.False(PodTask.TryParse("a.b", out _));
    }

    [Fact]
    public void The_task_bears_the_topmost_owners_name()
    {
        var set = new ApiObject { Metadata = new() { OwnerReferences = [new() { Kind = "Deployment", Name = "web", Controller = true }] } };
        var pod = Pod(Web) with { Metadata = new() { Name = "web-7d-x", Namespace = "default", OwnerReferences = [new() { Kind = "ReplicaSet", Name = "web-7d", Controller = true }] } };
        Assert.Equal("web", TaskName.Of(pod, (_, _) => set));
        Assert.Equal("web.shop", TaskName.Of(pod with { Metadata = pod.Metadata with { Namespace = "shop" } }, (_, _) => set));
        Assert.Equal("web-7d", TaskName.Of(pod, (_, _) => null));
    }
}
