using Declarative.Controllers.Placement.Desk;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using Declarative.Sim;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>Which calls wait for which others' answers.</summary>
public class CallLaneTests
{
    [Fact]
    public void One_acknowledgement_that_is_not_answered_holds_up_no_other() => Run(atOnce: 2, async (master, lane, settled) =>
    {
        for (var i = 0; i < 5; i++) lane.Send(Acknowledge($"t{i}"));
        await settled();
        Assert.Equal(["t0", "t1"], master.Got);
        master.Answer("t1");
        await settled();
        master.Answer("t2");
        await settled();
        master.Answer("t3");
        await settled();
        Assert.Equal(["t0", "t1", "t2", "t3", "t4"], master.Got);
    });

    [Fact]
    public void A_call_whose_order_counts_waits_for_every_acceptance_before_it_and_holds_up_those_behind_it() => Run(atOnce: 1, async (master, lane, settled) =>
    {
        lane.Send(Accept("o1"));
        lane.Send(Accept("o2"));
        lane.Send(new() { Type = Call.Types.Type.Revive });
        lane.Send(Accept("o3"));
        await settled();
        Assert.Equal(["o1", "o2"], master.Got);
        master.Answer("o2");
        await settled();
        Assert.Equal(["o1", "o2"], master.Got);
        master.Answer("o1");
        await settled();
        Assert.Equal(["o1", "o2", "Revive"], master.Got);
        master.Answer("Revive");
        await settled();
        Assert.Equal(["o1", "o2", "Revive", "o3"], master.Got);
    });

    [Fact]
    public void So_many_acceptances_are_on_their_way_and_no_more() => Run(atOnce: 1, async (master, lane, settled) =>
    {
        for (var i = 0; i < 18; i++) lane.Send(Accept($"o{i}"));
        await settled();
        Assert.Equal(16, master.Got.Count);
        master.Answer("o9");
        await settled();
        Assert.Equal("o16", master.Got[^1]);
        Assert.Equal(17, master.Got.Count);
    });

    [Fact]
    public void A_call_that_breaks_is_logged_and_told_and_the_next_one_is_sent()
    {
        var log = new Errors();
        Run(atOnce: 1, async (master, lane, settled) =>
        {
            var ends = new List<CallEnd>();
            lane.Send(new() { Type = Call.Types.Type.Revive }, (end, _) => ends.Add(end));
            lane.Send(Accept("o1"), (end, _) => ends.Add(end));
            await settled();
            master.Break("Revive", new InvalidOperationException("a bug"));
            await settled();
            Assert.Equal([CallEnd.Unknown], ends);
            Assert.Equal(["Revive", "o1"], master.Got);
            master.Answer("o1");
            await settled();
            Assert.Equal([CallEnd.Unknown, CallEnd.Taken], ends);
        }, log);
        Assert.Equal(["a bug"], log.Messages);
    }

    // On the world's one thread: its clock goes on when nothing else can.
    private static void Run(int atOnce, Func<HeldMaster, CallLane, Func<Task>, Task> test, ILogger? log = null)
    {
        var world = new World(1);
        world.Run(async () =>
        {
            var master = new HeldMaster();
            using var inbox = new Inbox(world.Time, NullLogger.Instance);
            using var stop = new CancellationTokenSource();
            var lane = new CallLane(master, inbox, static () => true, log ?? NullLogger.Instance, atOnce);
            var running = lane.Run(stop.Token);
            var acting = inbox.Run(static () => null, stop.Token);
            await test(master, lane, () => Task.Delay(TimeSpan.FromMilliseconds(1), world.Time));
            stop.Cancel();
            await running;
            await acting;
        });
    }

    private static Call Accept(string offer) => new() { Type = Call.Types.Type.Accept, Accept = new() { OfferIds = { new OfferID { Value = offer } } } };

    private static Call Acknowledge(string task) => new() { Type = Call.Types.Type.Acknowledge, Acknowledge = new() { TaskId = new() { Value = task } } };

    /// <summary>Answers calls when the test says so.</summary>
    private sealed class HeldMaster : IMaster
    {
        private readonly Dictionary<string, TaskCompletionSource> _answers = new(StringComparer.Ordinal);

        /// <summary>Names of the calls that have come, in order.</summary>
        public List<string> Got { get; } = [];

        public void Answer(string call) => _answers[call].SetResult();

        public void Break(string call, Exception why) => _answers[call].SetException(why);

        public Task Call(Call call, CancellationToken stop)
        {
            var name = call.Accept?.OfferIds[0].Value ?? call.Acknowledge?.TaskId.Value ?? call.Type.ToString();
            Got.Add(name);
            var answer = new TaskCompletionSource();
            _answers.Add(name, answer);
            stop.Register(() => answer.TrySetCanceled(stop));
            return answer.Task;
        }

        public IAsyncEnumerable<Event> Subscribe(Call.Types.Subscribe subscribe, FrameworkID? id, CancellationToken stop) => throw new NotSupportedException();
    }

    private sealed class Errors : ILogger
    {
        public List<string> Messages { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Messages.Add(exception?.Message ?? formatter(state, exception));
    }
}
