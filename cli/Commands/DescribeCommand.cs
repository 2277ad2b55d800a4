using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.Cli.Verbs;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative describe</c>: one object for a reader, with its pods where it selects some, and its events.</summary>
internal static class DescribeCommand
{
    /// <summary>Of metadata: what only programs read.</summary>
    private static readonly string[] Hidden = ["name", "namespace", "labels", "annotations", "managedFields"];

    public static Command Make(Machine machine)
    {
        var what = Verb.What("KIND, KIND NAME or KIND/NAME");
        return new Command("describe", "Show objects in full, with their events.") { what }.With(machine, async (session, parsed, stop) =>
        {
            var objects = new List<Stored>();
            foreach (var target in Target.Parse(parsed.GetValue(what)!))
            {
                if (target.Name is { } name) objects.Add(await session.Api.Get(session.Key(target.Kind, name), stop: stop));
                else objects.AddRange((await session.Api.List(new(target.Kind, session.Namespace), stop)).Items);
            }
            if (objects.Count == 0) await session.Errors.WriteLineAsync($"No resources found in {session.Namespace} namespace.");
            for (var i = 0; i < objects.Count; i++) await session.Out.WriteAsync((i > 0 ? "\n\n" : "") + await Text(session, objects[i], stop));
            return 0;
        });
    }

    private static async Task<string> Text(Session session, Stored stored, CancellationToken stop)
    {
        var (kind, json) = (stored.Key.Kind, Output.Shown(stored));
        var metadata = json["metadata"]!.AsObject();
        var about = ApiObject.Read(stored.Json).Metadata;
        var text = new StringBuilder();
        Field(text, 0, "Name", about.Name);
        if (kind.Namespaced) Field(text, 0, "Namespace", about.Namespace);
        Lines(text, "Labels", about.Labels.Select(x => $"{x.Key}={x.Value}"));
        Lines(text, "Annotations", about.Annotations.Where(x => x.Key is not ClientApply.Annotation).Select(x => $"{x.Key}: {x.Value.TrimEnd().Replace("\n", "\n                ", StringComparison.Ordinal)}"));
        if (kind == Kind.Secret) HideValues(json);
        foreach (var name in Hidden) metadata.Remove(name);
        var type = TypeTable.Kind(kind.Group, kind.Version, kind.Name);
        foreach (var (name, value) in json) Tree(text, 0, name, value, type.Find(name)?.Type, isField: true);
        if (kind == Kind.Deployment || kind == Kind.ReplicaSet || kind == Kind.Service)
        {
            var pods = await PodsOf.Select(session with { Namespace = about.Namespace }, kind, about.Name, stop);
            Lines(text, "Pods", pods.Select(x => $"{x.Name}  {x.Status.Phase}{(x.IsReady ? ", ready" : ", not ready")}{(x.Spec.NodeName.Length > 0 ? $", on {x.Spec.NodeName}" : "")}"));
        }
        var events = await ObjectEvents.Of(session, kind, about, stop);
        text.Append("Events:").Append(events.Count == 0 ? "  <none>\n" : "\n");
        var now = session.Machine.Time.GetUtcNow();
        foreach (var e in events) text.Append(CultureInfo.InvariantCulture, $"  {e.Type,-8} {e.Reason,-20} {Age(now - e.LastSeen) + (e.Count > 1 ? $" (x{e.Count})" : ""),-10} {e.From,-14} {e.Message}\n");
        return text.ToString();
    }

    private static void HideValues(JsonObject secret)
    {
        if (secret["data"] is not JsonObject data) return;
        foreach (var name in data.Select(x => x.Key).ToList()) data[name] = string.Create(CultureInfo.InvariantCulture, $"{Convert.FromBase64String(data[name]!.GetValue<string>()).Length} bytes");
    }

    /// <param name="isField">False for the key of a map, which is shown as it is.</param>
    private static void Tree(StringBuilder text, int indent, string name, JsonNode? value, TypeRef? type, bool isField)
    {
        var title = isField ? Title(name) : name;
        switch (value)
        {
            case JsonObject map:
                text.Append(' ', indent).Append(title).Append(':').Append(map.Count == 0 ? "  <none>\n" : "\n");
                foreach (var (key, member) in map) Tree(text, indent + 2, key, member, Member(type, key), type?.Shape == Shape.Object);
                break;
            case JsonArray list when list.All(x => x is JsonValue):
                Field(text, indent, title, string.Join(", ", list.Select(x => x!.ToString())));
                break;
            case JsonArray list:
                text.Append(' ', indent).Append(title).Append(":\n");
                for (var i = 0; i < list.Count; i++)
                {
                    if (list[i] is not JsonObject item) continue;
                    // What names an element stands above it.
                    var named = item["name"] ?? item["type"] ?? item["ip"];
                    text.Append(' ', indent + 2).Append("- ").Append(named?.ToString() ?? (i + 1).ToString(CultureInfo.InvariantCulture)).Append('\n');
                    foreach (var (key, member) in item) if (!ReferenceEquals(member, named)) Tree(text, indent + 4, key, member, Member(type?.Item, key), type?.Item?.Shape == Shape.Object);
                }
                break;
            default:
                Field(text, indent, title, value?.ToString() ?? "<none>");
                break;
        }
    }

    private static TypeRef? Member(TypeRef? type, string name) => type?.Shape == Shape.Object ? type.Type.Find(name)?.Type : type?.Item;

    private static void Field(StringBuilder text, int indent, string title, string value) =>
        text.Append(' ', indent).Append((title + ":").PadRight(Math.Max(title.Length + 3, 16 - indent))).Append(value.Contains('\n', StringComparison.Ordinal) ? "\n" + Indented(value, indent + 2) : value).Append('\n');

    private static string Indented(string value, int indent) => string.Join('\n', value.TrimEnd('\n').Split('\n').Select(x => new string(' ', indent) + x));

    private static void Lines(StringBuilder text, string title, IEnumerable<string> values)
    {
        var isFirst = true;
        foreach (var value in values.DefaultIfEmpty("<none>"))
        {
            text.Append((isFirst ? title + ":" : "").PadRight(16)).Append(value).Append('\n');
            isFirst = false;
        }
    }

    /// <summary><c>readinessProbe</c> as <c>Readiness Probe</c>.</summary>
    private static string Title(string name)
    {
        if (name.Length == 0) return name;
        var title = new StringBuilder().Append(char.ToUpperInvariant(name[0]));
        for (var i = 1; i < name.Length; i++)
        {
            if (char.IsAsciiLetterUpper(name[i]) && !char.IsAsciiLetterUpper(name[i - 1])) title.Append(' ');
            title.Append(name[i]);
        }
        return title.ToString();
    }

    private static string Age(TimeSpan age) => age.TotalDays >= 2 ? $"{(int)age.TotalDays}d" : age.TotalHours >= 2 ? $"{(int)age.TotalHours}h" : age.TotalMinutes >= 2 ? $"{(int)age.TotalMinutes}m" : $"{Math.Max(0, (int)age.TotalSeconds)}s";
}
