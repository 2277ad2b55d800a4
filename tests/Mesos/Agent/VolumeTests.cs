using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Xunit;
using static Declarative.Tests.Mesos.Agent.AgentBench;

namespace Declarative.Tests.Mesos.Agent;

/// <summary>A persistent volume outlives tasks and the agent's restarts, until it is destroyed.</summary>
public sealed class VolumeTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("volumes-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task What_one_task_wrote_another_reads_after_a_restart_of_the_agent_and_nobody_after_the_destruction()
    {
        await using var first = new AgentBench(folder);
        var bench = first;
        await bench.Start();
        var volume = OperationTests.Volume(64);
        bench.Master.Send(new ToAgent { Checkpoint = new() { Resources = { volume }, Operations = { Creation() }, Frameworks = { TestMaster.Framework } } });
        var done = Assert.Single((await bench.Master.Until(ToMaster.MessageOneofCase.Checkpointed)).Checkpointed.Operations);
        Assert.Equal((OperationState.OperationFinished, "op", 16), (done.LatestStatus.State, done.LatestStatus.OperationId.Value, done.LatestStatus.Uuid.Value.Length));
        bench.Master.Run(With(volume, "writes", "echo kept > data/file"));
        await bench.Master.Until("writes", TaskState.TaskFinished);
        await bench.Stop();
        await using var second = new AgentBench(folder);
        bench = second;
        await bench.Start();
        var back = bench.Master.Received.Last(one => one.Reregister is not null).Reregister;
        Assert.Equal(volume, Assert.Single(back.Checkpointed));
        // Nobody has acknowledged it: the next master is to know.
        Assert.Equal((done, TestMaster.Framework.Id), (Assert.Single(back.Operations), Assert.Single(back.Frameworks).Id));
        bench.Master.Run(With(volume, "reads", "grep kept data/file"));
        await bench.Master.Until("reads", TaskState.TaskFinished);
        var kept = Path.Combine(folder, "volumes/roles/test/vol/file");
        Assert.True(File.Exists(kept));
        bench.Master.Send(new ToAgent { AcknowledgeOperation = new() { Operation = done.Uuid.Value } });
        bench.Master.Send(new ToAgent { Checkpoint = new() });
        await TestMaster.Until(() => !File.Exists(kept));
        bench.Master.Cut();
        await TestMaster.Until(() => bench.Master.Received.Count(one => one.Reregister is not null) > 1);
        Assert.Empty(bench.Master.Received.Last(one => one.Reregister is not null).Reregister.Operations);
    }

    private static Operation Creation() =>
        new()
        {
            FrameworkId = TestMaster.Framework.Id,
            Info = new() { Type = Offer.Types.Operation.Types.Type.Create, Id = new() { Value = "op" } },
            LatestStatus = new() { State = OperationState.OperationPending },
            Uuid = new() { Value = ByteString.CopyFrom(new byte[16]) },
        };

    private static TaskInfo With(Resource volume, string id, string script)
    {
        var task = Shell(id, script);
        task.Resources.Add(volume);
        return task;
    }
}
