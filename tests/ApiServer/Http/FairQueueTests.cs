using Declarative.Api;
using Declarative.ApiServer.Http;
using Declarative.ApiServer.Http.Transport;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>The order of service, on a clock that stands.</summary>
public sealed class FairQueueTests
{
    private readonly ManualTime _clock = new();
    private readonly List<string> _served = [];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Who_comes_late_is_served_before_the_rest_of_a_flood()
    {
        var queue = Queue(seats: 2, share: 2);
        var asked = new List<Task<FairQueue.Seat>>();
        for (var i = 0; i < 6; i++) asked.Add(Enter(queue, "flood", $"f{i}"));
        asked.Add(Enter(queue, "a", "a0"));
        asked.Add(Enter(queue, "b", "b0"));
        asked.Add(Enter(queue, "a", "a1"));
        Assert.Equal((2, 7), (queue.Running, queue.Queued));
        for (var done = 0; done < asked.Count; done++) (await asked[await Next(done)]).Dispose();
        Assert.Equal(["f0", "f1", "f2", "a0", "b0", "f3", "a1", "f4", "f5"], _served);
        Assert.Equal((0, 0), (queue.Running, queue.Queued));

        async Task<int> Next(int n)
        {
            string name;
            while (true)
            {
                lock (_served)
                {
                    // Whoever got a seat by the last one's end has said so.
                    if (_served.Count >= Math.Min(n + 2, 9))
                    {
                        name = _served[n];
                        break;
                    }
                }
                await Task.Yield();
            }
            return new[] { "f0", "f1", "f2", "f3", "f4", "f5", "a0", "b0", "a1" }.IndexOf(name);
        }
    }

    [Fact]
    public void Who_waited_in_a_loop_goes_on_there_and_one_at_a_time()
    {
        var seen = new List<(bool Second, bool Third)>();
        var thread = new Thread(() =>
        {
            var round = new LoopRound(static () => true);
            round.Enter();
            var queue = Queue(seats: 2, share: 2);
            var (seat, other) = (queue.Enter("a", Stop).Result, queue.Enter("a", Stop).Result);
            var (second, third) = (queue.Enter("a", Stop), queue.Enter("a", Stop));
            seat.Dispose();
            other.Dispose();
            seen.Add((second.IsCompleted, third.IsCompleted));
            for (var ends = 0; ends < 2; ends++)
            {
                round.End();
                seen.Add((second.IsCompleted, third.IsCompleted));
            }
        });
        thread.Start();
        thread.Join();
        Assert.Equal([(false, false), (true, false), (true, true)], seen);
    }

    [Fact]
    public async Task Alone_a_user_has_every_seat_and_beside_others_a_share()
    {
        var queue = Queue(seats: 8, share: 2);
        var alone = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Enter(queue, "flood", $"f{i}")));
        foreach (var seat in alone[..7]) seat.Dispose();
        using var other = await Enter(queue, "a", "a0");
        var second = Enter(queue, "flood", "g0");
        Assert.True(second.IsCompleted);
        var third = Enter(queue, "flood", "g1");
        // Six seats are free, and are kept for others.
        Assert.False(third.IsCompleted);
        Assert.True(Enter(queue, "b", "b0").IsCompleted);
        alone[7].Dispose();
        alone[7].Dispose(); // once is enough
        Assert.NotNull(await third);
        Assert.Equal(4, queue.Running);
    }

    [Fact]
    public async Task Who_has_not_asked_for_a_second_is_not_there_any_more()
    {
        var queue = Queue(seats: 8, share: 2);
        (await Enter(queue, "a", "a")).Dispose();
        for (var i = 0; i < 2; i++) Assert.True(Enter(queue, "b", "b").IsCompleted);
        Assert.False(Enter(queue, "b", "b").IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.False(Enter(queue, "b", "b").IsCompleted); // in line behind the one that waits
        (await Enter(queue, "c", "c")).Dispose();
        _clock.Advance(TimeSpan.FromSeconds(2));
        using var last = await Enter(queue, "d", "d");
        Assert.Equal(3, queue.Running);
    }

    [Fact]
    public async Task A_flood_beyond_its_queue_is_told_when_to_come_again_and_nobody_else()
    {
        var queue = Queue(seats: 1, share: 1, perUser: 3);
        var seat = await Enter(queue, "flood", "f");
        var waiting = Enumerable.Range(0, 3).Select(i => Enter(queue, "flood", $"f{i}")).ToList();
        var refused = Assert.Throws<ApiException>(() => { _ = queue.Enter("flood", Stop); });
        Assert.Equal((429, 1), (refused.Code, refused.Status.RetryAfterSeconds));
        var other = Enter(queue, "a", "a");
        seat.Dispose();
        (await waiting[0]).Dispose();
        (await other).Dispose();
        Assert.False(queue.Enter("flood", Stop).IsCompleted); // there is room again
    }

    [Fact]
    public async Task Who_goes_away_gives_up_the_place_in_the_line()
    {
        var queue = Queue(seats: 1, share: 1);
        var seat = await Enter(queue, "a", "a");
        using var gone = new CancellationTokenSource();
        var waiting = queue.Enter("b", gone.Token).AsTask();
        var behind = Enter(queue, "b", "b");
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(1, queue.Queued);
        seat.Dispose();
        (await behind).Dispose();
        Assert.Equal((0, 0), (queue.Running, queue.Queued));
    }

    [Fact]
    public async Task Beside_others_a_user_has_a_pace_and_alone_none()
    {
        using var queue = Queue(seats: 8, share: 4, pace: 1);
        var seats = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => Enter(queue, "flood", $"f{i}")));
        _clock.Advance(TimeSpan.FromMilliseconds(100));
        (await Enter(queue, "a", "a")).Dispose();
        foreach (var seat in seats) seat.Dispose();
        // Four seats of 100 ms, 50 ms of them saved before: the next begins 350 ms after the first.
        var next = Enter(queue, "flood", "g0");
        var behind = Enter(queue, "flood", "g1");
        _clock.Advance(TimeSpan.FromMilliseconds(249));
        Assert.False(next.IsCompleted);
        Assert.True(Enter(queue, "a", "a1").IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(2));
        await next;
        // It is expected to take 100 ms as those before it did, and nothing begins beside it.
        Assert.False(behind.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(98));
        Assert.False(behind.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(2));
        await behind;

        // One request after the other is no flood, however long each takes.
        for (var i = 0; i < 3; i++)
        {
            var one = Enter(queue, "b", "b");
            Assert.True(one.IsCompleted);
            _clock.Advance(TimeSpan.FromSeconds(0.9));
            (await one).Dispose();
        }
    }

    [Fact]
    public async Task A_flood_that_was_dearer_to_begin_than_in_the_end_is_paced_all_the_same()
    {
        using var queue = Queue(seats: 201, share: 4, pace: 1);
        var dear = await Enter(queue, "flood", "f");
        _clock.Advance(TimeSpan.FromMilliseconds(250));
        dear.Dispose();
        // Each is expected to take 250 ms and takes 100.
        var seats = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => Enter(queue, "flood", $"f{i}")));
        _clock.Advance(TimeSpan.FromMilliseconds(100));
        (await Enter(queue, "a", "a")).Dispose();
        foreach (var seat in seats) seat.Dispose();
        var next = Enter(queue, "flood", "g");
        _clock.Advance(TimeSpan.FromMilliseconds(240));
        Assert.False(next.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(20));
        (await next).Dispose();
    }

    [Fact]
    public async Task Who_is_looked_at_just_too_early_is_looked_at_again()
    {
        var clock = new StepClock { Now = TimeSpan.TicksPerSecond };
        using var queue = new FairQueue("reads", 8, 4, 1, 100, 1000, clock);
        var seats = new List<FairQueue.Seat>();
        for (var i = 0; i < 4; i++) seats.Add(await queue.Enter("flood", Stop));
        clock.Now += TimeSpan.TicksPerSecond;
        (await queue.Enter("a", Stop)).Dispose();
        foreach (var seat in seats) seat.Dispose();
        // Four seconds of seats, of which no more than a quarter of a second is waited for.
        var due = clock.Now + TimeSpan.FromMilliseconds(250).Ticks;
        var waiting = queue.Enter("flood", Stop).AsTask();
        Assert.Equal(1, clock.Looks);
        // Due between one reading of the clock and the next.
        (clock.Now, clock.Step) = (due - 1, 1);
        clock.Fire();
        Assert.False(waiting.IsCompleted);
        Assert.Equal(2, clock.Looks);
        clock.Fire();
        (await waiting).Dispose();
    }

    [Fact]
    public async Task A_reader_that_takes_its_time_is_not_counted()
    {
        using var queue = Queue(seats: 8, share: 4, pace: 1);
        (await Enter(queue, "a", "a")).Dispose();
        var seat = await Enter(queue, "slow", "s");
        _clock.Advance(TimeSpan.FromMilliseconds(10));
        seat.Answered();
        _clock.Advance(TimeSpan.FromMilliseconds(500));
        seat.Dispose();
        Assert.True(Enter(queue, "slow", "t").IsCompleted);
    }

    private FairQueue Queue(int seats, int share, int perUser = 100, double pace = double.PositiveInfinity) => new("reads", seats, share, pace, perUser, 1000, _clock);

    private async Task<FairQueue.Seat> Enter(FairQueue queue, string user, string name)
    {
        var seat = await queue.Enter(user, Stop);
        lock (_served) _served.Add(name);
        return seat;
    }

    /// <summary>A clock that goes on with each reading, and one timer, fired by hand.</summary>
    private sealed class StepClock : TimeProvider, ITimer
    {
        private TimerCallback? _callback;
        private object? _state;

        public long Now { get; set; }
        public long Step { get; set; }

        /// <summary>How often the timer was set.</summary>
        public int Looks { get; private set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => (Now += Step) - Step;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            (_callback, _state) = (callback, state);
            return this;
        }

        public void Fire() => _callback!(_state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Looks++;
            return true;
        }

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
