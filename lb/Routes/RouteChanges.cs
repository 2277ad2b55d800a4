namespace Declarative.Lb.Routes;

/// <summary>What one step of the table asks of others: sockets to open and close, statuses to write, pods to drain.</summary>
/// <param name="drained">Called when the last request of a closed destination ends, on the thread where it ends.</param>
/// <param name="time">For what a cluster does by the clock; null = nothing.</param>
internal sealed class RouteChanges(Action<Destination> drained, TimeProvider? time = null)
{
    public TimeProvider? Time => time;

    /// <summary>New listeners, and those whose holder or contenders have changed.</summary>
    public List<Listener> Set { get; } = [];
    public List<ListenerKey> Removed { get; } = [];

    /// <summary>Services whose claims stand differently now.</summary>
    public SortedSet<ServiceKey> StatusOf { get; } = [];

    /// <summary>Marked as terminating, or still so.</summary>
    public List<Destination> Closed { get; } = [];

    /// <summary>No longer in any slice of the Service.</summary>
    public List<Destination> Gone { get; } = [];

    /// <summary>Closed before and open again: its terminating mark was taken back.</summary>
    public List<Destination> Reopened { get; } = [];

    public Destination NewDestination(EndpointRoute endpoint) => new(endpoint, drained);

    public void Terminating(Destination destination)
    {
        destination.Close();
        Closed.Add(destination);
    }

    public void Left(Destination destination)
    {
        destination.Close();
        Gone.Add(destination);
    }

    public void Open(Destination destination)
    {
        if (!destination.IsClosed) return;
        destination.Reopen();
        Reopened.Add(destination);
    }
}
