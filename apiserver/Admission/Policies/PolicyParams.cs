using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Registry.Versions;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission.Policies;

/// <summary>The objects that a binding hands to its policy as <c>params</c> (Kubernetes: policy/generic, CollectParams).</summary>
/// <param name="Objects">One evaluation each; null = none are named, and <c>params</c> is null.</param>
/// <param name="Error">Why the binding can not be used; "" = it can.</param>
internal readonly record struct PolicyParams(IReadOnlyList<JsonObject?> Objects, string Error = "")
{
    /// <param name="kind">The policy's paramKind; null = it has none, and what the binding names does not matter.</param>
    /// <param name="ns">Of the request; "" = it is for an object of no namespace.</param>
    public static PolicyParams Of(RevisionLog log, Kind? kind, PolicyBinding binding, string ns)
    {
        if (kind is null || binding.Param is not { } wanted) return new([null]);
        if (!kind.Namespaced && wanted.Namespace.Length > 0) return new([], "paramRef.namespace must not be provided for a cluster-scoped `paramKind`");
        if (kind.Namespaced && wanted.Namespace.Length > 0) ns = wanted.Namespace;
        if (kind.Namespaced && ns.Length == 0) return new([], "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources");
        List<JsonObject?> found = [.. Find(log, CustomKind.StoredAs(ServedVersions.StoredAs(kind)), kind.Namespaced ? ns : "", wanted).Select(x => Canonical.Parse(ServedVersions.Served(x, kind).Json))];
        return found.Count == 0 && wanted.DeniesWithout ? new([], "no params found for policy binding with `Deny` parameterNotFoundAction") : new(found);
    }

    private static IEnumerable<Api.Stored> Find(RevisionLog log, Kind kind, string ns, ParamReference wanted)
    {
        if (wanted.Selector is not { } selector) return log.Get(new(kind, ns, wanted.Name)) is { } one ? [one.Stored] : [];
        return log.Snapshot(kind).Objects.Where(x => x.Key.Namespace == ns && selector.Matches(x.Value.Labels)).Select(x => x.Value.Stored);
    }
}
