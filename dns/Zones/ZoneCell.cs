namespace Declarative.Dns.Zones;

/// <summary>
/// Holds the current snapshot for the server's loops and knows when the last of them has let go of an older one: only then can it be said
/// that no answer made from that one is still to come.
/// </summary>
internal sealed class ZoneCell
{
    private readonly Lock _gate = new();
    private volatile ZoneSnapshot _current = ZoneSnapshot.Empty;
    private Reader[] _readers = [];

    public ZoneSnapshot Current => _current;

    public void Publish(ZoneSnapshot snapshot)
    {
        _current = snapshot;
        Interlocked.MemoryBarrier();
    }

    /// <summary>Whether no loop still answers from a version before the current one.</summary>
    public bool IsQuiet
    {
        get
        {
            lock (_gate)
            {
                foreach (var reader in _readers)
                {
                    if (!reader.IsQuiet(_current.Version))
                        return false;
                }
                return true;
            }
        }
    }

    /// <summary>A loop's own door to the snapshot.</summary>
    public Reader Open()
    {
        var reader = new Reader(this);
        lock (_gate)
            _readers = [.. _readers, reader];
        return reader;
    }

    public void Close(Reader reader)
    {
        lock (_gate)
            _readers = [.. _readers.Where(r => r != reader)];
    }

    public sealed class Reader(ZoneCell cell)
    {
        /// <summary>Version in use + 1; 0: none.</summary>
        private long _inUse;

        /// <summary>The snapshot for a batch of queries, until <see cref="Exit"/> after the answers are sent.</summary>
        public ZoneSnapshot Enter()
        {
            while (true)
            {
                var snapshot = cell._current;
                Volatile.Write(ref _inUse, snapshot.Version + 1);
                // The publisher writes "current", then reads "inUse"; we write "inUse", then read "current": one of us sees the other.
                Interlocked.MemoryBarrier();
                if (ReferenceEquals(snapshot, cell._current))
                    return snapshot;
            }
        }

        public void Exit() => Volatile.Write(ref _inUse, 0);

        public bool IsQuiet(long version) => Volatile.Read(ref _inUse) is var used && (used == 0 || used > version);
    }
}
