using Declarative.Api;

namespace Declarative.ApiServer;

/// <summary>The registry as one user sees it.</summary>
internal sealed class UserApi(Registry.Registry registry, User user) : IApi
{
    public Task<Stored> Get(ResourceKey key, string subresource, CancellationToken stop) => registry.Get(user, key, subresource);

    public Task<StoredList> List(ListRequest request, CancellationToken stop) => registry.List(user, request, stop);

    public IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, CancellationToken stop) => registry.Watch(user, request, stop);

    public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options, CancellationToken stop) =>
        registry.Create(user, key, json, options ?? new(), stop);

    public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options, CancellationToken stop) =>
        registry.Update(user, key, json, options ?? new(), stop);

    public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options, CancellationToken stop) =>
        registry.Patch(user, key, kind, patch, options ?? new(), stop);

    public Task<Stored> Delete(ResourceKey key, DeleteOptions? options, CancellationToken stop) => registry.Delete(user, key, options ?? new(), stop);
}
