using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Http.Transport;
using Declarative.ApiServer.Storage;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>Threads that carry on with many requests in turn.</summary>
public sealed class RoundTests
{
    private static readonly ResourceKey Key = new(Kind.ConfigMap, "default", "a");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Writes_of_a_round_go_to_the_journal_together_and_go_on_in_its_thread()
    {
        var (begun, threads) = (-1, new List<int>());
        var journal = new Batches();
        using var stop = new CancellationTokenSource();
        var log = await RevisionLog.Open(journal, Stop);
        var running = await Waiting(log, stop.Token);
        var (thread, ended) = InLoop(() =>
        {
            List<Task> writes = [Write("a"), Write("b"), Write("c")];
            begun = journal.Sizes.Count;
            return Task.WhenAll(writes);
        });
        await ended.WaitAsync(Stop);
        Assert.Equal(0, begun);
        Assert.Equal([3], journal.Sizes);
        Assert.Equal([thread, thread, thread], threads);

        // Elsewhere a write does not wait for others.
        await Write("d");
        Assert.Equal([3, 1], journal.Sizes);
        await stop.CancelAsync();
        await running;

        async Task Write(string name)
        {
            var json = Encoding.UTF8.GetBytes($$$"""{"metadata":{"name":"{{{name}}}"}}""");
            Assert.NotNull((await log.Commit(new(new(Kind.ConfigMap, "default", name), "uid", 0, json), CancellationToken.None)).Stored);
            threads.Add(Environment.CurrentManagedThreadId);
        }
    }

    [Fact]
    public async Task An_answer_that_writes_again_does_so_in_the_next_round()
    {
        var journal = new Batches();
        using var stop = new CancellationTokenSource();
        var log = await RevisionLog.Open(journal, Stop);
        var running = await Waiting(log, stop.Token);
        await InLoop(async () =>
        {
            for (var i = 0; i < 3; i++)
            {
                var json = """{"metadata":{"name":"a"}}"""u8.ToArray();
                Assert.NotNull((await log.Commit(new(Key, "uid", log.Get(Key)?.Revision ?? 0, json), CancellationToken.None)).Stored);
            }
        }).Ended.WaitAsync(Stop);
        Assert.Equal([1, 1, 1], journal.Sizes);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public void What_a_post_asks_for_comes_at_the_next_end()
    {
        var (begun, round) = (0, new LoopRound(static () => true));
        round.Post(_ => round.AtEnd(() => begun++), round);
        Assert.True(round.HasMore);
        round.End();
        Assert.Equal((0, true), (begun, round.HasMore));
        round.End();
        Assert.Equal((1, false), (begun, round.HasMore));
    }

    [Fact]
    public void Of_those_that_go_last_each_end_of_a_round_takes_one_behind_the_others()
    {
        var (told, round) = (new List<string>(), new LoopRound(static () => true));
        round.PostLast(x => told.Add((string)x), "last");
        round.PostLast(x => told.Add((string)x), "very last");
        round.Post(x => told.Add((string)x), "first");
        round.End();
        Assert.Equal(["first", "last"], told);
        Assert.True(round.HasMore);
        round.Post(x => told.Add((string)x), "between");
        round.End();
        Assert.Equal(["first", "last", "between", "very last"], told);
        Assert.False(round.HasMore);
    }

    [Fact]
    public async Task What_waited_for_a_thread_that_has_ended_goes_on_all_the_same()
    {
        var round = new LoopRound(static () => false);
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        round.Post(static x => ((TaskCompletionSource)x).SetResult(), told);
        await told.Task.WaitAsync(Stop);
        var last = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        round.PostLast(static x => ((TaskCompletionSource)x).SetResult(), last);
        await last.Task.WaitAsync(Stop);
    }

    [Fact]
    public async Task A_write_has_one_answer()
    {
        var pending = new PendingCommit(new(Key, "uid", 0, null));
        Assert.False(pending.IsAnswered);
        pending.Tell(new(null));
        pending.Fail(new InvalidOperationException("late"));
        Assert.Null((await pending.Answer.WaitAsync(Stop)).Stored);
    }

    [Fact]
    public void A_ring_that_nobody_waits_for_is_kept_for_one_who_does()
    {
        var bell = new Bell();
        bell.Ring();
        bell.Ring();
        Assert.True(bell.Rung().IsCompleted);
        var next = bell.Rung();
        Assert.False(next.IsCompleted);
        bell.Ring();
        Assert.True(next.IsCompleted);
        Assert.False(bell.Rung().IsCompleted);
    }

    /// <summary>The writer, which waits for the first write.</summary>
    private static Task<Task> Waiting(RevisionLog log, CancellationToken stop) => Task.Factory.StartNew(() => log.Run(stop), Stop, TaskCreationOptions.None, TaskScheduler.Default);

    /// <summary>A thread that comes to the end of a round until the work is done.</summary>
    private static (int Thread, Task Ended) InLoop(Func<Task> work)
    {
        // What waits for it must not go on in the thread, which is its round's.
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var rung = new SemaphoreSlim(0);
        var thread = new Thread(() =>
        {
            var round = new LoopRound(() =>
            {
                rung.Release();
                return true;
            });
            round.Enter();
            var working = work();
            round.End();
            while (!working.IsCompleted)
            {
                if (!round.HasMore) rung.Wait();
                round.End();
            }
            ended.SetFromTask(working);
        }) { IsBackground = true };
        thread.Start();
        return (thread.ManagedThreadId, ended.Task);
    }

    private sealed class Batches : IJournal
    {
        private readonly MemoryJournal _inner = new();

        public List<int> Sizes { get; } = [];

        public Task<long> Load(ReadObject each, CancellationToken stop) => _inner.Load(each, stop);

        public Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop)
        {
            Sizes.Add(batch.Count);
            return _inner.Append(batch, stop);
        }

        public Task Advance(long revision, CancellationToken stop) => _inner.Advance(revision, stop);

        public ValueTask DisposeAsync() => _inner.DisposeAsync();
    }
}
