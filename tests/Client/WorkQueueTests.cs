using Declarative.Client.Queue;
using Xunit;

namespace Declarative.Tests.Client;

public sealed class WorkQueueTests
{
    private readonly ManualTime _time = new();
    private readonly WorkQueue<string> _queue;

    public WorkQueueTests() => _queue = new(_time);

    [Fact]
    public async Task A_key_added_twice_is_there_once()
    {
        _queue.Add("a");
        _queue.Add("b");
        _queue.Add("a");
        Assert.Equal(2, _queue.Count);
        Assert.Equal("a", (await _queue.Take()).Key);
        Assert.Equal("b", (await _queue.Take()).Key);
    }

    [Fact]
    public async Task A_key_in_work_is_not_handed_out_and_comes_back_after_done()
    {
        _queue.Add("a");
        Assert.Equal("a", (await _queue.Take()).Key);
        _queue.Add("a");
        var next = _queue.Take();
        Assert.False(next.IsCompleted);
        _queue.Done("a");
        Assert.Equal("a", (await next).Key);
        _queue.Done("a");
        Assert.Equal(0, _queue.Count);
    }

    [Fact]
    public async Task A_key_that_rests_comes_back_once_for_all_that_was_added_meanwhile()
    {
        _queue.Add("a");
        Assert.Equal("a", (await _queue.Take()).Key);
        _queue.DoneAfter("a", TimeSpan.FromSeconds(1));
        _queue.Add("a");
        _queue.Add("a");
        _time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.Equal(0, _queue.Count);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(1, _queue.Count);
        Assert.Equal("a", (await _queue.Take()).Key);
        // Without news it is not handed out again.
        _queue.DoneAfter("a", TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(0, _queue.Count);
        _queue.Add("a");
        Assert.Equal(1, _queue.Count);
    }

    [Fact]
    public void A_later_key_appears_when_its_time_has_come()
    {
        _queue.AddAfter("late", TimeSpan.FromSeconds(10));
        _queue.AddAfter("soon", TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.Equal(0, _queue.Count);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(1, _queue.Count);
        _time.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal(2, _queue.Count);
    }

    [Fact]
    public async Task The_earliest_of_several_times_counts_and_counts_once()
    {
        _queue.AddAfter("a", TimeSpan.FromSeconds(5));
        _queue.AddAfter("a", TimeSpan.FromSeconds(1));
        _queue.AddAfter("a", TimeSpan.FromSeconds(3));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("a", (await _queue.Take()).Key);
        _queue.Done("a");
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(0, _queue.Count);
    }

    [Fact]
    public void Retries_wait_longer_each_time_up_to_a_minute()
    {
        var waits = new List<double>();
        for (var i = 0; i < 20; i++)
        {
            var start = _time.GetUtcNow();
            _queue.Retry("a");
            while (_queue.Count == 0) _time.Advance(TimeSpan.FromMilliseconds(1));
            waits.Add((_time.GetUtcNow() - start).TotalMilliseconds);
            var taken = _queue.Take();
            Assert.True(taken.IsCompletedSuccessfully);
            _queue.Done("a");
        }
        Assert.Equal([5, 10, 20, 40], waits.Take(4));
        Assert.Equal(60_000, waits[^1]);
        _queue.Forget("a");
        _queue.Retry("a");
        _time.Advance(TimeSpan.FromMilliseconds(5));
        Assert.Equal(1, _queue.Count);
    }

    [Fact]
    public async Task Stop_ends_those_who_wait_and_those_who_come()
    {
        var waiting = _queue.Take();
        _queue.Stop();
        Assert.False((await waiting).IsOpen);
        Assert.False((await _queue.Take()).IsOpen);
        _queue.Add("a");
        Assert.Equal(0, _queue.Count);
    }

    [Fact]
    public async Task Many_workers_never_hold_one_key_at_once_and_lose_no_addition()
    {
        const int Keys = 7;
        const int Additions = 20_000;
        var queue = new WorkQueue<int>(TimeProvider.System);
        var held = new int[Keys];
        var added = new long[Keys];
        var seen = new long[Keys];
        var collisions = 0;
        var workers = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (await queue.Take() is { IsOpen: true, Key: var key })
            {
                if (Interlocked.Increment(ref held[key]) != 1) Interlocked.Increment(ref collisions);
                Volatile.Write(ref seen[key], Volatile.Read(ref added[key]));
                Interlocked.Decrement(ref held[key]);
                queue.Done(key);
            }
        }, TestContext.Current.CancellationToken)).ToList();
        var adders = Enumerable.Range(0, 4).Select(seed => Task.Run(() =>
        {
            var random = new Random(seed);
            for (var i = 0; i < Additions; i++)
            {
                var key = random.Next(Keys);
                Interlocked.Increment(ref added[key]);
                queue.Add(key);
            }
        }, TestContext.Current.CancellationToken));
        await Task.WhenAll(adders);
        await Eventually.True(() => Enumerable.Range(0, Keys).All(i => Volatile.Read(ref seen[i]) == added[i]), "every addition is worked on");
        queue.Stop();
        await Task.WhenAll(workers);
        Assert.Equal(0, collisions);
    }
}
