using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer;

/// <summary>
/// The API of a server whose journal others write too: each call begins with what all of them have acknowledged, so that it does not matter
/// which of them a client asks.
/// </summary>
internal sealed class FreshApi(RevisionLog log, IApi api) : IApi
{
    public async Task<Stored> Get(ResourceKey key, string subresource, CancellationToken stop)
    {
        await log.Fresh(stop);
        return await api.Get(key, subresource, stop);
    }

    public async Task<StoredList> List(ListRequest request, CancellationToken stop)
    {
        await log.Fresh(stop);
        return await api.List(request, stop);
    }

    public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop)
    {
        await log.Fresh(stop);
        await foreach (var happened in api.Watch(request, stop)) yield return happened;
    }

    public async Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options, CancellationToken stop)
    {
        await log.Fresh(stop);
        return await api.Create(key, json, options, stop);
    }

    public async Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options, CancellationToken stop)
    {
        await log.Fresh(stop);
        return await api.Update(key, json, options, stop);
    }

    public async Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options, CancellationToken stop)
    {
        await log.Fresh(stop);
        return await api.Patch(key, kind, patch, options, stop);
    }

    public async Task<Stored> Delete(ResourceKey key, DeleteOptions? options, CancellationToken stop)
    {
        await log.Fresh(stop);
        return await api.Delete(key, options, stop);
    }
}
