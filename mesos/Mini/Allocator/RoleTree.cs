using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>
/// What each role and each of its parents has, and the weights: at every level of <c>a/b/c</c> siblings share by weighted dominant share
/// (DRF). What a role holds itself competes with its children as a child of its own, of weight 1.
/// </summary>
/// <remarks>Source: Mesos' documents "Roles" (hierarchical roles) and "Weights".</remarks>
internal sealed class RoleTree
{
    private readonly Dictionary<string, Node> _nodes = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, double> _weights = new(StringComparer.Ordinal);

    /// <summary>Roles whose weight is not 1, in ordinal order.</summary>
    public IReadOnlyCollection<KeyValuePair<string, double>> Weights => _weights;

    public double Weight(string role) => _weights.GetValueOrDefault(role, 1);

    /// <param name="weight">Above 0.</param>
    public void SetWeight(string role, double weight)
    {
        if (weight == 1)
            _weights.Remove(role);
        else
            _weights[role] = weight;
    }

    /// <summary><c>a</c> for <c>a/b/c</c>.</summary>
    public static string Top(string role) => role.IndexOf('/', StringComparison.Ordinal) is >= 0 and var slash ? role[..slash] : role;

    public void Add(string role, ResourceBag resources)
    {
        foreach (var node in Path(role))
        {
            node.Has.Add(resources);
            node.Unreserved.AddUnreserved(resources, 1);
        }
    }

    public void Subtract(string role, ResourceBag resources)
    {
        foreach (var node in Path(role))
        {
            node.Has.Subtract(resources);
            node.Unreserved.AddUnreserved(resources, -1);
        }
    }

    /// <summary>An agent with these resources comes: what is reserved counts to its roles whether it is offered or not.</summary>
    public void AddReservations(ResourceBag resources)
    {
        foreach (var (role, reserved) in resources.Reserved())
        {
            foreach (var node in Path(role))
                node.Reserved.Add(reserved);
        }
    }

    /// <summary>The agent goes.</summary>
    public void RemoveReservations(ResourceBag resources)
    {
        foreach (var (role, reserved) in resources.Reserved())
        {
            foreach (var node in Path(role))
                node.Reserved.Subtract(reserved);
        }
    }

    /// <summary>The nodes from the top to the role's own part.</summary>
    public IReadOnlyList<Node> Path(string role)
    {
        if (_nodes.TryGetValue(role, out var known) && known.Path is { } path)
            return path;
        var nodes = new List<Node>();
        for (var slash = role.IndexOf('/', StringComparison.Ordinal); ; slash = role.IndexOf('/', slash + 1))
        {
            nodes.Add(At(slash < 0 ? role : role[..slash]));
            if (slash < 0)
                break;
        }

        nodes.Add(At(role + "/."));
        return At(role).Path = nodes;
    }

    /// <summary>Less than 0: the role of the first path comes first, because at the level where they part it has less for its weight.</summary>
    public int Compare(IReadOnlyList<Node> a, IReadOnlyList<Node> b, Quantities total)
    {
        for (var i = 0; i < a.Count && i < b.Count; i++)
        {
            if (a[i] == b[i])
                continue;
            var shares = Share(a[i], total).CompareTo(Share(b[i], total));
            // Equal shares keep the order in which the roles came.
            return shares != 0 ? shares : a[i].Order.CompareTo(b[i].Order);
        }

        return 0;
    }

    private double Share(Node node, Quantities total) => node.Has.DominantShare(total) / Weight(node.Role);

    private Node At(string role)
    {
        if (!_nodes.TryGetValue(role, out var node))
            _nodes.Add(role, node = new(role, _nodes.Count));
        return node;
    }

    /// <summary>A role, a parent of roles, or (named <c>ROLE/.</c>) what a role holds itself.</summary>
    internal sealed class Node(string role, int order)
    {
        public string Role { get; } = role;
        public int Order { get; } = order;
        /// <summary>Offered or in use.</summary>
        public Quantities Has { get; } = new();

        /// <summary>The part of it that is not reserved.</summary>
        public Quantities Unreserved { get; } = new();

        /// <summary>Reserved for it on all agents.</summary>
        public Quantities Reserved { get; } = new();
        public IReadOnlyList<Node>? Path { get; set; }
    }
}
