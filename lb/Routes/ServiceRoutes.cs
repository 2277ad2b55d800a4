using System.Collections.Immutable;
using Declarative.Lb.Marathon;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>Why a Service listens at an address.</summary>
public enum ListenerPurpose
{
    LoadBalancer,
    NodePort,
    ClusterIp,
}

/// <summary>What one Service and its slices ask of the balancer: the outcome of <see cref="RouteBuilder"/>.</summary>
/// <param name="Created">Of claims to one address the one that has it wins, then the oldest, then the one with the smaller <paramref name="Uid"/>.</param>
internal sealed record ServiceRoutes(ServiceKey Service, string Uid, DateTimeOffset Created, ImmutableArray<PortRoute> Ports)
{
    /// <summary>Hosts and paths that the Service's own labels name.</summary>
    public ImmutableArray<HostRule> Rules { get; init; } = [];

    /// <summary>null = no blue/green deployment.</summary>
    public DeploymentMember? Member { get; init; }
}

/// <param name="Claims">The addresses that this port wants.</param>
/// <param name="Refusals">The addresses that it cannot have, whoever else wants them.</param>
/// <param name="Endpoints">Ordered by address and port, each pod once.</param>
internal sealed record PortRoute(
    string Name,
    int Number,
    string Protocol,
    PortMode Mode,
    ImmutableArray<Claim> Claims,
    ImmutableArray<Refusal> Refusals,
    ImmutableArray<EndpointRoute> Endpoints)
{
    public PortSettings Settings { get; init; } = PortSettings.Default;
}

/// <param name="Held">The Service's status says that it has this address.</param>
internal sealed record Claim(ListenerKey Listener, ListenerPurpose Purpose, bool Held);

/// <param name="Reason">CamelCase, for a condition.</param>
internal sealed record Refusal(ListenerPurpose Purpose, string Address, int Port, string Reason, string Message);

internal readonly record struct EndpointRoute(string Address, int Port, string PodUid, string PodName, bool Ready, bool Terminating) : IComparable<EndpointRoute>
{
    /// <summary>Another port of the endpoint that is asked for its health, 0 = <see cref="Port"/>.</summary>
    public int HealthPort { get; init; }

    public (string Address, int Port, string PodUid) Key => (Address, Port, PodUid);

    public int CompareTo(EndpointRoute other)
    {
        if (string.CompareOrdinal(Address, other.Address) is var address and not 0) return address;
        return Port.CompareTo(other.Port) is var port and not 0 ? port : string.CompareOrdinal(PodUid, other.PodUid);
    }
}
