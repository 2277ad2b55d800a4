using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Authorization;

/// <summary>All grants of one moment by subject; never changed.</summary>
internal sealed class RuleIndex
{
    /// <param name="Namespace">null = everywhere.</param>
    internal sealed record Grant(string? Namespace, IReadOnlyList<Rule> Rules);

    private readonly Dictionary<string, List<Grant>> _bySubject = new(StringComparer.Ordinal);

    public RuleIndex(IReadOnlyDictionary<ResourceKey, IReadOnlyList<Rule>> roles, IEnumerable<KeyValuePair<ResourceKey, Binding>> bindings)
    {
        foreach (var (key, binding) in bindings)
        {
            if (!roles.TryGetValue(binding.Role, out var rules)) continue; // a binding may stand before its role
            var grant = new Grant(key.Kind.Equals(Kind.ClusterRoleBinding) ? null : key.Namespace, rules);
            foreach (var subject in binding.Subjects)
            {
                if (!_bySubject.TryGetValue(subject, out var grants)) _bySubject.Add(subject, grants = []);
                grants.Add(grant);
            }
        }
    }

    public bool Allows(User user, string verb, string group, string resource, string subresource, string ns, string name)
    {
        var full = subresource.Length == 0 ? resource : $"{resource}/{subresource}";
        foreach (var grant in Grants(user))
        {
            if (grant.Namespace is not null && (ns.Length == 0 || grant.Namespace != ns)) continue;
            foreach (var rule in grant.Rules)
            {
                if (rule.Allows(verb, group, full, subresource, name)) return true;
            }
        }
        return false;
    }

    public bool AllowsPath(User user, string verb, string path) =>
        Grants(user).Any(grant => grant.Namespace is null && grant.Rules.Any(rule => rule.AllowsPath(verb, path)));

    /// <summary>Every rule that holds for a user in a namespace.</summary>
    public IEnumerable<Rule> Rules(User user, string ns) =>
        Grants(user).Where(x => x.Namespace is null || x.Namespace == ns).SelectMany(x => x.Rules);

    private IEnumerable<Grant> Grants(User user)
    {
        if (_bySubject.TryGetValue(Binding.SubjectOfUser(user.Name), out var own))
        {
            foreach (var grant in own) yield return grant;
        }
        foreach (var group in user.Groups)
        {
            if (!_bySubject.TryGetValue(Binding.SubjectOfGroup(group), out var grants)) continue;
            foreach (var grant in grants) yield return grant;
        }
    }
}
