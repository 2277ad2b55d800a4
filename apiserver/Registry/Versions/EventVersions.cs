using System.Text.Json.Nodes;

namespace Declarative.ApiServer.Registry.Versions;

/// <summary>events.k8s.io names some fields of an Event otherwise than the core group (Kubernetes: pkg/apis/events/v1 conversion).</summary>
internal static class EventVersions
{
    private static readonly (string Core, string Group)[] Renamed =
    [
        ("involvedObject", "regarding"),
        ("message", "note"),
        ("reportingComponent", "reportingController"),
        ("source", "deprecatedSource"),
        ("firstTimestamp", "deprecatedFirstTimestamp"),
        ("lastTimestamp", "deprecatedLastTimestamp"),
        ("count", "deprecatedCount"),
    ];

    public static void ToCore(JsonObject json)
    {
        foreach (var (core, group) in Renamed) Move(json, group, core);
    }

    public static void FromCore(JsonObject json)
    {
        foreach (var (core, group) in Renamed) Move(json, core, group);
    }

    private static void Move(JsonObject json, string from, string to)
    {
        if (!json.Remove(from, out var value) || value is null) return;
        json[to] = value;
    }
}
