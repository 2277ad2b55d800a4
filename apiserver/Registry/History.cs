using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>Which writes are part of an object's history: those of what users declare.</summary>
internal static class History
{
    /// <summary>Of these kinds each object is a report of what is, many a second.</summary>
    private static readonly Kind[] Reports = [Kind.Event, Kind.Lease, Kind.EndpointSlice, Kind.Endpoints, Kind.TrafficReport];

    /// <summary>null for a write that is none: of a report, or of what a controller makes out of another object.</summary>
    public static Origin? Of(User user, string manager, string verb, Kind kind, JsonObject json, TimeProvider time) =>
        Reports.Contains(kind) || IsControlled(json) ? null : new(time.GetUtcNow(), user.Name, manager, verb);

    private static bool IsControlled(JsonObject json) =>
        json["metadata"]?["ownerReferences"] is JsonArray owners && owners.Any(x => x?["controller"] is JsonValue value && value.TryGetValue<bool>(out var controls) && controls);
}
