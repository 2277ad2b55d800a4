using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Authorization;

/// <summary>
/// RBAC (Kubernetes doc "Using RBAC Authorization"): what Roles, ClusterRoles and their bindings allow. Begins with
/// <see cref="BootstrapPolicy"/> and then follows the stored objects. Members of system:masters may everything.
/// </summary>
public sealed class Authorizer
{
    private static readonly Kind[] Followed = [Kind.ClusterRole, Kind.ClusterRoleBinding, Kind.Role, Kind.RoleBinding];
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);
    private readonly Lock _lock = new();
    private readonly Dictionary<ResourceKey, IReadOnlyList<Rule>> _roles = [];
    private readonly SortedDictionary<ResourceKey, Binding> _bindings = new(Comparer<ResourceKey>.Create((a, b) => string.CompareOrdinal(a.ToString(), b.ToString())));
    private RuleIndex? _index;

    public Authorizer()
    {
        foreach (var (key, json) in BootstrapPolicy.Objects) Set(key, json);
    }

    /// <summary>null where the user may; else the 403 that says who may not do what and where.</summary>
    /// <param name="ns">"" = cluster-scoped, or all namespaces.</param>
    /// <param name="name">"" where the request names none (list, create).</param>
    public ApiException? Check(User user, string verb, Kind kind, string subresource, string ns, string name)
    {
        if (Allows(user, verb, kind.Group, kind.Plural, subresource, ns, name)) return null;
        var resource = subresource.Length == 0 ? kind.Plural : $"{kind.Plural}/{subresource}";
        var where = ns.Length == 0 ? "at the cluster scope" : $"in the namespace \"{ns}\"";
        return new(Status.Forbidden(kind, name, $"User \"{user.Name}\" cannot {verb} resource \"{resource}\" in API group \"{kind.Group}\" {where}").Status) { IsOfRights = true };
    }

    /// <summary>The same for a path that is no resource, such as <c>/metrics</c>.</summary>
    public ApiException? CheckPath(User user, string verb, string path) =>
        IsMaster(user) || Index().AllowsPath(user, verb, path)
            ? null
            : new ApiException(new(403, StatusReason.Forbidden, $"forbidden: User \"{user.Name}\" cannot {verb} path \"{path}\"")) { IsOfRights = true };

    public bool Allows(User user, AccessQuestion asked) => asked.Path.Length > 0
        ? AllowsPath(user, asked.Verb, asked.Path)
        : Allows(user, asked.Verb, asked.Group, asked.Resource, asked.Subresource, asked.Namespace, asked.Name);

    internal bool Allows(User user, string verb, string group, string resource, string subresource, string ns, string name) =>
        IsMaster(user) || Index().Allows(user, verb, group, resource, subresource, ns, name);

    /// <summary>The 403 of a write that would grant what its user does not hold; null where it may be.</summary>
    public ApiException? CheckGrant(User user, ResourceKey key, System.Text.Json.Nodes.JsonObject wanted, System.Text.Json.Nodes.JsonObject? old) =>
        IsMaster(user) ? null : Escalation.Check(this, user, key, wanted, old);

    /// <summary>null where there is no such role.</summary>
    internal IReadOnlyList<Rule>? RulesOf(ResourceKey role)
    {
        lock (_lock) return _roles.GetValueOrDefault(role);
    }

    internal bool AllowsPath(User user, string verb, string path) => CheckPath(user, verb, path) is null;

    /// <summary>Every rule that holds for a user in a namespace.</summary>
    internal IReadOnlyList<Rule> Rules(User user, string ns)
    {
        var rules = Index().Rules(user, ns).Distinct();
        return IsMaster(user) ? [new(["*"], ["*"], ["*"], [], []), new(["*"], [], [], [], ["*"]), .. rules] : [.. rules];
    }

    /// <summary>Follows the stored objects until <paramref name="stop"/>. Its owner awaits it.</summary>
    /// <param name="api">Bound to a user who may read all roles and bindings.</param>
    public Task Run(IApi api, TimeProvider time, CancellationToken stop) => Task.WhenAll(Followed.Select(kind => Follow(api, kind, time, stop)));

    private async Task Follow(IApi api, Kind kind, TimeProvider time, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var list = await api.List(new ListRequest(kind), stop);
                Replace(kind, list.Items);
                var from = list.Revision;
                await foreach (var happened in api.Watch(new WatchRequest(kind) { From = from }, stop))
                {
                    if (happened.Object is not { } changed) continue;
                    if (happened.Type == WatchEventType.Deleted) Remove(changed.Key);
                    else Set(changed.Key, changed.Json);
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (ApiException)
            {
                // 410 or a server that is not ready yet: list again, after a breath.
                if (!await Breathe(time, stop)) return;
            }
        }
    }

    private static async Task<bool> Breathe(TimeProvider time, CancellationToken stop)
    {
        try
        {
            await Task.Delay(RetryAfter, time, stop);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private void Replace(Kind kind, IReadOnlyList<Stored> items)
    {
        lock (_lock)
        {
            foreach (var key in _roles.Keys.Where(x => x.Kind.Equals(kind)).ToList()) _roles.Remove(key);
            foreach (var key in _bindings.Keys.Where(x => x.Kind.Equals(kind)).ToList()) _bindings.Remove(key);
            foreach (var item in items) Set(item.Key, item.Json);
        }
    }

    private void Set(ResourceKey key, ReadOnlyMemory<byte> json)
    {
        lock (_lock)
        {
            if (key.Kind.Equals(Kind.Role) || key.Kind.Equals(Kind.ClusterRole)) _roles[key] = Rule.ReadAll(json);
            else _bindings[key] = Binding.Read(key.Namespace, json);
            _index = null;
        }
    }

    private void Remove(ResourceKey key)
    {
        lock (_lock)
        {
            _roles.Remove(key);
            _bindings.Remove(key);
            _index = null;
        }
    }

    private RuleIndex Index()
    {
        var index = Volatile.Read(ref _index);
        if (index is not null) return index;
        lock (_lock)
        {
            return _index ??= new(_roles, _bindings);
        }
    }

    private static bool IsMaster(User user) => user.Groups.Contains(User.Masters);
}
