using System.Security.Cryptography;
using System.Text;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Xunit;
using Offer = Declarative.Mesos.Protocol.Offer;
using Call = Declarative.Mesos.Protocol.SchedulerApi.Call;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;

namespace Declarative.Tests.Mesos;

/// <summary>Master and agents in a world of one thread and one clock: nothing leaves it, and the same seed gives the same events.</summary>
public sealed class OneThreadTests
{
    [Fact]
    public void The_same_seed_gives_the_same_events()
    {
        var first = Play(1);
        Assert.Equal(first, Play(1));
        Assert.NotEqual(first, Play(2));
    }

    private static string Play(int seed)
    {
        var queue = new Turns();
        var before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(queue);
        try
        {
            var time = new Clock();
            var random = new Random(seed);
            using var master = new MiniMaster(new(), time, new Random(random.Next()));
            var agents = Enumerable
                .Range(0, 5)
                .Select(i => new EmulatedAgent(new() { Hostname = $"agent-{i}" }, master, time, new Random(random.Next())))
                .ToList();
            using var stop = new CancellationTokenSource();
            var log = new StringBuilder();
            var runs = agents.ConvertAll(agent => agent.Run(stop.Token));
            runs.Add(Schedule(master, log, stop.Token));
            for (var step = 0; step < 2000; step++)
            {
                queue.Run();
                time.Advance(TimeSpan.FromMilliseconds(100));
                if (random.Next(50) == 0)
                    agents[random.Next(agents.Count)].Disconnect();
                var agent = agents[random.Next(agents.Count)];
                if (random.Next(10) == 0 && agent.Tasks.FirstOrDefault(task => task.State == TaskState.TaskRunning) is { Id: { } task })
                    agent.Exit(task, random.Next(2));
            }

            stop.Cancel();
            queue.Run();
            Assert.All(runs, run => Assert.True(run.IsCompletedSuccessfully));
            agents.ForEach(agent => agent.Dispose());
            Assert.Contains("TASK_FAILED", log.ToString(), StringComparison.Ordinal);
            Assert.Contains("RESCIND", log.ToString(), StringComparison.Ordinal);
            return Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(log.ToString())));
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    private static async Task Schedule(MiniMaster master, StringBuilder log, CancellationToken stop)
    {
        var thread = System.Environment.CurrentManagedThreadId;
        var client = master.Client();
        FrameworkID? id = null;
        var (launched, seen) = (0, 0);
        try
        {
            await foreach (var message in client.Subscribe(new() { FrameworkInfo = TestFramework.Describe() }, null, stop))
            {
                Assert.Equal(thread, System.Environment.CurrentManagedThreadId);
                log.Append(Encoding.UTF8.GetString(MesosJson.Write(message))).Append('\n');
                id ??= message.Subscribed.FrameworkId;
                if (message.Type == EventType.Update && message.Update.Status is { HasUuid: true } status)
                {
                    var acknowledge = new Call.Types.Acknowledge
                    {
                        AgentId = status.AgentId,
                        TaskId = status.TaskId,
                        Uuid = status.Uuid,
                    };
                    await client.Call(new Call { Type = Call.Types.Type.Acknowledge, FrameworkId = id, Acknowledge = acknowledge }, stop);
                }

                foreach (var offer in message.Offers?.Offers_ ?? [])
                {
                    // Every third offer is held, until the agent is lost or for good.
                    if (++seen % 3 == 0)
                        continue;
                    var accept = new Call.Types.Accept { OfferIds = { offer.Id } };
                    accept.Operations.Add(
                        new Offer.Types.Operation
                        {
                            Type = Offer.Types.Operation.Types.Type.Launch,
                            Launch = new() { TaskInfos = { TestFramework.TaskOf($"t{launched++}", offer) } },
                        }
                    );
                    await client.Call(new Call { Type = Call.Types.Type.Accept, FrameworkId = id, Accept = accept }, stop);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The world ends.
        }
    }

    private sealed class Turns : SynchronizationContext
    {
        private readonly Queue<(SendOrPostCallback, object?)> queue = new();

        public override void Post(SendOrPostCallback callback, object? state) => queue.Enqueue((callback, state));

        public void Run()
        {
            while (queue.TryDequeue(out var turn))
                turn.Item1(turn.Item2);
        }
    }
}
