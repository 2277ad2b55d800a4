using System.Collections.Immutable;

namespace Declarative.Lb.Routes;

/// <summary>An address with all the Service ports that want it; the first one has it (architecture.md, decision 13).</summary>
public sealed class Listener
{
    internal Listener(ListenerKey key, ImmutableArray<Contender> contenders) => (Key, Contenders) = (key, contenders);

    public ListenerKey Key { get; }

    /// <summary>Where connections to the address go.</summary>
    public Cluster Cluster => Contenders[0].Cluster;

    /// <summary>Never empty; the Service that has it first, then the oldest.</summary>
    internal ImmutableArray<Contender> Contenders { get; }

    internal Contender Holder => Contenders[0];

    internal Listener With(Contender contender)
    {
        var at = Contenders.BinarySearch(contender);
        return new(Key, Contenders.Insert(at < 0 ? ~at : at, contender));
    }

    /// <summary>null where nobody is left.</summary>
    internal Listener? Without(ServiceKey service)
    {
        var left = Contenders.RemoveAll(x => x.Service == service);
        return left.IsEmpty ? null : new(Key, left);
    }
}

internal sealed record Contender(bool Held, DateTimeOffset Created, string Uid, ServiceKey Service, ListenerPurpose Purpose, Cluster Cluster) : IComparable<Contender>
{
    public int CompareTo(Contender? other)
    {
        if (other is null) return 1;
        if (other.Held.CompareTo(Held) is var held and not 0) return held;
        if (Created.CompareTo(other.Created) is var age and not 0) return age;
        if (string.CompareOrdinal(Uid, other.Uid) is var uid and not 0) return uid;
        // Two ports of one Service at one address: a node port that equals the port of the load balancer.
        return Service.CompareTo(other.Service) is var service and not 0 ? service : Purpose.CompareTo(other.Purpose);
    }
}
