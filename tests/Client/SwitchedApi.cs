using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Tests.Client;

/// <summary>Goes to another server from one moment on; what was followed of the first is cut then.</summary>
internal sealed class SwitchedApi(IApi first, CancellationToken cut) : IApi
{
    public IApi Inner { get; set; } = first;
    private readonly IApi _first = first;

    public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => Inner.Get(key, subresource, stop);

    public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => Inner.List(request, stop);

    public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop = default)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(stop, Inner == _first ? cut : default);
        await foreach (var change in Inner.Watch(request, both.Token)) yield return change;
    }

    public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => Inner.Create(key, json, options, stop);

    public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => Inner.Update(key, json, options, stop);

    public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => Inner.Patch(key, kind, patch, options, stop);

    public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => Inner.Delete(key, options, stop);
}
