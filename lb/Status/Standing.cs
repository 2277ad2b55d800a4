using System.Collections.Immutable;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Status;

/// <summary>Why an address could not be listened on. <paramref name="Reason"/> is CamelCase, for a condition.</summary>
internal sealed record BindFailure(string Reason, string Message);

/// <summary>How the claims of one Service stand.</summary>
/// <param name="Problems">Of its annotations.</param>
internal sealed record Standing(string Uid, ImmutableArray<PortStanding> Ports, ImmutableArray<string> Problems)
{
    /// <param name="failures">Of the listeners that could not be opened.</param>
    public static Standing Of(ServiceRoutes routes, RouteTable table, IReadOnlyDictionary<ListenerKey, BindFailure> failures)
    {
        var ports = ImmutableArray.CreateBuilder<PortStanding>();
        foreach (var port in routes.Ports)
        {
            foreach (var refusal in port.Refusals) ports.Add(new(refusal.Purpose, refusal.Address, refusal.Port, port.Protocol, refusal.Reason, refusal.Message));
            foreach (var claim in port.Claims)
            {
                var holder = table.Listeners[claim.Listener].Holder;
                if (holder.Service != routes.Service || holder.Purpose != claim.Purpose || holder.Cluster.Number != port.Number)
                {
                    ports.Add(new(claim.Purpose, claim.Listener.Address, claim.Listener.Port, port.Protocol, "PortTaken", $"port {claim.Listener.Port} on {claim.Listener.Address} is held by Service {holder.Service}"));
                }
                else if (failures.TryGetValue(claim.Listener, out var failure)) ports.Add(new(claim.Purpose, claim.Listener.Address, claim.Listener.Port, port.Protocol, failure.Reason, failure.Message));
                else ports.Add(new(claim.Purpose, claim.Listener.Address, claim.Listener.Port, port.Protocol, "", ""));
            }
        }
        return new(routes.Uid, ports.ToImmutable(), [.. routes.Ports.SelectMany(x => x.Settings.Problems).Distinct()]);
    }
}

/// <param name="Port">Where the balancer listens, offset included.</param>
/// <param name="Reason">"" = it listens.</param>
internal readonly record struct PortStanding(ListenerPurpose Purpose, string Address, int Port, string Protocol, string Reason, string Message);
