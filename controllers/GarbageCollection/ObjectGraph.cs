using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Traffic;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.GarbageCollection;

/// <summary>
/// Who owns whom, over all kinds: the metadata of every object, as the informers show it. The views of built-in kinds are there from the start;
/// those of custom kinds begin and end with their definitions.
/// </summary>
internal sealed class ObjectGraph
{
    private const string ByOwner = "owner";

    private readonly IApi _api;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger _logger;
    private readonly Action<Kind, Change<ApiObject>> _onChange;
    private readonly List<Informer<ApiObject>> _builtIn = [];
    private readonly Dictionary<Kind, Informer<ApiObject>> _byKind = [];
    private readonly Informer<CustomResourceDefinition> _definitions;
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, CustomView> _custom = new(StringComparer.Ordinal);
    private volatile bool _followsAll;

    public ObjectGraph(IApi api, TimeProvider time, Random random, ILogger logger, Action<Kind, Change<ApiObject>> onChange)
    {
        (_api, _time, _random, _logger, _onChange) = (api, time, random, logger, onChange);
        foreach (var kind in StoredKinds.BuiltIn)
        {
            if (kind.Equals(Kind.Event) || kind.Equals(Kind.Lease)) continue; // many, and never owned here
            _builtIn.Add(_byKind[kind] = View(kind));
        }
        _definitions = new(api, Kind.CustomResourceDefinition, CustomResourceDefinition.Read, time, random) { Logger = logger };
    }

    /// <summary>The views of built-in kinds and of the definitions.</summary>
    public IReadOnlyList<Informer> Views => [.. _builtIn, _definitions];

    /// <summary>False while a definition is known whose objects are not: then nothing can be said to have no dependents.</summary>
    public bool KnowsAll
    {
        get
        {
            lock (_gate) return _followsAll && _custom.Values.All(x => x.View.HasSynced);
        }
    }

    /// <summary>Begins and ends the views of custom kinds until stopped. Its owner awaits it.</summary>
    public async Task FollowDefinitions(CancellationToken stop)
    {
        using var signal = new Signal(_time);
        _definitions.OnChange(_ =>
        {
            _followsAll = false;
            signal.Set();
        });
        using var stopping = stop.Register(signal.Set);
        var ending = new List<Task>();
        while (!stop.IsCancellationRequested)
        {
            // The mark first: a definition that changes from here on takes it away again.
            _followsAll = _definitions.HasSynced;
            Dictionary<string, Kind> wanted = [];
            foreach (var definition in _definitions.List())
            {
                if (definition.Served() is { } kind) wanted[definition.Name] = kind;
            }
            ending.AddRange(End(x => !wanted.TryGetValue(x.Name, out var kind) || kind != x.View.Kind));
            ending.RemoveAll(x => x.IsCompletedSuccessfully);
            foreach (var (name, kind) in wanted) Begin(name, kind);
            await signal.Wait(_time.GetUtcNow() + (_definitions.HasSynced ? TimeSpan.FromHours(1) : TimeSpan.FromMilliseconds(100)));
        }
        ending.AddRange(End(_ => true));
        foreach (var task in ending) await task;
    }

    public ApiObject? Find(ResourceKey key) =>
        (_byKind.GetValueOrDefault(key.Kind) ?? All().FirstOrDefault(x => x.Kind == key.Kind))?.Get(key.Namespace, key.Name);

    /// <summary>In the order of kinds, namespaces and names.</summary>
    public IReadOnlyList<Dependent> Dependents(string ownerUid)
    {
        var found = new List<Dependent>();
        foreach (var view in All())
        {
            foreach (var entry in view.EntriesByIndex(ByOwner, ownerUid)) found.Add(new(ResourceKey.Of(view.Kind, entry.Key.Namespace, entry.Key.Name), entry.Object));
        }
        return found;
    }

    /// <summary>Where an owner would be; null for a kind that this platform does not have, and for an owner in no namespace's reach.</summary>
    public ResourceKey? KeyOf(OwnerReference owner, ResourceKey dependent)
    {
        if ((StoredKinds.Find(owner.ApiVersion, owner.Kind) ?? FindCustom(owner)) is not { } kind) return null;
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

    private Informer<ApiObject> View(Kind kind) => new Informer<ApiObject>(_api, kind, Lean, _time, _random) { Logger = _logger }
        .AddIndex(ByOwner, x => x.Metadata.OwnerReferences.Select(o => o.Uid).Distinct())
        .OnChange(change => _onChange(kind, change));

    private IEnumerable<Informer<ApiObject>> All()
    {
        lock (_gate) return [.. _builtIn, .. _custom.Values.Select(x => x.View)];
    }

    private void Begin(string name, Kind kind)
    {
        lock (_gate)
        {
            if (_custom.ContainsKey(name)) return;
            var stop = new CancellationTokenSource();
            var view = View(kind);
            _custom.Add(name, new(name, view, stop, view.Run(stop.Token)));
        }
    }

    /// <summary>What a view that ends has shown is gone: whoever waits for it is looked at again.</summary>
    private List<Task> End(Func<CustomView, bool> which)
    {
        List<CustomView> ended;
        lock (_gate)
        {
            ended = [.. _custom.Values.Where(which)];
            foreach (var x in ended) _custom.Remove(x.Name);
        }
        var ending = new List<Task>();
        foreach (var x in ended)
        {
            x.Stop.Cancel();
            foreach (var gone in x.View.List()) _onChange(x.View.Kind, new(gone, null, x.View.Revision));
            ending.Add(x.Running);
        }
        return ending;
    }

    // An owner may be named in any version of its kind.
    private Kind? FindCustom(OwnerReference owner)
    {
        var group = owner.ApiVersion.Split('/')[0];
        return All().Select(x => x.Kind).FirstOrDefault(x => !x.IsBuiltIn && x.Group == group && x.Name == owner.Kind);
    }

    private static OwnerState StateOf(ApiObject owner) =>
        owner.Metadata.IsDeleting && owner.Metadata.Finalizers.Contains(GarbagePlan.Foreground) ? OwnerState.Waiting : OwnerState.Present;

    /// <summary>Labels and annotations are most of the bytes and nothing that counts here.</summary>
    private static ApiObject Lean(ReadOnlyMemory<byte> json)
    {
        var x = ApiObject.Read(json);
        return x with { Metadata = x.Metadata with { Labels = ObjectMeta.NoStrings, Annotations = ObjectMeta.NoStrings } };
    }

    private sealed record CustomView(string Name, Informer<ApiObject> View, CancellationTokenSource Stop, Task Running);
}
