using System.Text;
using System.Text.Json;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>
/// A set of fields as a tree of path elements, and its JSON form FieldsV1. Elements: <c>f:NAME</c> a member, <c>k:{"key":value}</c> an
/// element of a list by its keys, <c>v:VALUE</c> an element of a set. In JSON <c>".": {}</c> says that a path with paths below it is
/// itself in the set.
/// </summary>
internal sealed class FieldSet
{
    // Sorted by element. Sets are small and many: a list is a fraction of a dictionary.
    private List<KeyValuePair<string, FieldSet>>? _children;

    private static readonly List<KeyValuePair<string, FieldSet>> None = [];

    /// <summary>The path that leads here is in the set.</summary>
    public bool Owned { get; set; }

    public List<KeyValuePair<string, FieldSet>> Children => _children ?? None;

    public bool IsEmpty
    {
        get
        {
            if (Owned)
            {
                return false;
            }

            foreach (var (_, child) in Children)
            {
                if (!child.IsEmpty)
                {
                    return false;
                }
            }

            return true;
        }
    }

    public FieldSet? Find(string element) => Place(element) is var place and >= 0 ? _children![place].Value : null;

    /// <summary>The node below, made where it is missing.</summary>
    public FieldSet Child(string element)
    {
        var place = Place(element);
        if (place >= 0)
        {
            return _children![place].Value;
        }

        var child = new FieldSet();
        (_children ??= []).Insert(~place, new(element, child));
        return child;
    }

    public FieldSet Union(FieldSet other)
    {
        var result = new FieldSet { Owned = Owned || other.Owned };
        foreach (var (element, child) in Children)
        {
            result.Put(element, other.Find(element) is { } match ? child.Union(match) : child);
        }

        foreach (var (element, child) in other.Children)
        {
            if (Find(element) is null)
            {
                result.Put(element, child);
            }
        }

        return result;
    }

    public FieldSet Intersect(FieldSet other)
    {
        var result = new FieldSet { Owned = Owned && other.Owned };
        foreach (var (element, child) in Children)
        {
            if (other.Find(element) is { } match)
            {
                result.Put(element, child.Intersect(match));
            }
        }

        return result;
    }

    /// <param name="below">What the other set owns takes everything below it away too.</param>
    public FieldSet Except(FieldSet other, bool below = false)
    {
        if (below && other.Owned)
        {
            return new FieldSet();
        }

        var result = new FieldSet { Owned = Owned && !other.Owned };
        foreach (var (element, child) in Children)
        {
            result.Put(element, other.Find(element) is { } match ? child.Except(match, below) : child);
        }

        return result;
    }

    public bool SameAs(FieldSet other) => Except(other).IsEmpty && other.Except(this).IsEmpty;

    /// <summary>The paths as messages show them: <c>.spec.containers[name="web"].image</c>.</summary>
    public IEnumerable<string> Paths(string prefix = "")
    {
        if (Owned)
        {
            yield return prefix;
        }

        foreach (var (element, child) in Children)
        {
            foreach (var path in child.Paths(prefix + Render(element)))
            {
                yield return path;
            }
        }
    }

    public void Write(JsonBuffer output)
    {
        output.Raw((byte)'{');
        var first = true;
        foreach (var (element, child) in Children)
        {
            if (child.IsEmpty)
            {
                continue;
            }

            if (first && Owned)
            {
                output.Raw("\".\":{}"u8);
            }

            first = false;
            output.Separate();
            output.String(element);
            output.Raw((byte)':');
            child.Write(output);
        }

        output.Raw((byte)'}');
    }

    public static FieldSet Read(JsonTree? json)
    {
        var set = new FieldSet();
        foreach (var (element, below) in json?.Members ?? [])
        {
            if (element == ".")
            {
                set.Owned = true;
            }
            else
            {
                var child = Read(below);
                child.Owned |= below.Members is null or { Count: 0 };
                set.Put(element, child);
            }
        }

        return set;
    }

    private void Put(string element, FieldSet child)
    {
        if (child.IsEmpty)
        {
            return;
        }

        var place = Place(element);
        if (place >= 0)
        {
            _children![place] = new(element, child);
        }
        else
        {
            (_children ??= []).Insert(~place, new(element, child));
        }
    }

    // The index, or the complement of where it belongs.
    private int Place(string element)
    {
        var (low, high) = (0, (_children?.Count ?? 0) - 1);
        while (low <= high)
        {
            var middle = (low + high) >> 1;
            var order = string.CompareOrdinal(_children![middle].Key, element);
            if (order == 0)
            {
                return middle;
            }

            (low, high) = order < 0 ? (middle + 1, high) : (low, middle - 1);
        }

        return ~low;
    }

    private static string Render(string element)
    {
        if (element.StartsWith("v:", StringComparison.Ordinal))
        {
            return $"[={element[2..]}]";
        }

        if (!element.StartsWith("k:", StringComparison.Ordinal))
        {
            return "." + element[Math.Min(2, element.Length)..];
        }

        try
        {
            var keys = JsonTree.Parse(Encoding.UTF8.GetBytes(element[2..]));
            return $"[{string.Join(',', (keys.Members ?? []).Select(key => $"{key.Key}={Encoding.UTF8.GetString(key.Value.Scalar)}"))}]";
        }
        catch (JsonException)
        {
            return $"[{element[2..]}]"; // Written by a client that may write what it likes here.
        }
    }
}
