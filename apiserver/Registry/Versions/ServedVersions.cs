using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry.Versions;

/// <summary>
/// Kinds that are other versions of the same objects: they are stored once, in the newest version, and converted where they are read or
/// written in another. What a version can not say is kept in its annotations, so that reading and writing back loses nothing.
/// </summary>
internal static class ServedVersions
{
    private sealed record Row(Kind Stored, Action<JsonObject> ToStored, Action<JsonObject> FromStored);

    private static readonly FrozenDictionary<Kind, Row> Table = new Dictionary<Kind, Row>
    {
        [Find("autoscaling", "v1", "horizontalpodautoscalers")] = new(Find("autoscaling", "v2", "horizontalpodautoscalers"), AutoscalerVersions.ToV2, AutoscalerVersions.ToV1),
        [Find("batch", "v1beta1", "cronjobs")] = Same("batch", "v1", "cronjobs"),
        [Find("policy", "v1beta1", "poddisruptionbudgets")] = Same("policy", "v1", "poddisruptionbudgets"),
        [Find("discovery.k8s.io", "v1beta1", "endpointslices")] = new(Kind.EndpointSlice, SliceVersions.ToV1, SliceVersions.ToV1Beta1),
        [Find("networking.k8s.io", "v1beta1", "ingresses")] = new(Kind.Ingress, IngressVersions.ToV1, IngressVersions.ToV1Beta1),
        [Find("networking.k8s.io", "v1beta1", "ingressclasses")] = Same("networking.k8s.io", "v1", "ingressclasses"),
        [Find("events.k8s.io", "v1", "events")] = new(Kind.Event, EventVersions.ToCore, EventVersions.FromCore),
        [Find("events.k8s.io", "v1beta1", "events")] = new(Kind.Event, EventVersions.ToCore, EventVersions.FromCore),
    }.ToFrozenDictionary();

    // A revision's other form is made where it is first asked for and lives as long as the revision itself is referred to.
    private static readonly FrozenDictionary<Kind, ConditionalWeakTable<Stored, Stored>> Made = Table.Keys.ToFrozenDictionary(x => x, _ => new ConditionalWeakTable<Stored, Stored>());

    /// <summary>The kind that objects of this kind are stored as.</summary>
    public static Kind StoredAs(Kind kind) => Table.TryGetValue(kind, out var row) ? row.Stored : kind;

    public static ResourceKey StoredAs(ResourceKey key) => Table.TryGetValue(key.Kind, out var row) ? key with { Kind = row.Stored } : key;

    /// <summary>A client's object in the form that is stored; the object itself is changed.</summary>
    public static JsonObject ToStored(JsonObject json, Kind served)
    {
        if (!Table.TryGetValue(served, out var row)) return json;
        row.ToStored(json);
        json["apiVersion"] = row.Stored.ApiVersion;
        json["kind"] = row.Stored.Name;
        return json;
    }

    /// <summary>A stored object in the form that the client asked for.</summary>
    public static Stored Served(Stored stored, Kind served)
    {
        if (stored.Key.Kind == served || !Table.ContainsKey(served)) return stored;
        return Made[served].GetValue(stored, x => Convert(x, served));
    }

    private static Stored Convert(Stored stored, Kind served)
    {
        var json = Canonical.Parse(stored.Json);
        Table[served].FromStored(json);
        var bytes = Canonical.Bytes(json, served);
        return stored with { Key = stored.Key with { Kind = served }, Json = stored.Revision == 0 ? bytes : StoredJson.WithRevision(bytes, stored.Revision) };
    }

    private static Row Same(string group, string version, string plural) => new(Find(group, version, plural), _ => { }, _ => { });

    private static Kind Find(string group, string version, string plural) => Kind.Find(group, version, plural)!;
}
