using Declarative.Api.Objects;

namespace Declarative.Client.Informers;

/// <summary>Objects by namespace and name with secondary indexes; enumerates in ordinal order of (namespace, name). Not synchronised.</summary>
internal sealed class View<T> where T : ApiObject
{
    private readonly SortedDictionary<string, SortedDictionary<string, Entry<T>>> _namespaces = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Index> _indexes = new(StringComparer.Ordinal);

    public int Count { get; private set; }

    public void AddIndex(string name, Func<T, IEnumerable<string>> keys) => _indexes.Add(name, new(keys));

    public Entry<T>? Get(string ns, string name) =>
        _namespaces.TryGetValue(ns, out var names) && names.TryGetValue(name, out var entry) ? entry : null;

    public IEnumerable<Entry<T>> All => _namespaces.Values.SelectMany(x => x.Values);

    public IEnumerable<Entry<T>> In(string ns) => _namespaces.TryGetValue(ns, out var names) ? names.Values : [];

    public IEnumerable<Entry<T>> By(string index, string key) => _indexes[index].Find(key);

    /// <summary>Returns what stood there before.</summary>
    public Entry<T>? Put(Entry<T> entry)
    {
        if (!_namespaces.TryGetValue(entry.Key.Namespace, out var names)) _namespaces.Add(entry.Key.Namespace, names = new(StringComparer.Ordinal));
        var old = names.GetValueOrDefault(entry.Key.Name);
        names[entry.Key.Name] = entry;
        if (old is null) Count++;
        foreach (var index in _indexes.Values) index.Change(old, entry);
        return old;
    }

    public Entry<T>? Remove(string ns, string name)
    {
        if (!_namespaces.TryGetValue(ns, out var names) || !names.Remove(name, out var old)) return null;
        if (names.Count == 0) _namespaces.Remove(ns);
        Count--;
        foreach (var index in _indexes.Values) index.Change(old, null);
        return old;
    }

    private sealed class Index(Func<T, IEnumerable<string>> keys)
    {
        private readonly Dictionary<string, SortedDictionary<(string, string), Entry<T>>> _entries = new(StringComparer.Ordinal);

        public IEnumerable<Entry<T>> Find(string key) => _entries.TryGetValue(key, out var found) ? found.Values : [];

        public void Change(Entry<T>? old, Entry<T>? now)
        {
            if (old is not null)
            {
                foreach (var key in keys(old.Object))
                {
                    if (!_entries.TryGetValue(key, out var found)) continue;
                    found.Remove((old.Key.Namespace, old.Key.Name));
                    if (found.Count == 0) _entries.Remove(key);
                }
            }
            if (now is null) return;
            foreach (var key in keys(now.Object))
            {
                if (!_entries.TryGetValue(key, out var found)) _entries.Add(key, found = new(PairComparer.Instance));
                found[(now.Key.Namespace, now.Key.Name)] = now;
            }
        }
    }

    private sealed class PairComparer : IComparer<(string, string)>
    {
        public static PairComparer Instance { get; } = new();

        public int Compare((string, string) x, (string, string) y) =>
            string.CompareOrdinal(x.Item1, y.Item1) is var first and not 0 ? first : string.CompareOrdinal(x.Item2, y.Item2);
    }
}
