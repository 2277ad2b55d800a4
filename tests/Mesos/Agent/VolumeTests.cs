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
        var uuid = ByteString.CopyFrom(new byte[16]);
        bench.Master.Send(new ToAgent { Checkpoint = new() { Resources = { volume }, Operations = { uuid } } });
        await TestMaster.Until(() => bench.Master.Received.Any(one => one.Checkpointed?.Operations.Contains(uuid) == true));
        bench.Master.Run(With(volume, "writes", "echo kept > data/file"));
        await bench.Master.Until("writes", TaskState.TaskFinished);
        await bench.Stop();
        await using var second = new AgentBench(folder);
        bench = second;
        await bench.Start();
        Assert.Equal(volume, Assert.Single(bench.Master.Received.Last(one => one.Reregister is not null).Reregister.Checkpointed));
        bench.Master.Run(With(volume, "reads", "grep kept data/file"));
        await bench.Master.Until("reads", TaskState.TaskFinished);
        var kept = Path.Combine(folder, "volumes/roles/test/vol/file");
        Assert.True(File.Exists(kept));
        bench.Master.Send(new ToAgent { Checkpoint = new() });
        await TestMaster.Until(() => !File.Exists(kept));
    }

    private static TaskInfo With(Resource volume, string id, string script)
    {
        var task = Shell(id, script);
        task.Resources.Add(volume);
        return task;
    }
}
