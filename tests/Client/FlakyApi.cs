using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.Tests.Client;

/// <summary>An API whose connection breaks: refused calls, lost answers, conflicts, watches that end, break, or have forgotten the position.</summary>
internal sealed class FlakyApi(IApi inner, TimeProvider time, Random random) : IApi
{
    /// <summary>One in so many calls or events; 0 = never.</summary>
    public int OneIn { get; set; } = 15;

    public int Faults { get; private set; }

    /// <summary>Every watch that is opened now is answered with 410 once.</summary>
    public bool ExpireNextWatch { get; set; }

    public async Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default)
    {
        await Travel(stop);
        return await inner.Get(key, subresource, stop);
    }

    public async Task<StoredList> List(ListRequest request, CancellationToken stop = default)
    {
        await Travel(stop);
        return await inner.List(request, stop);
    }

    public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop = default)
    {
        await Travel(stop);
        if (ExpireNextWatch || Strikes())
        {
            ExpireNextWatch = false;
            throw Status.Expired(request.From ?? 0, 0);
        }
        await foreach (var change in inner.Watch(request, stop))
        {
            yield return change;
            if (Strikes()) yield break;
            if (Strikes()) throw new IOException("the connection was reset");
        }
    }

    public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) =>
        Write(key, () => inner.Create(key, json, options, stop), stop);

    public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) =>
        Write(key, () => inner.Update(key, json, options, stop), stop);

    public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) =>
        Write(key, () => inner.Patch(key, kind, patch, options, stop), stop);

    public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) =>
        Write(key, () => inner.Delete(key, options, stop), stop);

    private async Task<Stored> Write(ResourceKey key, Func<Task<Stored>> write, CancellationToken stop)
    {
        await Travel(stop);
        if (Strikes()) throw Status.Modified(key.Kind, key.Name);
        var written = await write();
        return Strikes() ? throw Status.Timeout("the answer was lost") : written;
    }

    private async Task Travel(CancellationToken stop)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(random.Next(20)), time, stop);
        if (Strikes()) throw Status.Unavailable("no connection");
    }

    private bool Strikes()
    {
        if (OneIn == 0 || random.Next(OneIn) != 0) return false;
        Faults++;
        return true;
    }
}
