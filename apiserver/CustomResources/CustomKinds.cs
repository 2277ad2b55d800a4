using System.Collections.Frozen;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Storage;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.CustomResources;

/// <summary>
/// The kinds that are served now: the built-in table and the versions of every established CustomResourceDefinition. Derived from the
/// stored definitions alone, whenever these have changed, so several API servers over one store agree.
/// </summary>
internal sealed class CustomKinds(RevisionLog log, ILogger logger)
{
    private readonly Lock _gate = new();
    private ObjectSet? _seen;
    private Dictionary<Stored, CustomDefinition?> _definitions = new(ReferenceEqualityComparer.Instance); // null = can not be served
    private State _state = new([], FrozenDictionary<(string, string, string), CustomKind>.Empty, Kind.All);

    public IReadOnlyList<CustomDefinition> Definitions => Current().Definitions;

    /// <summary>All rows; the same list as long as no definition changes.</summary>
    public IReadOnlyList<Kind> All => Current().All;

    public CustomKind? Find(string group, string version, string plural) => Current().ByPlural.GetValueOrDefault((group, version, plural));

    public Kind? FindByName(string apiVersion, string name) =>
        Kind.FindByName(apiVersion, name) ?? Current().All.FirstOrDefault(x => !x.IsBuiltIn && x.Name == name && x.ApiVersion == apiVersion);

    /// <summary>The row that a caller's kind means. Throws 404 for a kind that is not served.</summary>
    public Kind Resolve(Kind kind) => kind.IsBuiltIn ? kind
        : Find(kind.Group, kind.Version, kind.Plural)
            ?? (Kind)(Definitions.FirstOrDefault(x => x.Stored == kind)?.Versions.FirstOrDefault() ?? throw Status.PageNotFound());

    public ResourceKey Resolve(ResourceKey key)
    {
        if (key.Kind.IsBuiltIn) return key;
        var kind = Resolve(key.Kind);
        return ResourceKey.Of(kind, key.Namespace, key.Name);
    }

    private State Current()
    {
        var (objects, _) = log.Snapshot(Kind.CustomResourceDefinition);
        lock (_gate)
        {
            if (!ReferenceEquals(objects, _seen))
            {
                _state = Build(objects);
                _seen = objects;
            }
            return _state;
        }
    }

    private State Build(ObjectSet objects)
    {
        var definitions = new Dictionary<Stored, CustomDefinition?>(ReferenceEqualityComparer.Instance);
        foreach (var (_, item) in objects) definitions.Add(item.Stored, _definitions.TryGetValue(item.Stored, out var known) ? known : TryRead(item.Stored));
        _definitions = definitions;
        List<CustomDefinition> all = [.. definitions.Values.OfType<CustomDefinition>().OrderBy(x => x.Name, StringComparer.Ordinal)];
        var kinds = all.Where(x => x.IsEstablished).SelectMany(x => x.Versions).ToList();
        return new(all, kinds.ToFrozenDictionary(x => (x.Group, x.Version, x.Plural)), [.. Kind.All, .. kinds]);

        // What an older server has accepted may be more than this one understands; its kind is then not served.
        CustomDefinition? TryRead(Stored stored)
        {
            try
            {
                return CustomDefinition.Read(stored);
            }
            catch (ArgumentException e)
            {
                logger.NotServed(stored.Key.Name, e.Message);
                return null;
            }
        }
    }

    private sealed record State(IReadOnlyList<CustomDefinition> Definitions, FrozenDictionary<(string, string, string), CustomKind> ByPlural, IReadOnlyList<Kind> All);
}
