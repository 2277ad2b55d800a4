using System.Text.Json.Nodes;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Protocol;
using Xunit;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using Event = Declarative.Mesos.Protocol.SchedulerApi.Event;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;

namespace Declarative.Tests.Mesos;

/// <summary>Every event of our master has a shape (fields, types) that a real master's event of that kind was recorded with.</summary>
public sealed class ShapeTests
{
    [Fact]
    public async Task Events_have_recorded_shapes()
    {
        var recorded = Recorded
            .Lines("events.jsonl")
            .Select(line => JsonNode.Parse(line)!)
            .ToLookup(Kind, Recorded.Shape);
        await using var world = new MasterWorld(agents: 0);
        var rack = new Declarative.Mesos.Protocol.Attribute
        {
            Name = "rack",
            Type = Value.Types.Type.Text,
            Text = new() { Value = "r1" },
        };
        var index = new Declarative.Mesos.Protocol.Attribute
        {
            Name = "idx",
            Type = Value.Types.Type.Scalar,
            Scalar = new() { Value = 1 },
        };
        world.AddAgent(0, new EmulatedAgentOptions { Hostname = "127.0.0.1", Attributes = [rack, index] });
        await using var framework = world.Framework();
        await Play(world, framework);
        foreach (var message in framework.Events.DistinctBy(one => Kind(Json(one)) + Recorded.Shape(Json(one))))
        {
            var shape = Recorded.Shape(Json(message));
            var kind = Kind(Json(message));
            // The emulated agent has no process, so no executor_pid.
            Assert.True(
                recorded[kind].Any(one => Same(one, shape)),
                $"{kind} has no recorded shape like\n{shape}\nrecorded:\n{string.Join("\n--\n", recorded[kind])}"
            );
        }

        Assert.Superset(
            new HashSet<EventType>
            {
                EventType.Subscribed,
                EventType.Heartbeat,
                EventType.Offers,
                EventType.Update,
                EventType.Rescind,
                EventType.Failure,
            },
            framework.Events.Select(one => one.Type).ToHashSet()
        );
    }

    private static async Task Play(MasterWorld world, TestFramework framework)
    {
        await framework.Subscribe();
        var offer = await framework.Offer();
        var checkedTask = TestFramework.TaskOf("checked", offer);
        checkedTask.HealthCheck = new() { Type = HealthCheck.Types.Type.Command, Command = new() { Value = "true" } };
        await framework.Accept([offer], 0, TestFramework.TaskOf("plain", offer), checkedTask, TestFramework.TaskOf("big", offer, cpus: 99));
        await framework.Update("plain", TaskState.TaskRunning);
        await framework.Update("checked", TaskState.TaskRunning, status => status.HasHealthy);
        await framework.Kill("plain");
        await framework.Update("plain", TaskState.TaskKilled);
        world.Agents[0].KillUnhealthy("checked");
        await framework.Update("checked", TaskState.TaskKilled);
        await framework.Accept([offer], 0, TestFramework.TaskOf("stale", offer));
        await framework.Update("stale", TaskState.TaskDropped);
        var next = await framework.Offer(count: 2);
        var group = new Operation.Types.LaunchGroup
        {
            Executor = new()
            {
                ExecutorId = new() { Value = "pod" },
                Type = ExecutorInfo.Types.Type.Default,
                Resources = { TestFramework.Scalar("cpus", 0.1), TestFramework.Scalar("mem", 32), TestFramework.Scalar("disk", 16) },
            },
            TaskGroup = new() { Tasks = { TestFramework.TaskOf("a", next) } },
        };
        await framework.Accept([next], 0, new Operation { Type = Operation.Types.Type.LaunchGroup, LaunchGroup = group });
        await framework.Update("a", TaskState.TaskRunning);
        var beside = await framework.Offer(one => one.ExecutorIds.Count > 0);
        await framework.Accept([beside], 0, TestFramework.TaskOf("lost", next));
        await framework.Update("lost", TaskState.TaskRunning);
        await framework.Reconcile(("lost", null), ("no", null), ("no", next.AgentId.Value), ("no", "other"));
        await framework.Update("no", TaskState.TaskUnknown, count: 2);
        world.Agents[0].Exit("a", 1);
        await framework.Update("a", TaskState.TaskFailed);
        await world.Until(() => framework.Events.Any(one => one.Type == EventType.Failure), "the executor's end");
        await world.Until(() => framework.Offers.Count() > 3, "an offer to lose");
        using var closed = new Declarative.Mesos.Mini.Master.MiniMaster(new(), world.Time, new Random(9));
        closed.Dispose();
        world.Door.Master = closed;
        world.Agents[0].Disconnect();
        await framework.Update("lost", TaskState.TaskUnreachable);
        await framework.Reconcile(("lost", next.AgentId.Value));
        await framework.Update("lost", TaskState.TaskUnreachable, count: 2);
        world.Door.Master = world.Master;
        await framework.Update("lost", TaskState.TaskRunning, status => !status.HasUuid, 2);
        await framework.Send(CallType.Suppress);
    }

    private static JsonNode Json(Event message) => JsonNode.Parse(MesosJson.Write(message))!;

    private static string Kind(JsonNode message)
    {
        var status = message["update"]?["status"];
        return $"{message["type"]} {status?["state"]} {status?["source"]} {status?["reason"]}";
    }

    private static bool Same(string recorded, string ours) => Comparable(recorded) == Comparable(ours);

    private static string Comparable(string shape) =>
        string.Join('\n', shape.Split('\n').Where(path => !path.Contains("executor_pid", StringComparison.Ordinal)));
}
