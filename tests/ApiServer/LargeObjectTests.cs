using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>The event loops have other connections to look after: a small request about a large object is worked on elsewhere.</summary>
public sealed class LargeObjectTests
{
    [Theory]
    [InlineData(100, true)]
    [InlineData(100_000, false)]
    public async Task Changing_and_deleting_a_large_object_leaves_the_calling_thread(int bytes, bool stays)
    {
        var clock = new Threads();
        await using var api = await InProcessApi.Start(time: clock);
        var key = ResourceKey.Of(Kind.ConfigMap, "default", "m");
        await api.Admin.Create(key, Encoding.UTF8.GetBytes($$$"""{"metadata":{"name":"m"},"data":{"x":"{{{new string('x', bytes)}}}"}}"""), stop: TestContext.Current.CancellationToken);
        Assert.Equal(stays, await IsInCaller(clock, () => api.Admin.Patch(key, PatchKind.Merge, """{"data":{"y":"1"}}"""u8.ToArray())));
        Assert.Equal(stays, await IsInCaller(clock, () => api.Admin.Update(key, """{"metadata":{"name":"m","labels":{"a":"b"}}}"""u8.ToArray())));
        await api.Admin.Update(key, Encoding.UTF8.GetBytes($$$"""{"metadata":{"name":"m"},"data":{"x":"{{{new string('x', bytes)}}}"}}"""), stop: TestContext.Current.CancellationToken);
        Assert.Equal(stays, await IsInCaller(clock, () => api.Admin.Delete(key)));
    }

    /// <summary>Whether the time of the write was asked for in the thread that asked for the write.</summary>
    private static async Task<bool> IsInCaller(Threads clock, Func<Task> write)
    {
        var told = new TaskCompletionSource<Task>();
        var mark = new object();
        var thread = new Thread(() =>
        {
            Threads.Mark = mark;
            told.SetResult(write());
        });
        thread.Start();
        await await told.Task;
        return ReferenceEquals(clock.Last, mark);
    }

    private sealed class Threads : TimeProvider
    {
        /// <summary>Of the calling thread.</summary>
        [field: ThreadStatic]
        public static object? Mark { get; set; }

        public object? Last { get; private set; }

        public override DateTimeOffset GetUtcNow()
        {
            Last = Mark;
            return base.GetUtcNow();
        }
    }
}
