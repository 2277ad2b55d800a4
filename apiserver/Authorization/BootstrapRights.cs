using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Authorization;

/// <summary>
/// What a stored role or binding lacks of the one that a new cluster has (Kubernetes doc "Using RBAC Authorization", auto-reconciliation): a newer
/// release adds what its parts need, and takes away nothing that was given.
/// </summary>
internal static class BootstrapRights
{
    /// <summary>"true" on each role and binding that a new cluster has; "false" keeps it as it is (rbac/v1, AutoUpdateAnnotationKey).</summary>
    public const string AutoUpdate = "rbac.authorization.kubernetes.io/autoupdate";

    /// <summary>What earlier releases named it.</summary>
    private const string EarlierAutoUpdate = "rbac.authorization.k8s.io/autoupdate";

    /// <returns>The stored object with what it lacked; null where nothing is to be written.</returns>
    public static JsonObject? Completed(ResourceKey key, JsonObject stored, JsonObject wanted)
    {
        if (IsKept(stored)) return null;
        var completed = stored.DeepClone().AsObject();
        var lacked = false;
        if (key.Kind == Kind.ClusterRole || key.Kind == Kind.Role) lacked |= Add(completed, "rules", MissingRules(stored, wanted));
        else if (key.Kind == Kind.ClusterRoleBinding || key.Kind == Kind.RoleBinding) lacked |= Add(completed, "subjects", MissingSubjects(stored, wanted));
        else return null;
        foreach (var map in (ReadOnlySpan<string>)["labels", "annotations"])
        {
            foreach (var (name, value) in Metadata.Of(wanted).Object(map) ?? [])
            {
                // What somebody has given another value keeps it.
                if (Metadata.Of(completed).Object(map)?.ContainsKey(name) == true) continue;
                Metadata.Of(completed).Need(map)[name] = value!.DeepClone();
                lacked = true;
            }
        }
        return lacked ? completed : null;
    }

    /// <summary>
    /// A binding to another role than a new cluster's: the role of a binding is never changed, so it is made anew, unless it is to be kept as it is
    /// (rbac reconciliation, ReconcileRecreate).
    /// </summary>
    public static bool IsOfAnotherRole(ResourceKey key, JsonObject stored, JsonObject wanted) =>
        (key.Kind == Kind.ClusterRoleBinding || key.Kind == Kind.RoleBinding) && !IsKept(stored) && Named(stored.Object("roleRef") ?? []) != Named(wanted.Object("roleRef") ?? []);

    private static bool IsKept(JsonObject stored)
    {
        var annotations = Metadata.Of(stored).Object("annotations") ?? [];
        return Metadata.IsDeleting(stored) || annotations.Text(AutoUpdate) == "false" || annotations.Text(EarlierAutoUpdate) == "false";
    }

    // The rules of an aggregated role are written out of its parts, which are completed themselves.
    private static List<JsonNode> MissingRules(JsonObject stored, JsonObject wanted)
    {
        if (stored["aggregationRule"] is not null || JsonNode.DeepEquals(stored["rules"], wanted["rules"])) return [];
        var held = Rule.ReadAll(JsonSerializer.SerializeToUtf8Bytes(stored));
        var asked = Rule.ReadAll(JsonSerializer.SerializeToUtf8Bytes(wanted));
        return [.. asked.Index().Where(x => !x.Item.IsWithin(held)).Select(x => wanted.List("rules")![x.Index]!)];
    }

    private static List<JsonNode> MissingSubjects(JsonObject stored, JsonObject wanted)
    {
        var bound = (stored.List("subjects") ?? []).OfType<JsonObject>().Select(Named).ToHashSet();
        return [.. (wanted.List("subjects") ?? []).OfType<JsonObject>().Where(x => !bound.Contains(Named(x)))];
    }

    private static (string, string, string) Named(JsonObject json) => (json.Text("kind"), json.Text("namespace"), json.Text("name"));

    private static bool Add(JsonObject completed, string list, List<JsonNode> missing)
    {
        if (missing.Count == 0) return false;
        completed[list] = new JsonArray([.. (completed.List(list) ?? []).Concat(missing).Select(x => x?.DeepClone())]);
        return true;
    }
}
