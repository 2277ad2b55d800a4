using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Sim;

/// <summary>The table "one writer per field" of docs/architecture.md as a check of every revision.</summary>
internal static class OneWriter
{
    private sealed record Row(Kind Kind, string Path, params string[] Writers);

    private static readonly string Controllers = User.Controllers.Name;
    private static readonly string Placement = User.Placement.Name;
    private static readonly string Lb = User.Lb.Name;
    private static readonly string Dns = User.Dns.Name;

    /// <summary>Fields that only the named users change once the object exists. A user's own fields stand here too: no part may change what users want.</summary>
    private static readonly Row[] Rows =
    [
        new(Kind.Pod, "spec.nodeName", Placement),
        new(Kind.Pod, "status", Placement),
        new(Kind.Pod, "spec.containers", User.Admin.Name),
        new(Kind.Node, "status", Placement),
        new(Kind.Node, "spec.unschedulable", User.Admin.Name),
        new(Kind.Deployment, "spec", User.Admin.Name),
        new(Kind.Deployment, "status", Controllers),
        new(Kind.ReplicaSet, "status", Controllers),
        new(Kind.ReplicaSet, "spec", Controllers),
        new(Kind.Service, "spec", User.Admin.Name),
        new(Kind.Service, "status", Lb),
    ];

    public static void Check(ResourceKey key, Part writer, JsonObject? before, JsonObject after, Action<string, string> violated)
    {
        const string rule = "one writer per field";
        var user = writer.User.Name;
        if (key.Kind == Kind.EndpointSlice && Text(after, "metadata.labels", EndpointSlice.ManagedByLabel) == EndpointSlice.OurManager && user != Controllers)
        {
            if (writer.Name != "user") violated(rule, $"{key} is written by {user}");
        }
        if (key.Kind == Kind.TrafficReport)
        {
            var expected = key.Name.StartsWith("lb-", StringComparison.Ordinal) ? Lb : key.Name.StartsWith("dns-", StringComparison.Ordinal) ? Dns : Controllers;
            if (user != expected) violated(rule, $"{key} is written by {user}");
        }
        if (before is null || Text(before, "metadata", "uid") != Text(after, "metadata", "uid")) return;
        foreach (var row in Rows)
        {
            if (row.Kind != key.Kind || row.Writers.Contains(user)) continue;
            if (!JsonNode.DeepEquals(At(before, row.Path), At(after, row.Path))) violated(rule, $"{key} {row.Path} is changed by {user} ({writer.Name})");
        }
    }

    private static JsonNode? At(JsonObject json, string path)
    {
        JsonNode? node = json;
        foreach (var name in path.Split('.')) node = (node as JsonObject)?[name];
        return node;
    }

    private static string Text(JsonObject json, string path, string name) => (At(json, path) as JsonObject)?[name]?.GetValue<string>() ?? "";
}
