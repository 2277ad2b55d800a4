namespace Declarative.Dns.Zones;

/// <summary>
/// Holds the current snapshot for the server's loops and knows when the last of them has let go of an older one: only then can it be said
/// that no answer made from that one is still to come.
/// </summary>
internal sealed class ZoneCell
{
    private readonly Lock gate = new();
    private volatile ZoneSnapshot current = ZoneSnapshot.Empty;
    private Reader[] readers = [];

    public ZoneSnapshot Current => current;

    public void Publish(ZoneSnapshot snapshot)
    {
        current = snapshot;
        Interlocked.MemoryBarrier();
    }

    /// <summary>Whether no loop still answers from a version before the current one.</summary>
    public bool IsQuiet
    {
        get
        {
            lock (gate)
            {
                foreach (var reader in readers)
                {
                    if (!reader.IsQuiet(current.Version))
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
        lock (gate)
            readers = [.. readers, reader];
        return reader;
    }

    public void Close(Reader reader)
    {
        lock (gate)
            readers = [.. readers.Where(r => r != reader)];
    }

    public sealed class Reader(ZoneCell cell)
    {
        /// <summary>Version in use + 1; 0: none.</summary>
        private long inUse;

        /// <summary>The snapshot for a batch of queries, until <see cref="Exit"/> after the answers are sent.</summary>
        public ZoneSnapshot Enter()
        {
            while (true)
            {
                var snapshot = cell.current;
                Volatile.Write(ref inUse, snapshot.Version + 1);
                // The publisher writes "current", then reads "inUse"; we write "inUse", then read "current": one of us sees the other.
                Interlocked.MemoryBarrier();
                if (ReferenceEquals(snapshot, cell.current))
                    return snapshot;
            }
        }

        public void Exit() => Volatile.Write(ref inUse, 0);

        public bool IsQuiet(long version) => Volatile.Read(ref inUse) is var used && (used == 0 || used > version);
    }
}
