using System.Globalization;
using System.Net;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>
/// One endpoint of a Service's port with its requests and connections in flight. It lives as long as the endpoint or its last request,
/// across all changes around it.
/// </summary>
public sealed class Destination
{
    // The count, below zero (offset by int.MinValue) once the destination is closed: one word, so that a request that
    // arrives while the destination is closed is either counted before the first zero is seen or turned away.
    private int _state;
    private long _total;
    private int _max;
    private readonly Action<Destination> _drained;

    internal Destination(EndpointRoute route, Action<Destination> drained)
    {
        (Address, Port, PodUid, PodName, _drained) = (route.Address, route.Port, route.PodUid, route.PodName, drained);
        EndPoint = new(IPAddress.Parse(route.Address), route.Port);
        SocketAddress = EndPoint.Serialize();
        Hash = Mixing.Hash($"{PodUid} {EndPoint}");
        Id = Mixing.Mix(Hash).ToString("x16", CultureInfo.InvariantCulture);
        Prefix = EndpointName.Prefix(EndPoint, Id);
    }

    public string Address { get; }

    /// <summary>The real port on the host.</summary>
    public int Port { get; }

    /// <summary>Where it is asked for its health if the settings name no port, 0 = <see cref="Port"/>.</summary>
    internal int HealthPort { get; set; }
    public string PodUid { get; }
    public string PodName { get; }
    public IPEndPoint EndPoint { get; }

    /// <summary>As the kernel has it. Not to be changed.</summary>
    internal SocketAddress SocketAddress { get; }

    /// <summary>As <see cref="EndpointName"/> has it.</summary>
    internal string Prefix { get; }

    /// <summary>The same for the same pod and port in every balancer: value of the cookie that keeps a client here. 16 hexadecimal digits.</summary>
    public string Id { get; }

    internal ulong Hash { get; }

    internal EndpointHealth Health { get; } = new();

    /// <summary>Requests and connections since it exists, those in flight included.</summary>
    public long Total => Volatile.Read(ref _total);

    /// <summary>In flight at once at most.</summary>
    public int InFlightPeak => Volatile.Read(ref _max);

    public int InFlight => Volatile.Read(ref _state) & int.MaxValue;

    /// <summary>Takes no new requests: its pod is terminating or gone.</summary>
    public bool IsClosed => Volatile.Read(ref _state) < 0;

    /// <summary>Counts one request, unless the destination is closed.</summary>
    internal bool TryEnter()
    {
        if (Interlocked.Increment(ref _state) is > 0 and var count)
        {
            Interlocked.Increment(ref _total);
            for (var max = InFlightPeak; count > max; max = InFlightPeak) Interlocked.CompareExchange(ref _max, count, max);
            return true;
        }
        Release();
        return false;
    }

    /// <summary>Ends what a pick has begun; exactly once per pick.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _state) == int.MinValue) _drained(this);
    }

    /// <summary>Ends a pick that nothing was sent for, as if it had not been.</summary>
    internal void Withdraw()
    {
        Interlocked.Decrement(ref _total);
        Release();
    }

    internal void Close() => Interlocked.Or(ref _state, int.MinValue);

    internal void Reopen() => Interlocked.And(ref _state, int.MaxValue);

    public override string ToString() => PodName.Length == 0 ? EndPoint.ToString() : $"{PodName} ({EndPoint})";
}
