using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Cli.Verbs;

internal sealed record EventLine(string Type, string Reason, string Message, string From, int Count, DateTimeOffset LastSeen);

/// <summary>The events about one object, the oldest first.</summary>
internal static class ObjectEvents
{
    private const string Name = "involvedObject.name", KindName = "involvedObject.kind";

    public static async Task<IReadOnlyList<EventLine>> Of(Session session, Kind kind, ObjectMeta about, CancellationToken stop)
    {
        // Events about objects of no namespace stand in default.
        var ns = kind.Namespaced ? about.Namespace : "default";
        var listed = await session.Api.List(new(Kind.Event, ns) { Fields = FieldSelector.Parse($"{Name}={about.Name},{KindName}={kind.Name}") }, stop);
        return [.. listed.Items.Select(x => JsonNode.Parse(x.Json.Span)!).Where(x => Text(x["involvedObject"]?["uid"]) is var uid && (uid == about.Uid || uid.Length == 0 || uid == about.Name)).Select(Line).OrderBy(x => x.LastSeen)];
    }

    private static EventLine Line(JsonNode x)
    {
        var time = new[] { x["lastTimestamp"], x["series"]?["lastObservedTime"], x["eventTime"], x["metadata"]?["creationTimestamp"] }.Select(Text).FirstOrDefault(y => y.Length > 0);
        var from = Text(x["source"]?["component"]) is { Length: > 0 } component ? component : Text(x["reportingComponent"]);
        return new(Text(x["type"]), Text(x["reason"]), Text(x["message"]), from, x["count"]?.GetValue<int>() ?? 1, time is null ? DateTimeOffset.UnixEpoch : DateTimeOffset.Parse(time, CultureInfo.InvariantCulture));
    }

    private static string Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";
}
