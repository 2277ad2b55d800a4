using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Xunit;

namespace Declarative.Tests.Client;

public sealed class SharedWatchesTests
{
    private static readonly CancellationToken Stop = TestContext.Current.CancellationToken;

    [Fact]
    public async Task Watches_of_the_same_objects_share_a_stream_and_what_was_decoded()
    {
        var api = new Streams();
        var shared = new SharedWatches(api);
        var decoded = 0;
        Func<ReadOnlyMemory<byte>, ConfigMap> read = json =>
        {
            decoded++;
            return ConfigMap.Read(json);
        };
        await using var first = new Follower(shared, 5);
        await using var second = new Follower(shared, 5);
        await api.Tell(1, 6, 7);
        foreach (var follower in (Follower[])[first, second])
        {
            Assert.Equal(6, (await follower.Next()).Revision);
            Assert.Equal(7, (await follower.Next()).Revision);
        }
        Assert.Equal(1, api.Opened);

        // Who begins later gets what it has not seen, from what is kept.
        await using var third = new Follower(shared, 6);
        var late = await third.Next();
        Assert.Equal(7, late.Revision);
        await api.Tell(1, 8);
        var (one, two) = ((await first.Next()).Object!, (await second.Next()).Object!);
        Assert.Same(one.View(read), two.View(read));
        Assert.Equal((1, 1), (decoded, api.Opened));

        // Another selection is another stream.
        await using var others = new Follower(shared, 5, "default");
        await api.Tell(2, 9);
        Assert.Equal(9, (await others.Next()).Revision);
    }

    [Fact]
    public async Task Who_begins_too_early_catches_up_and_joins()
    {
        var api = new Streams();
        var shared = new SharedWatches(api);
        await using var first = new Follower(shared, 5);
        await api.Tell(1, 6);
        Assert.Equal(6, (await first.Next()).Revision);
        await using var early = new Follower(shared, 3);
        await api.Tell(2, 7);
        Assert.Equal(7, (await early.Next()).Revision);
        while (api.Open > 1) await Task.Delay(5, Stop);
        await api.Tell(2, 8);
        Assert.Equal(8, (await early.Next()).Revision);
    }

    [Fact]
    public async Task A_broken_stream_breaks_for_all_and_the_last_to_leave_ends_it()
    {
        var api = new Streams();
        var shared = new SharedWatches(api);
        await using (var first = new Follower(shared, 5))
        await using (var second = new Follower(shared, 5))
        {
            await api.Tell(1, 6);
            await first.Next();
            await second.Next();
            await api.Break(Declarative.Api.Objects.Status.Expired(5, 9));
            Assert.True((await Assert.ThrowsAsync<ApiException>(first.Next)).IsExpired);
            Assert.True((await Assert.ThrowsAsync<ApiException>(second.Next)).IsExpired);
        }
        await using (var again = new Follower(shared, 9))
        {
            await api.Tell(2, 10);
            Assert.Equal(10, (await again.Next()).Revision);
            Assert.Equal(1, api.Open);
        }
        Assert.Equal(0, api.Open);
    }

    [Fact]
    public async Task Who_is_too_far_behind_gets_410_and_the_others_go_on()
    {
        var api = new Streams();
        var shared = new SharedWatches(api);
        await using var quick = new Follower(shared, 5);
        await using var slow = shared.Watch(new(Kind.ConfigMap) { From = 5 }, Stop).GetAsyncEnumerator(Stop);
        await api.Tell(1, 6);
        Assert.True(await slow.MoveNextAsync());
        Assert.Equal(6, (await quick.Next()).Revision);
        for (var at = 7; at < SharedWatches.BehindMax + 3_000; at += 1_000)
        {
            await api.Tell(1, [.. Enumerable.Range(at, 1_000).Select(x => (long)x)]);
            for (var i = 0; i < 1_000; i++) Assert.Equal(at + i, (await quick.Next()).Revision);
        }
        Assert.True((await Assert.ThrowsAsync<ApiException>(async () => await slow.MoveNextAsync())).IsExpired);
    }

    [Fact]
    public Task Followers_are_told_also_while_more_and_more_is_at_hand() => Task.Run(async () => // the flood keeps a thread: none of the tests' own
    {
        using var ends = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        var api = new Streams { Flood = (3 * SharedWatches.ToldAtOnceMax, ends.Token) };
        await using var follower = new Follower(new(api), 5);
        await api.Tell(1, 6);
        for (var at = 6; at < 6 + 2 * SharedWatches.ToldAtOnceMax; at++) Assert.Equal(at, (await follower.Next()).Revision);
        Assert.False(ends.IsCancellationRequested);
        await ends.CancelAsync();
    }, Stop);

    [Fact]
    public async Task Another_users_watches_are_followed_unless_they_are_refused()
    {
        var (own, api) = (new Streams(), new Streams());
        var shared = new SharedWatches(api);
        await using var first = new Follower(shared, 5);
        await using var second = new Follower(new SharedWatches(own, shared), 5);
        await api.Tell(1, 6);
        Assert.Same((await first.Next()).Object, (await second.Next()).Object);
        Assert.Equal((1, 0), (api.Opened, own.Opened));

        // What the other may not see is followed on one's own, from where the other was.
        await api.Break(Declarative.Api.Objects.Status.Forbidden(Kind.ConfigMap, "", "it may not watch"));
        await own.Tell(1, 6, 7);
        Assert.Equal(7, (await second.Next()).Revision);
        Assert.Equal(1, own.Opened);
    }

    [Fact]
    public async Task A_stream_with_quicker_bookmarks_takes_the_place_of_a_slower_one()
    {
        var api = new Streams();
        var shared = new SharedWatches(api);
        await using var slow = new Follower(shared, 5);
        await api.Tell(1, 6);
        Assert.Equal(6, (await slow.Next()).Revision);
        await using var quick = new Follower(shared, 6, every: TimeSpan.FromMilliseconds(200));
        await slow.Ended;
        await using var again = new Follower(shared, 6);
        await api.Tell(2, 7);
        Assert.Equal(7, (await quick.Next()).Revision);
        Assert.Equal(7, (await again.Next()).Revision);
        Assert.Equal((2, 1), (api.Opened, api.Open));
    }

    /// <summary>Follows from its making until it is disposed of.</summary>
    private sealed class Follower : IAsyncDisposable
    {
        private readonly CancellationTokenSource _leave = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        private readonly Channel<WatchEvent> _seen = Channel.CreateUnbounded<WatchEvent>();
        private readonly Task _running;

        public Follower(SharedWatches shared, long from, string? ns = null, TimeSpan? every = null) => _running = Run(shared, new(Kind.ConfigMap, ns) { From = from, BookmarkEvery = every });

        /// <summary>In good order: the stream has said its last.</summary>
        public Task Ended => _seen.Reader.Completion;

        public async Task<WatchEvent> Next()
        {
            Assert.True(await _seen.Reader.WaitToReadAsync(Stop));
            return _seen.Reader.TryRead(out var next) ? next : throw new InvalidOperationException("one test reads it");
        }

        private async Task Run(SharedWatches shared, WatchRequest request)
        {
            try
            {
                await foreach (var change in shared.Watch(request, _leave.Token)) _seen.Writer.TryWrite(change);
                _seen.Writer.TryComplete();
            }
            catch (Exception e)
            {
                _seen.Writer.TryComplete(e);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _leave.CancelAsync();
            await _running;
            _leave.Dispose();
        }
    }

    /// <summary>Serves nothing but watches, each of which is told what the test says.</summary>
    private sealed class Streams : IApi
    {
        private readonly List<Channel<long>> _open = [];

        /// <summary>So many changes follow each that is told of; the thread stands still after them until it is cancelled.</summary>
        public (int Changes, CancellationToken Until)? Flood { get; init; }

        public int Opened { get; private set; }
        public int Open
        {
            get
            {
                lock (_open) return _open.Count;
            }
        }

        /// <summary>To every stream, once so many have been opened.</summary>
        public async Task Tell(int opened, params long[] revisions)
        {
            foreach (var channel in await Begun(opened))
            {
                foreach (var revision in revisions) channel.Writer.TryWrite(revision);
            }
        }

        public async Task Break(Exception why)
        {
            foreach (var channel in await Begun(1)) channel.Writer.TryComplete(why);
        }

        public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop = default)
        {
            var channel = Channel.CreateUnbounded<long>();
            lock (_open)
            {
                Opened++;
                _open.Add(channel);
            }
            try
            {
                while (await channel.Reader.WaitToReadAsync(stop))
                {
                    while (channel.Reader.TryRead(out var revision))
                    {
                        if (revision <= request.From) continue;
                        yield return Change(revision);
                        if (Flood is not { } flood) continue;
                        for (var next = 1; next <= flood.Changes; next++) yield return Change(revision + next);
                        flood.Until.WaitHandle.WaitOne();
                    }
                }
            }
            finally
            {
                lock (_open) _open.Remove(channel);
            }
        }

        private static WatchEvent Change(long revision) =>
            new(WatchEventType.Modified, revision, new Stored(ResourceKey.Of(Kind.ConfigMap, "default", "x"), "u", revision, """{"metadata":{"name":"x"}}"""u8.ToArray()));

        private async Task<Channel<long>[]> Begun(int opened)
        {
            while (true)
            {
                lock (_open)
                {
                    if (Opened >= opened) return [.. _open];
                }
                await Task.Delay(5, Stop); // streams begin on other threads
            }
        }

        public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => throw new NotSupportedException();

        public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => throw new NotSupportedException();

        public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => throw new NotSupportedException();

        public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => throw new NotSupportedException();

        public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => throw new NotSupportedException();

        public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => throw new NotSupportedException();
    }
}
