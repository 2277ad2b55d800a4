using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.CustomResources;

/// <summary>The status of a CustomResourceDefinition: which names it got, and whether it is served. Pure.</summary>
internal static class DefinitionStatus
{
    /// <summary>Writes the status that a definition has beside the others; what does not change keeps its times.</summary>
    public static void Set(JsonObject json, IEnumerable<CustomDefinition> all, DateTimeOffset now)
    {
        var spec = json.Object("spec") ?? [];
        var names = spec.Object("names") ?? [];
        var status = json.Need("status");
        var (reason, message) = Conflict(Metadata.Name(json), spec.Text("group"), names, all);
        var accepted = message.Length == 0;
        if (accepted) status["acceptedNames"] = names.DeepClone();
        else status.Default("acceptedNames", new JsonObject { ["plural"] = "", ["kind"] = "" });
        var established = accepted || Is(json, "Established");
        var conditions = status.List("conditions") is { } present ? present : [];
        status["conditions"] = conditions;
        Condition(conditions, "NamesAccepted", accepted, accepted ? "NoConflicts" : reason, accepted ? "no conflicts found" : message, now);
        Condition(conditions, "Established", established, established ? "InitialNamesAccepted" : "NotAccepted",
            established ? "the initial names have been accepted" : "not all names are accepted", now);
        if (Metadata.IsDeleting(json)) Condition(conditions, "Terminating", true, "InstanceDeletionInProgress", "CustomResource deletion is in progress", now);

        if (status.List("storedVersions") is not { } stored) status["storedVersions"] = stored = [];
        var storage = spec.List("versions")?.OfType<JsonObject>().FirstOrDefault(x => x.Flag("storage"))?.Text("name") ?? "";
        if (storage.Length > 0 && !stored.Any(x => x!.GetValue<string>() == storage)) stored.Add(storage);
    }

    public static bool Is(JsonObject json, string condition) =>
        json.Object("status")?.List("conditions")?.OfType<JsonObject>().Any(x => x.Text("type") == condition && x.Text("status") == "True") == true;

    /// <summary>Who already has one of the names; an accepted definition keeps its names against one that comes later.</summary>
    private static (string Reason, string Message) Conflict(string name, string group, JsonObject names, IEnumerable<CustomDefinition> all)
    {
        var wanted = Words(names);
        foreach (var kind in Kind.All.Where(x => x.Group == group))
        {
            if (Clash(wanted, names.Text("kind"), [kind.Plural, kind.Singular, .. kind.ShortNames], kind.Name) is { } clash) return clash;
        }
        foreach (var other in all.Where(x => x.Group == group && x.Name != name && Is(x.Json, "NamesAccepted")))
        {
            if (Clash(wanted, names.Text("kind"), [.. Words(other.Names).Select(x => x.Word)], other.Names.Text("kind")) is { } clash) return clash;
        }
        return ("", "");
    }

    private static (string, string)? Clash(List<(string Reason, string Word)> wanted, string kind, List<string> taken, string takenKind)
    {
        foreach (var (reason, word) in wanted)
        {
            if (taken.Contains(word)) return (reason, $"\"{word}\" is already in use");
        }
        return kind == takenKind ? ("KindConflict", $"\"{kind}\" is already in use") : null;
    }

    private static List<(string Reason, string Word)> Words(JsonObject names) =>
    [
        ("PluralConflict", names.Text("plural")),
        ("SingularConflict", names.Text("singular")),
        .. names.List("shortNames")?.OfType<JsonValue>().Select(x => ("ShortNamesConflict", x.GetValue<string>())) ?? [],
    ];

    private static void Condition(JsonArray conditions, string type, bool holds, string reason, string message, DateTimeOffset now)
    {
        var status = holds ? "True" : "False";
        var found = conditions.OfType<JsonObject>().FirstOrDefault(x => x.Text("type") == type);
        if (found is null) conditions.Add(found = new JsonObject { ["type"] = type });
        if (found.Text("status") != status) found["lastTransitionTime"] = Metadata.Time(now);
        found["status"] = status;
        found["reason"] = reason;
        found["message"] = message;
    }
}
