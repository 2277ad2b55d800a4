using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

public sealed class KindLogTests
{
    private static readonly byte[] Json = new byte[1024 * 1024];

    private readonly WatchWaker _waker = new(new());

    [Fact]
    public void Large_objects_shorten_the_history()
    {
        const int made = 100;
        const int kept = (int)(Limits.WatchHistoryBytesMax / (1024 * 1024));
        var log = new KindLog(openedAt: 0);
        for (var revision = 1; revision <= made; revision++) log.Apply(new(WatchEventType.Added, At(revision, $"a{revision}"), null), _waker);
        Assert.Equal(made - kept, log.TrimmedThrough);
        Assert.Equal(made, log.Objects.Count);
        Assert.Null(log.Since(made - kept - 1));
        Assert.Equal(kept, log.Since(made - kept)!.Length);
        var page = new List<LogEntry>();
        Assert.True(log.Read(log.Seek(made - kept), page, max: 10));
        Assert.Equal(made - kept + 1, page[0].Object.Revision);
    }

    [Fact]
    public void An_earlier_state_is_the_present_one_with_its_changes_undone()
    {
        var log = new KindLog(openedAt: 0);
        var (first, second, other) = (At(1, "a"), At(2, "a"), At(3, "b"));
        log.Apply(new(WatchEventType.Added, first, null), _waker);
        log.Apply(new(WatchEventType.Modified, second, first), _waker);
        log.Apply(new(WatchEventType.Added, other, null), _waker);
        log.Apply(new(WatchEventType.Deleted, At(4, "a"), second), _waker);
        Assert.Equal([3], RevisionsAt(4));
        Assert.Equal([2, 3], RevisionsAt(3));
        Assert.Equal([2], RevisionsAt(2));
        Assert.Equal([1], RevisionsAt(1));
        Assert.Equal([], RevisionsAt(0));

        IEnumerable<long> RevisionsAt(long revision) => KindLog.Before(log.Since(revision)!, log.Objects).Values.Select(x => x.Revision);
    }

    private static Selectable At(long revision, string name) => new(new Stored(ResourceKey.Of(Kind.ConfigMap, "default", name), "u", revision, Json));
}
