using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry.Strategies;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>Which objects of a kind a list or watch is about.</summary>
internal sealed class Selection
{
    private readonly string? _namespace;
    private readonly LabelSelector _labels;
    private readonly FieldSelector _fields;

    /// <summary>Throws 400 for a field that the kind can not be selected by.</summary>
    public Selection(Kind kind, string? ns, LabelSelector labels, FieldSelector fields)
    {
        (_namespace, _labels, _fields) = (kind.Namespaced ? ns : null, labels, fields);
        var selectable = Strategy.Of(kind).SelectableFields;
        foreach (var requirement in fields.Requirements)
        {
            if (requirement.Field is "metadata.name" or "metadata.namespace" || selectable.Contains(requirement.Field)) continue;
            throw Status.BadRequest($"field label not supported: {requirement.Field}; {kind.Plural} can be selected by {string.Join(", ", ["metadata.name", "metadata.namespace", .. selectable])}");
        }
        if (kind.Namespaced && ns is null) Scope = ObjectName.Any;
        else Scope = new(_namespace ?? "", fields.Requirements.FirstOrDefault(x => x.Equal && x.Field == "metadata.name")?.Value ?? "");
    }

    /// <summary>The smallest scope of watchers that holds all it selects: an object, a namespace, or everything.</summary>
    public ObjectName Scope { get; }

    /// <summary>The places of all it may select, first to before the last.</summary>
    public (int From, int To) PlacesIn(ObjectSet objects) =>
        Scope.Name.Length > 0 ? (objects.Before(Scope), objects.Through(Scope)) : _namespace is null ? (0, objects.Count) : objects.OfNamespace(_namespace);

    public bool Selects(Selectable item)
    {
        if (_namespace is not null && item.Stored.Key.Namespace != _namespace) return false;
        foreach (var requirement in _fields.Requirements)
        {
            var value = requirement.Field switch
            {
                "metadata.name" => item.Stored.Key.Name,
                "metadata.namespace" => item.Stored.Key.Namespace,
                _ => item.Field(requirement.Field) is { Length: > 0 } text ? text : Absent(requirement.Field),
            };
            if (value == requirement.Value != requirement.Equal) return false;
        }
        return _labels.IsEverything || _labels.Matches(item.Labels);
    }

    /// <summary>What a member that is not written stands for: selectors compare booleans and numbers as text.</summary>
    private static string Absent(string field) => field switch
    {
        "spec.hostNetwork" or "spec.unschedulable" => "false",
        "status.replicas" or "status.successful" => "0",
        _ => "",
    };

    /// <summary>
    /// What a watcher of this selection sees of a change: an object that begins to match is Added, one that stops is Deleted, as it was while it
    /// matched but at the revision of the change (Kubernetes: watch cache, convertToWatchEvent).
    /// </summary>
    public WatchEvent? Event(in LogEntry entry)
    {
        if (_namespace is not null && entry.Object.Stored.Key.Namespace != _namespace) return null;
        var before = entry.Previous is not null && Selects(entry.Previous);
        var after = entry.Type != WatchEventType.Deleted && Selects(entry.Object);
        return (before, after) switch
        {
            (false, true) => new(WatchEventType.Added, entry.Object.Revision, entry.Object.Stored),
            (true, true) => new(WatchEventType.Modified, entry.Object.Revision, entry.Object.Stored),
            (true, false) when entry.Type == WatchEventType.Deleted => new(WatchEventType.Deleted, entry.Object.Revision, entry.Object.Stored),
            (true, false) => new(WatchEventType.Deleted, entry.Object.Revision, entry.Previous!.AsItLeft(entry.Object.Revision)),
            _ => null,
        };
    }
}
