using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission;

/// <summary>Which requests a webhook or policy is for: rules, and selectors of the namespace and of the object (admissionregistration.k8s.io/v1).</summary>
internal sealed class RequestMatch
{
    private readonly IReadOnlyList<OperationRule> _rules;
    private readonly IReadOnlyList<OperationRule> _excluded;
    private readonly LabelSelector _namespaces;
    private readonly LabelSelector _objects;
    private readonly bool _exact;

    private RequestMatch(JsonObject json, string rules)
    {
        _rules = Rules(json, rules);
        _excluded = Rules(json, "excludeResourceRules");
        _namespaces = Selector(json, "namespaceSelector");
        _objects = Selector(json, "objectSelector");
        _exact = json.Text("matchPolicy") == "Exact";
        AllResources = json.List(rules) is null;
    }

    /// <summary>No rules are given at all: a binding's matchResources then narrow nothing by them.</summary>
    private bool AllResources { get; }

    /// <param name="rules">The member with the rules: "rules" of a webhook, "resourceRules" of a policy.</param>
    public static RequestMatch Read(JsonObject json, string rules) => new(json, rules);

    /// <summary>
    /// The version of the kind in which the object is to be shown, or null where the request is not meant. With policy Equivalent a rule for
    /// another version of the same kind is met too.
    /// </summary>
    /// <param name="served">All kinds that are served.</param>
    public Kind? Find(AdmissionRequest request, RevisionLog log, IReadOnlyList<Kind> served)
    {
        if (_excluded.Any(x => x.Matches(request, request.Key.Kind))) return null;
        var kind = AllResources || _rules.Any(x => x.Matches(request, request.Key.Kind)) ? request.Key.Kind
            : _exact ? null
            : served.FirstOrDefault(x => x.Group == request.Key.Kind.Group && x.Plural == request.Key.Kind.Plural && _rules.Any(rule => rule.Matches(request, x)));
        return kind is not null && InNamespace(request, log) && IsSelected(request) ? kind : null;
    }

    private bool InNamespace(AdmissionRequest request, RevisionLog log)
    {
        if (_namespaces.IsEverything) return true;
        if (request.Key.Kind == Kind.Namespace) return _namespaces.Matches(Labels(request.Object ?? request.Old!));
        if (!request.Key.Kind.Namespaced) return true;
        return log.Get(new(Kind.Namespace, "", request.Key.Namespace)) is { } ns && _namespaces.Matches(ns.Labels);
    }

    private bool IsSelected(AdmissionRequest request) => _objects.IsEverything
        || (request.Object is { } wanted && _objects.Matches(Labels(wanted))) || (request.Old is { } old && _objects.Matches(Labels(old)));

    private static Dictionary<string, string> Labels(JsonObject json) =>
        Metadata.Of(json).Object("labels")?.Where(x => x.Value?.GetValueKind() == JsonValueKind.String).ToDictionary(x => x.Key, x => x.Value!.GetValue<string>(), StringComparer.Ordinal) ?? [];

    private static LabelSelector Selector(JsonObject json, string name) =>
        json.Object(name)?.Deserialize<LabelSelectorSpec>(JsonSerializerOptions.Web)?.ToSelector() ?? LabelSelector.Everything;

    private static List<OperationRule> Rules(JsonObject json, string name) => [.. json.List(name)?.OfType<JsonObject>().Select(OperationRule.Read) ?? []];
}

/// <summary>One rule; "*" stands for all. A resource is <c>pods</c>, <c>pods/status</c>, <c>pods/*</c>, <c>*/scale</c> or <c>*/*</c>; <c>*</c> means no subresource.</summary>
/// <param name="Names">Names of objects; none = all.</param>
internal sealed record OperationRule(IReadOnlyList<string> Operations, IReadOnlyList<string> Groups, IReadOnlyList<string> Versions, IReadOnlyList<string> Resources, string Scope, IReadOnlyList<string> Names)
{
    public static OperationRule Read(JsonObject json) =>
        new(Texts(json, "operations"), Texts(json, "apiGroups"), Texts(json, "apiVersions"), Texts(json, "resources"), json.Text("scope"), Texts(json, "resourceNames"));

    public bool Matches(AdmissionRequest request, Kind kind) =>
        Has(Operations, request.Operation) && Has(Groups, kind.Group) && Has(Versions, kind.Version) && InScope(kind)
        && (Names.Count == 0 || Names.Contains(request.Key.Name)) && Resources.Any(x => IsResource(x, kind.Plural, request.Subresource));

    public static List<string> Texts(JsonObject json, string name) =>
        [.. json.List(name)?.Where(x => x?.GetValueKind() == JsonValueKind.String).Select(x => x!.GetValue<string>()) ?? []];

    private bool InScope(Kind kind) => Scope switch { "Namespaced" => kind.Namespaced, "Cluster" => !kind.Namespaced, _ => true };

    private static bool Has(IReadOnlyList<string> list, string value) => list.Contains("*") || list.Contains(value);

    private static bool IsResource(string rule, string plural, string subresource)
    {
        var slash = rule.IndexOf('/', StringComparison.Ordinal);
        var (resource, below) = slash < 0 ? (rule, "") : (rule[..slash], rule[(slash + 1)..]);
        return (resource == "*" || resource == plural) && (below == "*" || below == subresource);
    }
}
