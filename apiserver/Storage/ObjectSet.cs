using System.Collections;
using System.Runtime.CompilerServices;

namespace Declarative.ApiServer.Storage;

/// <summary>
/// Objects in order of namespace and name, immutable: a change makes a new set that shares all but one path with the old one. A B+ tree whose
/// branches know how many objects lie in and before each child, so that an object, the place of a name in the order, and the object at a place
/// are found in O(log n).
/// </summary>
internal sealed class ObjectSet : IReadOnlyCollection<KeyValuePair<ObjectName, Selectable>>
{
    private readonly ObjectNode? _root;

    private ObjectSet(ObjectNode? root) => _root = root;

    public static ObjectSet Empty { get; } = new(null);

    public int Count => _root?.Count ?? 0;

    public IEnumerable<Selectable> Values => Range(0, Count);

    /// <param name="items">In any order, no name twice.</param>
    public static ObjectSet Of(IEnumerable<Selectable> items)
    {
        Selectable[] sorted = [.. items];
        Array.Sort(sorted, Compare);
        return sorted.Length == 0 ? Empty : new(ObjectNode.Of(sorted));
    }

    // At the start of a server with many objects nothing else runs as often.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Compare(Selectable a, Selectable b)
    {
        var (left, right) = (a.Stored, b.Stored);
        var order = ReferenceEquals(left.Key.Namespace, right.Key.Namespace) ? 0 : string.CompareOrdinal(left.Key.Namespace, right.Key.Namespace);
        return order != 0 ? order : string.CompareOrdinal(left.Key.Name, right.Key.Name);
    }

    public Selectable? Find(ObjectName name)
    {
        var node = _root;
        while (node is { Children: { } children }) node = children[Math.Min(node.PlaceOf(name), children.Length - 1)];
        if (node is null) return null;
        var place = node.PlaceOf(name);
        return place < node.Keys.Length && ObjectNode.Compare(node.Keys[place], name) == 0 ? node.Keys[place] : null;
    }

    /// <summary>How many objects come before a name.</summary>
    public int Before(ObjectName name)
    {
        var before = 0;
        var node = _root;
        while (node is { Children: { } children })
        {
            var place = node.PlaceOf(name);
            if (place == children.Length) return before + node.Count;
            before += node.CountBefore(place);
            node = children[place];
        }
        return node is null ? 0 : before + node.PlaceOf(name);
    }

    /// <summary>How many objects come before what follows a name: the name itself, where it is there, is one of them.</summary>
    public int Through(ObjectName name) => Before(name with { Name = name.Name + '\0' });

    /// <summary>The places of a namespace's objects: from the first to before the last.</summary>
    public (int From, int To) OfNamespace(string ns) => (Before(new(ns, "")), Before(new(ns + '\0', "")));

    /// <summary>The objects at places from <paramref name="from"/> to before <paramref name="to"/>.</summary>
    public IEnumerable<Selectable> Range(int from, int to)
    {
        while (from < to)
        {
            var (leaf, place) = LeafAt(from);
            for (; place < leaf.Keys.Length && from < to; place++, from++) yield return leaf.Keys[place];
        }
    }

    /// <summary>With one object more, or another in the place of the one of that name.</summary>
    public ObjectSet With(Selectable item)
    {
        if (_root is null) return new(ObjectNode.Of([item]));
        var (node, next) = _root.With(item);
        return new(next is null ? node : ObjectNode.Over([node, next]));
    }

    /// <summary>The same set where there is none of that name.</summary>
    public ObjectSet Without(ObjectName name)
    {
        if (Find(name) is null) return this;
        var node = _root!.Without(name);
        while (node.Children is { Length: 1 } only) node = only[0];
        return node.Count == 0 ? Empty : new(node);
    }

    public IEnumerator<KeyValuePair<ObjectName, Selectable>> GetEnumerator()
    {
        foreach (var item in Values) yield return new(ObjectName.Of(item), item);
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private (ObjectNode Leaf, int Place) LeafAt(int place)
    {
        var node = _root!;
        while (node.Children is { } children)
        {
            var child = node.ChildAt(place);
            place -= node.CountBefore(child);
            node = children[child];
        }
        return (node, place);
    }
}
