using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Sim;

/// <summary>The table "one writer per field" of docs/architecture.md as a check of every revision.</summary>
internal static class OneWriter
{
    private const string Rule = "one writer per field";

    private sealed record Row(Kind Kind, string Path, string Writer)
    {
        public byte[][] Names { get; } = [.. Path.Split('.').Select(Encoding.UTF8.GetBytes)];
    }

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
        new(Kind.StatefulSet, "spec", User.Admin.Name),
        new(Kind.StatefulSet, "status", Controllers),
        new(Kind.DaemonSet, "spec", User.Admin.Name),
        new(Kind.DaemonSet, "status", Controllers),
        new(Kind.ReplicationController, "spec", User.Admin.Name),
        new(Kind.ReplicationController, "status", Controllers),
        new(Kind.Job, "status", Controllers),
        new(Kind.CronJob, "spec", User.Admin.Name),
        new(Kind.CronJob, "status", Controllers),
        new(Kind.Service, "spec", User.Admin.Name),
        new(Kind.Service, "status", Lb),
        new(Kind.PersistentVolumeClaim, "status", Controllers),
        new(Kind.PersistentVolumeClaim, "spec.resources", User.Admin.Name),
        new(Kind.PersistentVolume, "status", Controllers),
        new(Kind.PersistentVolume, "spec.capacity", Placement),
    ];

    /// <param name="before">The revision before, of the same object; null where the object was made by this write.</param>
    public static void Check(ResourceKey key, Part writer, string subresource, ReadOnlyMemory<byte>? before, ReadOnlyMemory<byte> after, Action<string, string> violated)
    {
        var user = writer.User.Name;
        if (key.Kind == Kind.EndpointSlice && user != Controllers && EndpointSlice.Read(after).Metadata.Labels.GetValueOrDefault(EndpointSlice.ManagedByLabel) == EndpointSlice.OurManager)
        {
            violated(Rule, $"{key} is written by {user}");
        }
        if (key.Kind == Kind.TrafficReport)
        {
            var expected = key.Name.StartsWith("lb-", StringComparison.Ordinal) ? Lb : key.Name.StartsWith("dns-", StringComparison.Ordinal) ? Dns : Controllers;
            if (user != expected) violated(Rule, $"{key} is written by {user}");
        }
        if (before is not { } old) return;
        foreach (var row in Rows)
        {
            if (subresource.Length == 0 && row.Path.StartsWith("status", StringComparison.Ordinal)) continue;
            if (row.Kind == key.Kind && row.Writer != user && !Same(At(old, row.Names), At(after, row.Names))) violated(Rule, $"{key} {row.Path} is changed by {user} ({writer.Name})");
        }
    }

    private static bool Same(ReadOnlyMemory<byte> a, ReadOnlyMemory<byte> b) =>
        a.Span.SequenceEqual(b.Span) || a.Length > 0 && b.Length > 0 && JsonNode.DeepEquals(JsonNode.Parse(a.Span), JsonNode.Parse(b.Span));

    /// <summary>The bytes of a value within an object; empty where there is none.</summary>
    private static ReadOnlyMemory<byte> At(ReadOnlyMemory<byte> json, byte[][] path)
    {
        var reader = new Utf8JsonReader(json.Span);
        reader.Read();
        foreach (var name in path)
        {
            if (reader.TokenType != JsonTokenType.StartObject) return default;
            while (true)
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.EndObject) return default;
                var found = reader.ValueTextEquals(name);
                reader.Read();
                if (found) break;
                reader.Skip();
            }
        }
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return json[start..(int)reader.BytesConsumed];
    }
}
