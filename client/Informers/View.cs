using Declarative.Api.Objects;

namespace Declarative.Client.Informers;

/// <summary>Objects by namespace and name with secondary indexes; enumerates in ordinal order of (namespace, name). Not synchronised.</summary>
internal sealed class View<T> where T : ApiObject
{
    private readonly SortedDictionary<string, Names> _namespaces = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Index> _indexes = new(StringComparer.Ordinal);

    public int Count { get; private set; }

    public void AddIndex(string name, Func<T, IEnumerable<string>> keys) => _indexes.Add(name, new ByKeys(keys));

    public void AddIndex(string name, Func<T, string?> key) => _indexes.Add(name, new ByKey(key));

    public Entry<T>? Get(string ns, string name) =>
        _namespaces.TryGetValue(ns, out var names) && names.ByName.TryGetValue(name, out var place) ? place.Entry : null;

    public IEnumerable<Entry<T>> All => _namespaces.Values.SelectMany(x => x.InOrder.Entries);

    public IEnumerable<Entry<T>> In(string ns) => _namespaces.TryGetValue(ns, out var names) ? names.InOrder.Entries : [];

    public IEnumerable<Entry<T>> By(string index, string key) => _indexes[index].Find(key);

    /// <summary>Returns what stood there before.</summary>
    public Entry<T>? Put(Entry<T> entry)
    {
        if (!_namespaces.TryGetValue(entry.Key.Namespace, out var names)) _namespaces.Add(entry.Key.Namespace, names = new());
        if (names.ByName.TryGetValue(entry.Key.Name, out var place))
        {
            var old = place.Entry;
            place.Entry = entry;
            foreach (var index in _indexes.Values) index.Change(place, old.Object, entry.Object);
            return old;
        }
        names.ByName.Add(entry.Key.Name, place = new(entry));
        names.InOrder.Add(place);
        Count++;
        foreach (var index in _indexes.Values) index.Change(place, null, entry.Object);
        return null;
    }

    public Entry<T>? Remove(string ns, string name)
    {
        if (!_namespaces.TryGetValue(ns, out var names) || !names.ByName.Remove(name, out var place)) return null;
        if (names.ByName.Count == 0) _namespaces.Remove(ns);
        else names.InOrder.Remove(place);
        Count--;
        foreach (var index in _indexes.Values) index.Change(place, place.Entry.Object, null);
        return place.Entry;
    }

    /// <summary>Where an object stands, through all its changes.</summary>
    private sealed class Place(Entry<T> entry)
    {
        public Entry<T> Entry { get; set; } = entry;
    }

    /// <summary>The objects of a namespace.</summary>
    private sealed class Names
    {
        public Dictionary<string, Place> ByName { get; } = new(StringComparer.Ordinal);
        public Places InOrder { get; } = new();
    }

    private abstract class Index
    {
        private readonly Dictionary<string, Places> _places = new(StringComparer.Ordinal);

        public IEnumerable<Entry<T>> Find(string key) => _places.TryGetValue(key, out var found) ? found.Entries : [];

        public abstract void Change(Place place, T? old, T? now);

        protected void Add(string key, Place place)
        {
            if (!_places.TryGetValue(key, out var found)) _places.Add(key, found = new());
            found.Add(place);
        }

        protected void Remove(string key, Place place)
        {
            if (!_places.TryGetValue(key, out var found)) return;
            found.Remove(place);
            if (found.Count == 0) _places.Remove(key);
        }
    }

    /// <summary>By at most one key of each object: most objects change without it, and that is seen without making anything.</summary>
    private sealed class ByKey(Func<T, string?> key) : Index
    {
        public override void Change(Place place, T? old, T? now)
        {
            var (before, after) = (old is null ? null : key(old), now is null ? null : key(now));
            if (before == after) return;
            if (before is not null) Remove(before, place);
            if (after is not null) Add(after, place);
        }
    }

    private sealed class ByKeys(Func<T, IEnumerable<string>> keys) : Index
    {
        public override void Change(Place place, T? old, T? now)
        {
            if (old is not null && now is not null && keys(old).SequenceEqual(keys(now), StringComparer.Ordinal)) return;
            foreach (var key in old is null ? [] : keys(old).Distinct(StringComparer.Ordinal)) Remove(key, place);
            foreach (var key in now is null ? [] : keys(now).Distinct(StringComparer.Ordinal)) Add(key, place);
        }
    }

    /// <summary>
    /// Places that are put in order when they are asked for, not with each change: many are changed for each time that they are enumerated, and
    /// most changes change no order.
    /// </summary>
    private sealed class Places
    {
        /// <summary>So many places that are gone are kept beside half of those that are there.</summary>
        private const int GoneMax = 16;

        private Place[] _sorted = [];
        private readonly HashSet<Place> _added = [];
        private readonly HashSet<Place> _gone = [];

        public int Count => _sorted.Length - _gone.Count + _added.Count;

        public IEnumerable<Entry<T>> Entries
        {
            get
            {
                Sort();
                return _sorted.Select(x => x.Entry);
            }
        }

        public void Add(Place place)
        {
            if (!_gone.Remove(place)) _added.Add(place);
        }

        public void Remove(Place place)
        {
            if (!_added.Remove(place)) _gone.Add(place);
            if (_gone.Count > GoneMax + _sorted.Length / 2) Sort();
        }

        private void Sort()
        {
            if (_added.Count == 0 && _gone.Count == 0) return;
            Place[] added = [.. _added];
            Array.Sort(added, Compare);
            var merged = new Place[Count];
            var (to, next) = (0, 0);
            foreach (var place in _sorted)
            {
                if (_gone.Count > 0 && _gone.Contains(place)) continue;
                while (next < added.Length && Compare(added[next], place) < 0) merged[to++] = added[next++];
                merged[to++] = place;
            }
            while (next < added.Length) merged[to++] = added[next++];
            _sorted = merged;
            _added.Clear();
            _gone.Clear();
        }

        private static int Compare(Place x, Place y) =>
            string.CompareOrdinal(x.Entry.Key.Namespace, y.Entry.Key.Namespace) is var first and not 0 ? first : string.CompareOrdinal(x.Entry.Key.Name, y.Entry.Key.Name);
    }
}
