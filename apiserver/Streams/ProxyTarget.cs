using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http;

namespace Declarative.ApiServer.Streams;

/// <summary>
/// What <c>pods|services|nodes/[SCHEME:]NAME[:PORT]/proxy</c> means (Kubernetes doc "Access Services Running on Clusters"): a declared port of
/// a pod, a ready endpoint of a Service, the API of a node's agent.
/// </summary>
internal static class ProxyTarget
{
    /// <summary>Throws 400, 404 and 503.</summary>
    public static async Task<Uri> Find(Exchange exchange, IApi api, TimeProvider time, CancellationToken stop)
    {
        var (scheme, name, port) = Parse(exchange.Path.Name);
        var key = new ResourceKey(exchange.Path.Kind, exchange.Path.Namespace ?? "", name);
        if (key.Kind.Equals(Kind.Node)) return OfNode(Node.Read((await api.Get(key, stop: stop)).Json), port);
        if (key.Kind.Equals(Kind.Service)) return await OfService(api, key, scheme, port, stop);
        var pod = await PortTarget.Find(api, key, time, stop);
        if ((port.Length > 0 ? pod.HostPort(port) : pod.FirstPort) is not { } hostPort) throw Status.BadRequest(pod.NotDeclared(port));
        return new UriBuilder(scheme, pod.Host, hostPort).Uri;
    }

    /// <summary>The name of the object alone, for authorization. Throws 400.</summary>
    public static string NameOf(string text) => Parse(text).Name;

    private static (string Scheme, string Name, string Port) Parse(string text) => text.Split(':') switch
    {
        [var name] => ("http", name, ""),
        [var name, var port] => ("http", name, port),
        ["http" or "https" or "", var name, var port] parts => (parts[0].Length > 0 ? parts[0] : "http", name, port),
        _ => throw Status.BadRequest($"invalid proxy request \"{text}\": expected NAME, NAME:PORT, http:NAME:PORT or https:NAME:PORT"),
    };

    /// <summary>Only the agent's own API: any other port of the machine is not the node's.</summary>
    private static Uri OfNode(Node node, string port)
    {
        var agent = ContainerTask.AgentOf(node);
        if (port.Length > 0 && port != agent.Port.ToString(CultureInfo.InvariantCulture)) throw Status.BadRequest($"node \"{node.Name}\" is reachable at the port of its agent's API, {agent.Port}, not {port}");
        return agent;
    }

    private static async Task<Uri> OfService(IApi api, ResourceKey key, string scheme, string port, CancellationToken stop)
    {
        var service = Service.Read((await api.Get(key, stop: stop)).Json);
        var wanted = port.Length == 0 ? service.Spec.Ports.FirstOrDefault()
            : service.Spec.Ports.FirstOrDefault(x => x.Name == port || x.Port.ToString(CultureInfo.InvariantCulture) == port);
        if (wanted is null)
        {
            var ports = string.Join(", ", service.Spec.Ports.Select(x => x.Name.Length > 0 ? $"{x.Port} ({x.Name})" : $"{x.Port}"));
            throw Status.Unavailable($"no port {port} of service \"{key.Name}\": it has {ports}");
        }
        var slices = await api.List(new(Kind.EndpointSlice, key.Namespace) { Labels = LabelSelector.Parse($"{EndpointSlice.ServiceNameLabel}={key.Name}") }, stop);
        var endpoints = (
            from slice in slices.Items.Select(x => EndpointSlice.Read(x.Json))
            from open in slice.Ports
            where open.Name == wanted.Name
            from endpoint in slice.Endpoints
            where endpoint.Conditions.IsReady && endpoint.Addresses.Count > 0
            select new UriBuilder(scheme, endpoint.Addresses[0], open.Port).Uri).ToList();
        if (endpoints.Count == 0) throw Status.Unavailable($"no endpoints available for service \"{key.Name}\"");
        return endpoints[Random.Shared.Next(endpoints.Count)];
    }
}
