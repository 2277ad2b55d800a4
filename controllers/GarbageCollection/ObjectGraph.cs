using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.GarbageCollection;

/// <summary>Who owns whom, over all kinds: the metadata of every object, as the informers show it.</summary>
internal sealed class ObjectGraph
{
    private const string ByOwner = "owner";

    private readonly IApi _api;
    private readonly Dictionary<Kind, Informer<ApiObject>> _views = [];

    public ObjectGraph(IApi api, TimeProvider time, Random random, ILogger logger, Action<Kind, Change<ApiObject>> onChange)
    {
        _api = api;
        foreach (var kind in StoredKinds.All)
        {
            if (kind.Equals(Kind.Event) || kind.Equals(Kind.Lease)) continue; // many, and never owned here
            var view = new Informer<ApiObject>(api, kind, Lean, time, random) { Logger = logger }
                .AddIndex(ByOwner, x => x.Metadata.OwnerReferences.Select(o => o.Uid).Distinct())
                .OnChange(change => onChange(kind, change));
            _views.Add(kind, view);
            Views.Add(view);
        }
    }

    public List<Informer> Views { get; } = [];

    public ApiObject? Find(ResourceKey key) => _views.TryGetValue(key.Kind, out var view) ? view.Get(key.Namespace, key.Name) : null;

    /// <summary>In the order of kinds, namespaces and names.</summary>
    public IReadOnlyList<Dependent> Dependents(string ownerUid)
    {
        var found = new List<Dependent>();
        foreach (var kind in StoredKinds.All)
        {
            if (!_views.TryGetValue(kind, out var view)) continue;
            foreach (var entry in view.EntriesByIndex(ByOwner, ownerUid)) found.Add(new(entry.Key, entry.Object));
        }
        return found;
    }

    /// <summary>Where an owner would be; null for a kind that this platform does not have, and for an owner in no namespace's reach.</summary>
    public static ResourceKey? KeyOf(OwnerReference owner, ResourceKey dependent)
    {
        if (StoredKinds.Find(owner.ApiVersion, owner.Kind) is not { } kind) return null;
        if (kind.Namespaced && !dependent.Kind.Namespaced) return null;
        return ResourceKey.Of(kind, dependent.Namespace, owner.Name);
    }

    /// <summary>Absence is never believed to a view, which may lag behind: the server is asked.</summary>
    public async Task<OwnerState> State(OwnerReference owner, ResourceKey dependent, CancellationToken stop)
    {
        if (KeyOf(owner, dependent) is not { } key) return OwnerState.Present; // what we do not know we do not judge
        if (Find(key) is { } seen && seen.Uid == owner.Uid) return StateOf(seen);
        try
        {
            var stored = await _api.Get(key, stop: stop);
            return stored.Uid == owner.Uid ? StateOf(Lean(stored.Json)) : OwnerState.Absent;
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return OwnerState.Absent;
        }
    }

    private static OwnerState StateOf(ApiObject owner) =>
        owner.Metadata.IsDeleting && owner.Metadata.Finalizers.Contains(GarbagePlan.Foreground) ? OwnerState.Waiting : OwnerState.Present;

    /// <summary>Labels and annotations are most of the bytes and nothing that counts here.</summary>
    private static ApiObject Lean(ReadOnlyMemory<byte> json)
    {
        var x = ApiObject.Read(json);
        return x with { Metadata = x.Metadata with { Labels = ObjectMeta.NoStrings, Annotations = ObjectMeta.NoStrings } };
    }
}
