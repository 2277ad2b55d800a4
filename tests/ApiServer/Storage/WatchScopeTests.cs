using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>Watchers of one namespace or object are woken by its changes alone, and lose nothing by sleeping through those of others.</summary>
public sealed class WatchScopeTests
{
    private const int Others = 300;

    [Fact]
    public async Task A_change_elsewhere_wakes_no_watcher_of_one_namespace_or_object()
    {
        await With(async (log, write) =>
        {
            using var all = log.Watch(Kind.ConfigMap, log.Revision);
            using var here = log.Watch(Kind.ConfigMap, log.Revision, new("here", ""));
            using var one = log.Watch(Kind.ConfigMap, log.Revision, new("here", "one"));
            foreach (var cursor in (KindCursor[])[all, here, one]) cursor.Read(out _);
            all.Read(out var anywhere);
            here.Read(out var inNamespace);
            one.Read(out var ofOne);

            await write("elsewhere", "a");
            await anywhere;
            Assert.False(inNamespace.IsCompleted);
            Assert.False(ofOne.IsCompleted);

            await write("here", "two");
            await inNamespace;
            Assert.False(ofOne.IsCompleted);
            Assert.Equal(["here/two"], here.Read(out _).Select(Name).Where(x => x.StartsWith("here", StringComparison.Ordinal)));

            await write("here", "one");
            await ofOne;
            Assert.Contains("here/one", one.Read(out _).Select(Name));
        });
    }

    [Fact]
    public async Task A_watcher_that_slept_while_others_changed_more_than_the_history_holds_goes_on()
    {
        await With(async (log, write) =>
        {
            using var all = log.Watch(Kind.ConfigMap, log.Revision);
            using var one = log.Watch(Kind.ConfigMap, log.Revision, new("here", "one"));
            one.Read(out var changed);
            // Each holds a megabyte: the history of 64 MiB is long past.
            for (var i = 0; i < 100; i++) await write("elsewhere", $"a{i}");
            Assert.Throws<ApiException>(() => all.Read(out _));
            Assert.False(changed.IsCompleted);
            Assert.Empty(one.Read(out changed));
            Assert.Equal(log.Revision, one.Revision);
            await write("here", "one");
            await changed;
            Assert.Equal(["here/one"], one.Read(out _).Select(Name));
        }, bytes: 1024 * 1024);
    }

    [Fact]
    public async Task Every_watcher_of_many_sees_every_change_in_order()
    {
        await With(async (log, write) =>
        {
            var watchers = Enumerable.Range(0, 200).Select(x => Follow(log, (x % 3) switch { 0 => ObjectName.Any, 1 => new("here", ""), _ => new("here", "one") })).ToList();
            for (var i = 0; i < Others; i++) await write("here", "one");
            foreach (var seen in await Task.WhenAll(watchers)) Assert.Equal(Enumerable.Range(2, Others).Select(x => (long)x), seen);
        });

        static async Task<List<long>> Follow(RevisionLog log, ObjectName scope)
        {
            using var cursor = log.Watch(Kind.ConfigMap, log.Revision, scope);
            await Task.Yield();
            var seen = new List<long>();
            while (seen.Count < Others)
            {
                var page = cursor.Read(out var changed);
                seen.AddRange(page.Select(x => x.Object.Revision));
                if (page.Count == 0) await changed;
            }
            return seen;
        }
    }

    private static string Name(LogEntry entry) => $"{entry.Object.Stored.Key.Namespace}/{entry.Object.Stored.Key.Name}";

    private static async Task With(Func<RevisionLog, Func<string, string, Task>, Task> test, int bytes = 10)
    {
        using var stop = new CancellationTokenSource();
        var log = await RevisionLog.Open(new MemoryJournal(), stop.Token);
        var running = log.Run(stop.Token);
        var json = Encoding.UTF8.GetBytes($$$"""{"metadata":{"name":"x"},"data":{"x":"{{{new string('x', bytes)}}}"}}""");
        await test(log, async (ns, name) =>
        {
            var key = new ResourceKey(Kind.ConfigMap, ns, name);
            Assert.NotNull((await log.Commit(new(key, "uid", log.Get(key)?.Revision ?? 0, json), CancellationToken.None)).Stored);
        });
        await stop.CancelAsync();
        await running;
    }
}
