namespace Declarative.Lb.Routes;

/// <summary>
/// The endpoints of one port of a Service. The object stays the same while the port exists, so that whoever routes to it holds a
/// reference; a change of endpoints swaps one immutable snapshot inside and disturbs nothing else.
/// </summary>
public sealed class Cluster
{
    private Snapshot _snapshot = new([], []);
    private uint _turn = uint.MaxValue;

    internal Cluster(ServiceKey service, PortRoute port) => (Service, Name, Number, Mode) = (service, port.Name, port.Number, port.Mode);

    public ServiceKey Service { get; }

    /// <summary>The name of the Service's port, "" where it has only one.</summary>
    public string Name { get; }

    /// <summary>The number of the Service's port.</summary>
    public int Number { get; }
    public PortMode Mode { get; }

    /// <summary>All endpoints, those not ready or terminating too, by address and port.</summary>
    public IReadOnlyList<Destination> Destinations => Volatile.Read(ref _snapshot).All;
    /// <summary>Those that take new requests.</summary>
    public IReadOnlyList<Destination> Ready => Volatile.Read(ref _snapshot).Ready;

    /// <summary>What has happened on this port since it exists.</summary>
    public ClusterCounts Counts { get; } = new();

    public int ReadyCount => Volatile.Read(ref _snapshot).Ready.Length;

    /// <summary>
    /// The next ready endpoint in turn with the request counted on it, null where there is none. To be given back by
    /// <see cref="Destination.Release"/>.
    /// </summary>
    /// <param name="but">Not this one: it has just failed.</param>
    public Destination? Pick(Destination? but = null)
    {
        var ready = Volatile.Read(ref _snapshot).Ready;
        if (ready.Length == 0) return null;
        // A second attempt takes no turn of its own: with two endpoints every first attempt would go to the same one.
        var turn = but is null ? Interlocked.Increment(ref _turn) : Volatile.Read(ref _turn);
        for (var i = 0; i < ready.Length; i++)
        {
            var destination = ready[(int)((turn + (uint)i) % (uint)ready.Length)];
            if (destination != but && destination.TryEnter()) return destination;
        }
        return null;
    }

    internal void Swap(Destination[] all, Destination[] ready) => Volatile.Write(ref _snapshot, new(all, ready));

    public override string ToString() => $"{Service}:{(Name.Length > 0 ? Name : Number)}";

    private sealed record Snapshot(Destination[] All, Destination[] Ready);
}
