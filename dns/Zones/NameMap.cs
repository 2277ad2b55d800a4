using System.Numerics;

namespace Declarative.Dns.Zones;

/// <summary>
/// A persistent map from names to entries: a hash trie of 32-way nodes that hold only their used slots. A new version copies the path to
/// what changed (some 1 KB among a million names) and shares the rest. Reading allocates nothing and needs no lock.
/// </summary>
internal sealed class NameMap
{
    private const int Bits = 5;
    private const int HashBits = 32;

    public static readonly NameMap Empty = new(new Node(0, [], null), 0);
    private readonly Node _root;

    private NameMap(Node root, int count)
    {
        _root = root;
        Count = count;
    }

    public int Count { get; }

    /// <param name="folded">A name in wire form, lower case.</param>
    public NameEntry? Find(ReadOnlySpan<byte> folded) => Find(folded, Wire.NameWire.Hash(folded));

    public NameEntry? Find(ReadOnlySpan<byte> folded, uint hash)
    {
        var node = _root;
        for (var shift = 0; ; shift += Bits)
        {
            var bit = 1u << (int)((hash >> shift) & 31);
            if ((node.Bitmap & bit) == 0)
                return null;
            var slot = node.Slots[BitOperations.PopCount(node.Bitmap & (bit - 1))];
            if (slot is Node below)
            {
                node = below;
                continue;
            }
            if (slot is NameEntry entry)
                return entry.Hash == hash && entry.Wire.AsSpan().SequenceEqual(folded) ? entry : null;
            foreach (var candidate in (NameEntry[])slot)
            {
                if (candidate.Wire.AsSpan().SequenceEqual(folded))
                    return candidate;
            }
            return null;
        }
    }

    /// <summary>All entries, in no order.</summary>
    public IReadOnlyList<NameEntry> All()
    {
        var all = new List<NameEntry>(Count);
        Collect(_root, all);
        return all;
    }

    /// <summary>All entries, ordered by name text.</summary>
    public IReadOnlyList<NameEntry> Sorted()
    {
        var all = new List<NameEntry>(Count);
        Collect(_root, all);
        all.Sort((a, b) => string.CompareOrdinal(a.Name.ToString(), b.Name.ToString()));
        return all;
    }

    public Editor Edit() => new(this);

    private static void Collect(object slot, List<NameEntry> all)
    {
        switch (slot)
        {
            case NameEntry entry:
                all.Add(entry);
                break;
            case NameEntry[] entries:
                all.AddRange(entries);
                break;
            case Node node:
                foreach (var below in node.Slots)
                    Collect(below, all);
                break;
        }
    }

    /// <summary>Makes the next version; nodes it made itself it changes in place.</summary>
    public sealed class Editor(NameMap map)
    {
        private object _token = new();
        private Node _root = map._root;
        private int _count = map.Count;

        public NameEntry? Find(Wire.DnsName name) => new NameMap(_root, _count).Find(name.Wire, name.Hash);

        public void Set(NameEntry entry) => _root = Set(_root, entry, 0);

        public void Remove(Wire.DnsName name) => _root = (Node?)Remove(_root, name, 0) ?? Empty._root;

        public NameMap Freeze()
        {
            _token = new object();
            return new NameMap(_root, _count);
        }

        private Node Set(Node node, NameEntry entry, int shift)
        {
            var bit = 1u << (int)((entry.Hash >> shift) & 31);
            var index = BitOperations.PopCount(node.Bitmap & (bit - 1));
            if ((node.Bitmap & bit) == 0)
            {
                _count++;
                var slots = new object[node.Slots.Length + 1];
                node.Slots.AsSpan(0, index).CopyTo(slots);
                slots[index] = entry;
                node.Slots.AsSpan(index).CopyTo(slots.AsSpan(index + 1));
                return With(node, node.Bitmap | bit, slots);
            }
            object slot = node.Slots[index] switch
            {
                Node below => Set(below, entry, shift + Bits),
                NameEntry other when other.Wire.AsSpan().SequenceEqual(entry.Wire) => entry,
                NameEntry other => Join(other, entry, shift + Bits),
                NameEntry[] others => Among(others, entry),
                var unknown => throw new InvalidOperationException($"a slot holds a {unknown.GetType().Name}"),
            };
            return Replace(node, index, slot);
        }

        /// <summary>Two entries in one slot: a level deeper, or side by side once the hash is used up.</summary>
        private object Join(NameEntry first, NameEntry second, int shift)
        {
            if (shift >= HashBits)
            {
                _count++;
                return new[] { first, second };
            }
            var bit = 1u << (int)((first.Hash >> shift) & 31);
            return Set(new Node(bit, [first], _token), second, shift);
        }

        private NameEntry[] Among(NameEntry[] others, NameEntry entry)
        {
            var at = Array.FindIndex(others, e => e.Wire.AsSpan().SequenceEqual(entry.Wire));
            if (at < 0)
            {
                _count++;
                return [.. others, entry];
            }
            return [.. others[..at], entry, .. others[(at + 1)..]];
        }

        private object? Remove(Node node, Wire.DnsName name, int shift)
        {
            var bit = 1u << (int)((name.Hash >> shift) & 31);
            if ((node.Bitmap & bit) == 0)
                return node;
            var index = BitOperations.PopCount(node.Bitmap & (bit - 1));
            var slot = node.Slots[index];
            object? left = slot switch
            {
                Node below => Remove(below, name, shift + Bits),
                NameEntry entry => entry.Wire.AsSpan().SequenceEqual(name.Wire) ? null : entry,
                NameEntry[] entries => Without(entries, name),
                _ => slot,
            };
            if (ReferenceEquals(left, slot))
                return node;
            if (slot is NameEntry or NameEntry[])
                _count--;
            if (left is not null)
                return Replace(node, index, left);
            if (node.Slots.Length == 1)
                return null;
            object[] slots = [.. node.Slots[..index], .. node.Slots[(index + 1)..]];
            return With(node, node.Bitmap & ~bit, slots);
        }

        private static object Without(NameEntry[] entries, Wire.DnsName name)
        {
            var rest = Array.FindAll(entries, e => !e.Wire.AsSpan().SequenceEqual(name.Wire));
            return rest.Length == entries.Length ? entries : rest.Length == 1 ? rest[0] : rest;
        }

        private Node Replace(Node node, int index, object slot)
        {
            if (ReferenceEquals(node.Owner, _token))
            {
                node.Slots[index] = slot;
                return node;
            }
            var slots = node.Slots.AsSpan().ToArray();
            slots[index] = slot;
            return new Node(node.Bitmap, slots, _token);
        }

        private Node With(Node node, uint bitmap, object[] slots)
        {
            if (!ReferenceEquals(node.Owner, _token))
                return new Node(bitmap, slots, _token);
            node.Bitmap = bitmap;
            node.Slots = slots;
            return node;
        }
    }

    private sealed class Node(uint bitmap, object[] slots, object? owner)
    {
        /// <summary>Which of the 32 places are taken; <see cref="Slots"/> holds those, in order: a Node, a NameEntry or a NameEntry[].</summary>
        public uint Bitmap = bitmap;
        public object[] Slots = slots;
        public readonly object? Owner = owner;
    }
}
