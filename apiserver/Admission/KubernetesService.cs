using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Admission;

/// <summary>Service, Endpoints and EndpointSlice <c>default/kubernetes</c>: how tasks find this API server. Brought up to date at every start.</summary>
internal static class KubernetesService
{
    private const string Name = "kubernetes";
    private const int ServicePort = 443;

    /// <param name="clusterIp">The Service's address; null = any of the range.</param>
    /// <param name="endpoint">Where this server listens.</param>
    public static async Task Publish(IApi api, IPAddress? clusterIp, IPEndPoint endpoint, CancellationToken stop)
    {
        var port = endpoint.Port.ToString(CultureInfo.InvariantCulture);
        var change = $$$"""{"spec":{"ports":[{"name":"https","port":{{{ServicePort}}},"protocol":"TCP","targetPort":{{{port}}}}]}}""";
        try
        {
            await Put(api, Kind.Service, ServiceOf(port, clusterIp is null ? "" : $",\"clusterIP\":\"{clusterIp}\""), change, stop);
        }
        catch (ApiException taken) when (clusterIp is not null && taken.Status.Reason == StatusReason.Invalid)
        {
            // A Service of a user's has had the address since before this one was kept.
            await Put(api, Kind.Service, ServiceOf(port, ""), change, stop);
        }
        var family = endpoint.Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? "IPv6" : "IPv4";
        var slice = $$$"""
            {"metadata":{"name":"kubernetes","labels":{"kubernetes.io/service-name":"kubernetes"}},"addressType":"{{{family}}}",
            "endpoints":[{"addresses":["{{{endpoint.Address}}}"],"conditions":{"ready":true}}],"ports":[{"name":"https","port":{{{port}}},"protocol":"TCP"}]}
            """;
        await Put(api, Kind.EndpointSlice, slice, slice, stop);
        var endpoints = $$$"""
            {"metadata":{"name":"kubernetes","labels":{"endpointslice.kubernetes.io/skip-mirror":"true"}},
            "subsets":[{"addresses":[{"ip":"{{{endpoint.Address}}}"}],"ports":[{"name":"https","port":{{{port}}},"protocol":"TCP"}]}]}
            """;
        await Put(api, Kind.Endpoints, endpoints, endpoints, stop);
    }

    private static string ServiceOf(string targetPort, string address) => $$$"""
        {"metadata":{"name":"kubernetes","labels":{"component":"apiserver","provider":"kubernetes"}},
        "spec":{"type":"ClusterIP","ports":[{"name":"https","port":{{{ServicePort}}},"protocol":"TCP","targetPort":{{{targetPort}}}}]{{{address}}}}}
        """;

    /// <summary>Changed where it is there: to create it again would ask for its address a second time, which is refused before the name is looked at.</summary>
    private static async Task Put(IApi api, Kind kind, string wanted, string change, CancellationToken stop)
    {
        var key = ResourceKey.Of(kind, Bootstrap.DefaultNamespace, Name);
        try
        {
            await api.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes(change), stop: stop);
        }
        catch (ApiException missing) when (missing.IsNotFound)
        {
            await api.Create(key, Encoding.UTF8.GetBytes(wanted), stop: stop);
        }
    }
}
