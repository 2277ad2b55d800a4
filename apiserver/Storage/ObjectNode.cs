namespace Declarative.ApiServer.Storage;

/// <summary>
/// A node of an <see cref="ObjectSet"/>: a leaf with objects, or a branch with nodes of equal height. Every node but the root has at least
/// <see cref="EntriesMin"/> entries.
/// </summary>
internal sealed class ObjectNode
{
    /// <summary>A change copies one node of each level: larger nodes cost more bytes a level, smaller ones more levels.</summary>
    public const int EntriesMax = 32;
    public const int EntriesMin = EntriesMax / 2;

    private readonly int[]? _ends; // of a branch: the objects in each child and in those before it

    private ObjectNode(Selectable[] keys, ObjectNode[]? children = null, int[]? ends = null)
    {
        (Keys, Children, _ends) = (keys, children, ends);
        Count = ends is null ? keys.Length : ends[^1];
    }

    /// <summary>Of a leaf its objects, of a branch the last object of each child.</summary>
    public Selectable[] Keys { get; }

    /// <summary>null = a leaf.</summary>
    public ObjectNode[]? Children { get; }

    /// <summary>Objects.</summary>
    public int Count { get; }

    public static ObjectNode Over(ObjectNode[] children)
    {
        var (count, ends) = (0, new int[children.Length]);
        for (var i = 0; i < children.Length; i++) ends[i] = count += children[i].Count;
        return new(Array.ConvertAll(children, static x => x.Keys[^1]), children, ends);
    }

    /// <param name="sorted">At least one.</param>
    public static ObjectNode Of(Selectable[] sorted)
    {
        var level = Parted(sorted.Length).Select(x => new ObjectNode(sorted[x])).ToArray();
        while (level.Length > 1) level = [.. Parted(level.Length).Select(x => Over(level[x]))];
        return level[0];
    }

    public static int Compare(Selectable item, in ObjectName name)
    {
        var key = item.Stored.Key;
        var order = string.CompareOrdinal(key.Namespace, name.Namespace);
        return order != 0 ? order : string.CompareOrdinal(key.Name, name.Name);
    }

    /// <summary>The first entry whose (last) object is not before a name; the number of entries where all are.</summary>
    public int PlaceOf(in ObjectName name)
    {
        var (low, high) = (0, Keys.Length);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (Compare(Keys[middle], name) < 0) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    /// <summary>Of a branch: the child that holds the object at a place of this node.</summary>
    public int ChildAt(int place)
    {
        var child = Array.BinarySearch(_ends!, place + 1);
        return child < 0 ? ~child : child;
    }

    public int CountBefore(int child) => child == 0 ? 0 : _ends![child - 1];

    /// <summary>Two nodes where one would be too large.</summary>
    public (ObjectNode Node, ObjectNode? Next) With(Selectable item)
    {
        var name = ObjectName.Of(item);
        var place = PlaceOf(name);
        if (Children is null)
        {
            return place < Keys.Length && Compare(Keys[place], name) == 0
                ? (new(Spliced(Keys, place, 1, item)), null)
                : Split(new(Spliced(Keys, place, 0, item)));
        }
        place = Math.Min(place, Children.Length - 1);
        var (child, next) = Children[place].With(item);
        return Split(next is null ? Replaced(place, 1, child) : Replaced(place, 1, child, next));
    }

    /// <summary>Perhaps with too few entries. The name must be there.</summary>
    public ObjectNode Without(in ObjectName name)
    {
        var place = PlaceOf(name);
        if (Children is null) return new(Spliced(Keys, place, 1));
        var child = Children[place].Without(name);
        if (child.Keys.Length >= EntriesMin) return Replaced(place, 1, child);
        var left = Math.Max(place - 1, 0);
        var (joined, next) = Split(left < place ? Joined(Children[left], child) : Joined(child, Children[1]));
        return next is null ? Replaced(left, 2, joined) : Replaced(left, 2, joined, next);
    }

    // Looks at no child but those that are new.
    private ObjectNode Replaced(int at, int removed, params ReadOnlySpan<ObjectNode> added)
    {
        var keys = new Selectable[added.Length];
        for (var i = 0; i < added.Length; i++) keys[i] = added[i].Keys[^1];
        var ends = Spliced(_ends!, at, removed, new int[added.Length]);
        var count = CountBefore(at);
        for (var i = 0; i < added.Length; i++) ends[at + i] = count += added[i].Count;
        var more = count - _ends![at + removed - 1];
        for (var i = at + added.Length; i < ends.Length; i++) ends[i] += more;
        return new(Spliced(Keys, at, removed, keys), Spliced(Children!, at, removed, added), ends);
    }

    private static (ObjectNode Node, ObjectNode? Next) Split(ObjectNode node)
    {
        if (node.Keys.Length <= EntriesMax) return (node, null);
        var half = node.Keys.Length / 2;
        return (node.Part(..half), node.Part(half..));
    }

    private static ObjectNode Joined(ObjectNode left, ObjectNode right) =>
        left.Children is null ? new([.. left.Keys, .. right.Keys]) : Over([.. left.Children, .. right.Children!]);

    private ObjectNode Part(Range range) => Children is null ? new(Keys[range]) : Over(Children[range]);

    // As few parts of equal size as there can be, so that none is too small.
    private static IEnumerable<Range> Parted(int entries)
    {
        var parts = (entries + EntriesMax - 1) / EntriesMax;
        for (var i = 0; i < parts; i++) yield return (int)((long)entries * i / parts)..(int)((long)entries * (i + 1) / parts);
    }

    private static T[] Spliced<T>(T[] entries, int at, int removed, params ReadOnlySpan<T> added)
    {
        var result = new T[entries.Length - removed + added.Length];
        entries.AsSpan(0, at).CopyTo(result);
        added.CopyTo(result.AsSpan(at));
        entries.AsSpan(at + removed).CopyTo(result.AsSpan(at + added.Length));
        return result;
    }
}
