using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Authorization;

/// <summary>
/// Keeps the rules of ClusterRoles with an aggregationRule: those of all ClusterRoles that its selectors select (Kubernetes doc "Using RBAC
/// Authorization", aggregated ClusterRoles).
/// </summary>
internal sealed class AggregatedRoles(RevisionLog log, TimeProvider time)
{
    /// <summary>Ends when <paramref name="stop"/> is set. Its owner awaits it.</summary>
    public Task Run(CancellationToken stop) => Upkeep.Of(log, [Kind.ClusterRole], Tend, time, stop);

    /// <summary>The rules that selected roles have together, in the order of the roles' names, each once.</summary>
    public static JsonArray RulesOf(JsonObject role, IEnumerable<JsonObject> all)
    {
        var selectors = (role.Object("aggregationRule")?.List("clusterRoleSelectors") ?? []).OfType<JsonObject>().Select(LabelSelectorOf).ToList();
        var rules = new JsonArray();
        foreach (var selected in all.Where(x => Metadata.Name(x) != Metadata.Name(role) && selectors.Any(y => y.Matches(LabelsOf(x)))).OrderBy(Metadata.Name, StringComparer.Ordinal))
        {
            foreach (var rule in (selected.List("rules") ?? []).OfType<JsonObject>())
            {
                if (!rules.Any(x => JsonNode.DeepEquals(x, rule))) rules.Add(rule.DeepClone());
            }
        }
        return rules;
    }

    // True where something is left to be looked at again soon.
    private async Task<bool> Tend(CancellationToken stop)
    {
        var stored = log.Snapshot(Kind.ClusterRole).Objects.Values.Select(x => (x.Stored, Json: Canonical.Parse(x.Stored.Json))).ToList();
        var busy = false;
        foreach (var (role, json) in stored)
        {
            if (json["aggregationRule"] is not JsonObject || Metadata.IsDeleting(json)) continue;
            var rules = RulesOf(json, stored.Select(x => x.Json));
            if (JsonNode.DeepEquals(json["rules"] ?? new JsonArray(), rules)) continue;
            var wanted = json.DeepClone().AsObject();
            wanted["rules"] = rules;
            if (Fitting(wanted) is not { } bytes) continue;
            var result = await log.Commit(new(role.Key, role.Uid, role.Revision, bytes), stop);
            busy |= result.Stored is null;
        }
        return busy;
    }

    /// <summary>null for more rules than an object may have: that role keeps what it has, and the others go on.</summary>
    private static byte[]? Fitting(JsonObject role)
    {
        try
        {
            return Canonical.Bytes(role, Kind.ClusterRole);
        }
        catch (ApiException e) when (e.Code == 413)
        {
            return null;
        }
    }

    private static Dictionary<string, string> LabelsOf(JsonObject json) =>
        Metadata.Of(json).Object("labels")?.Where(x => x.Value is JsonValue).ToDictionary(x => x.Key, x => x.Value!.ToString()) ?? [];

    private static LabelSelector LabelSelectorOf(JsonObject json) => json.Deserialize<LabelSelectorSpec>(JsonSerializerOptions.Web)!.ToSelector();
}
