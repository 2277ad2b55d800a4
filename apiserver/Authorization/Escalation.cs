using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Authorization;

/// <summary>
/// Nobody grants what they do not hold (Kubernetes doc "Using RBAC Authorization", privilege escalation prevention): who writes a role must hold its
/// rules or have the verb <c>escalate</c> on it; who writes a binding must hold the role's rules or have the verb <c>bind</c> on the role.
/// </summary>
internal static class Escalation
{
    /// <returns>null where the write may be, else the 403 that names the rules which the user does not hold.</returns>
    /// <param name="old">The object before, null for a creation; what was granted before is not asked again.</param>
    public static ApiException? Check(Authorizer authorizer, User user, ResourceKey key, JsonObject wanted, JsonObject? old)
    {
        if (key.Kind == Kind.Role || key.Kind == Kind.ClusterRole)
        {
            if (old is not null && JsonNode.DeepEquals(old["rules"], wanted["rules"]) && JsonNode.DeepEquals(old["aggregationRule"], wanted["aggregationRule"])) return null;
            if (authorizer.Allows(user, "escalate", key.Kind.Group, key.Kind.Plural, "", key.Namespace, key.Name)) return null;
            // Aggregated rules are written by this server, out of roles that others may write later.
            if (wanted["aggregationRule"] is not null && !authorizer.Allows(user, "*", "*", "*", "", "", "")) return Refused(user, key, ["must have cluster-admin privileges to use the aggregationRule"]);
            return Missing(authorizer, user, key, key.Namespace, Rule.ReadAll(JsonSerializer.SerializeToUtf8Bytes(wanted)));
        }
        if (key.Kind == Kind.RoleBinding || key.Kind == Kind.ClusterRoleBinding)
        {
            if (old is not null && JsonNode.DeepEquals(old["subjects"], wanted["subjects"]) && JsonNode.DeepEquals(old["roleRef"], wanted["roleRef"])) return null;
            var role = Binding.Read(key.Namespace, JsonSerializer.SerializeToUtf8Bytes(wanted)).Role;
            if (authorizer.Allows(user, "bind", role.Kind.Group, role.Kind.Plural, "", key.Namespace, role.Name)) return null;
            return authorizer.RulesOf(role) is { } rules ? Missing(authorizer, user, key, key.Namespace, rules) : Status.NotFound(role.Kind, role.Name);
        }
        return null;
    }

    private static ApiException? Missing(Authorizer authorizer, User user, ResourceKey key, string ns, IReadOnlyList<Rule> rules)
    {
        var missing = rules.Where(rule => !Holds(authorizer, user, ns, rule)).ToList();
        return missing.Count == 0 ? null : Refused(user, key, missing.Select(Text));
    }

    private static bool Holds(Authorizer authorizer, User user, string ns, Rule rule)
    {
        foreach (var verb in rule.Verbs)
        {
            if (rule.Paths.Any(path => !authorizer.AllowsPath(user, verb, path))) return false;
            foreach (var group in rule.Groups)
            {
                foreach (var resource in rule.Resources)
                {
                    var slash = resource.IndexOf('/', StringComparison.Ordinal);
                    var (plural, part) = slash < 0 ? (resource, "") : (resource[..slash], resource[(slash + 1)..]);
                    foreach (var name in rule.Names.Count == 0 ? [""] : rule.Names)
                    {
                        if (!authorizer.Allows(user, verb, group, plural, part, ns, name)) return false;
                    }
                }
            }
        }
        return true;
    }

    private static ApiException Refused(User user, ResourceKey key, IEnumerable<string> what) =>
        Status.Forbidden(key.Kind, key.Name, $"user \"{user.Name}\" (groups=[{string.Join(", ", user.Groups.Select(x => $"\"{x}\""))}]) is attempting to grant RBAC permissions not currently held:\n{string.Join('\n', what)}");

    private static string Text(Rule rule)
    {
        var parts = new (string Name, IReadOnlyList<string> Values)[]
        {
            ("APIGroups", rule.Groups), ("Resources", rule.Resources), ("ResourceNames", rule.Names), ("NonResourceURLs", rule.Paths), ("Verbs", rule.Verbs),
        };
        return "{" + string.Join(", ", parts.Where(x => x.Values.Count > 0).Select(x => $"{x.Name}:[{string.Join(", ", x.Values.Select(value => $"\"{value}\""))}]")) + "}";
    }
}
