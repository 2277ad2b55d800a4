using System.Collections.Immutable;
using System.Net;
using Declarative.Api.Kinds;
using Declarative.Lb.Marathon;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>Service and slices → what the balancer does for them. Pure; looks at one Service at a time.</summary>
internal static class RouteBuilder
{
    public const string Class = "declarative.mesos/lb";

    /// <param name="leaving">True for the uid of a pod that some slice, of this Service or another, marks as terminating.</param>
    public static ServiceRoutes Build(Service service, IReadOnlyList<EndpointSlice> slices, LbOptions options, Func<string, bool> leaving)
    {
        var key = new ServiceKey(service.Namespace, service.Name);
        var created = service.Metadata.CreationTimestamp ?? DateTimeOffset.MaxValue;
        if (service.Spec.Type == "ExternalName" || service.Metadata.IsDeleting) return new(key, service.Uid, created, []);
        var ports = ImmutableArray.CreateBuilder<PortRoute>(service.Spec.Ports.Count);
        if (!MarathonLabels.Has(service))
        {
            foreach (var port in service.Spec.Ports) ports.Add(PortOf(service, port, MarathonPort.None, SettingsReader.Read(service, port)));
            return new(key, service.Uid, created, ports.ToImmutable());
        }
        var rules = ImmutableArray.CreateBuilder<HostRule>();
        var problems = ImmutableArray.CreateBuilder<string>();
        var member = MarathonLabels.Member(service, problems);
        for (var i = 0; i < service.Spec.Ports.Count; i++)
        {
            var draft = SettingsDraft.Of(service);
            var labels = MarathonLabels.Read(service, i, draft, options, problems);
            if (member is not null) draft.Edge = draft.Edge with { Group = member.Group };
            rules.AddRange(labels.Rules);
            ports.Add(PortOf(service, service.Spec.Ports[i], labels, SettingsReader.Read(service, service.Spec.Ports[i], draft, problems)));
            problems.Clear();
        }
        return new(key, service.Uid, created, ports.ToImmutable()) { Rules = rules.ToImmutable(), Member = member };

        PortRoute PortOf(Service service, ServicePort port, MarathonPort labels, PortSettings settings)
        {
            var (claims, refusals) = Listeners(service, port, labels, options);
            var endpoints = port.Protocol is "TCP" or "UDP" ? Endpoints(port, labels.Checked, slices, leaving) : [];
            return new(port.Name, port.Port, port.Protocol, port.Protocol == "UDP" ? PortMode.Udp : labels.Mode ?? PortModes.Of(port), claims, refusals, endpoints) { Settings = settings };
        }
    }

    /// <summary>True where the Service is this balancer's to publish.</summary>
    public static bool IsOurs(Service service) => service.Spec.Type == "LoadBalancer" && service.Spec.LoadBalancerClass is "" or Class;

    private static (ImmutableArray<Claim> Claims, ImmutableArray<Refusal> Refusals) Listeners(Service service, ServicePort port, MarathonPort labels, LbOptions options)
    {
        var claims = ImmutableArray.CreateBuilder<Claim>();
        var refusals = ImmutableArray.CreateBuilder<Refusal>();
        var own = options.Address.ToString();
        if (IsOurs(service) || labels.Port > 0) Add(ListenerPurpose.LoadBalancer, labels.Address.Length > 0 ? labels.Address : own, (labels.Port > 0 ? labels.Port : port.Port) + options.PortOffset);
        if (port.NodePort > 0 && service.Spec.Type is "LoadBalancer" or "NodePort") Add(ListenerPurpose.NodePort, own, port.NodePort);
        foreach (var ip in service.Spec.ClusterIPs.Count > 0 ? service.Spec.ClusterIPs : [service.Spec.ClusterIP])
        {
            if (IPAddress.TryParse(ip, out var address) && options.ClusterIps.Contains(address)) Add(ListenerPurpose.ClusterIp, ip, port.Port);
        }
        return (claims.ToImmutable(), refusals.ToImmutable());

        void Add(ListenerPurpose purpose, string address, int number)
        {
            if (port.Protocol is not ("TCP" or "UDP"))
            {
                refusals.Add(new(purpose, address, number, "ProtocolNotSupported", $"port {port.Port}/{port.Protocol}: this balancer forwards TCP, HTTP and UDP"));
            }
            else if (number > IPEndPoint.MaxPort)
            {
                refusals.Add(new(purpose, address, number, "PortOutOfRange", $"port {port.Port} with the port offset {options.PortOffset} is {number}, the highest port is {IPEndPoint.MaxPort}"));
            }
            else if (purpose != ListenerPurpose.ClusterIp && Holder(number, options) is { } holder)
            {
                refusals.Add(new(purpose, address, number, "PortTaken", $"port {number} on {address} is used by the platform: {holder}"));
            }
            else claims.Add(new(new(address, number, port.Protocol == "UDP"), purpose, purpose == ListenerPurpose.LoadBalancer && Holds(service, number, port.Protocol)));
        }
    }

    /// <summary>
    /// Creation times have whole seconds: a newcomer of the same second, or one that an old Service's new port meets, must not take a port from
    /// the Service that is being served there.
    /// </summary>
    private static bool Holds(Service service, int port, string protocol) =>
        service.Status.LoadBalancer.Ingress.Any(x => x.Ports.Any(held => held.Port == port && held.Protocol == protocol && held.Error.Length == 0));

    private static string? Holder(int port, LbOptions options)
    {
        if (options.PlatformPorts.TryGetValue(port, out var part)) return part;
        var own = port - options.PortOffset;
        if (own <= 0) return null;
        if (own == options.HttpPort) return "load balancer, Ingress over HTTP";
        if (own == options.H2cPort) return "load balancer, Ingress over h2c";
        if (own == options.HttpsPort) return "load balancer, Ingress over HTTPS";
        return own == options.AdminPort ? "load balancer, admin" : null;
    }

    private static ImmutableArray<EndpointRoute> Endpoints(ServicePort port, ServicePort? asked, IReadOnlyList<EndpointSlice> slices, Func<string, bool> leaving)
    {
        var found = new List<EndpointRoute>();
        foreach (var slice in slices)
        {
            if (slice.AddressType == "FQDN" || slice.Metadata.IsDeleting) continue;
            var number = PortIn(slice, port);
            if (number == 0) continue;
            var health = asked is null ? 0 : PortIn(slice, asked);
            foreach (var endpoint in slice.Endpoints)
            {
                var terminating = endpoint.Conditions.IsTerminating || (endpoint.TargetRef is { Uid.Length: > 0 } pod && leaving(pod.Uid));
                foreach (var address in endpoint.Addresses)
                {
                    if (!IPAddress.TryParse(address, out _)) continue;
                    found.Add(new(address, number, endpoint.TargetRef?.Uid ?? "", endpoint.TargetRef?.Name ?? "", endpoint.Conditions.IsReady && !terminating, terminating) { HealthPort = health });
                }
            }
        }
        found.Sort();
        // An endpoint may stand in two slices while it is moved from one to the other: terminating wins, then ready.
        var kept = 0;
        for (var i = 1; i < found.Count; i++)
        {
            if (found[i].Key != found[kept].Key) found[++kept] = found[i];
            else
            {
                var terminating = found[kept].Terminating || found[i].Terminating;
                found[kept] = found[kept] with { Terminating = terminating, Ready = !terminating && (found[kept].Ready || found[i].Ready) };
            }
        }
        if (found.Count > 0) found.RemoveRange(kept + 1, found.Count - kept - 1);
        return [.. found];
    }

    /// <summary>0 = the endpoints of the slice do not have it.</summary>
    private static int PortIn(EndpointSlice slice, ServicePort port)
    {
        var number = 0;
        foreach (var candidate in slice.Ports)
        {
            if (candidate.Name == port.Name && candidate.Protocol == port.Protocol) number = candidate.Port;
        }
        return number;
    }
}
