using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer;
using Declarative.Lb;
using Declarative.Sim;

namespace Declarative.Bench.Lb;

/// <summary>The balancer that is measured: a process of its own with Services for HTTP, TCP and websockets and an Ingress for TLS. Prints their ports; ends with its input.</summary>
internal static class OurOwn
{
    public static async Task<int> Serve(IReadOnlyList<int> backends, int socketBackend)
    {
        using var stop = new CancellationTokenSource();
        using var stopServer = new CancellationTokenSource();
        var server = await ApiServer.ApiServer.Open(new MemoryJournal(), new ApiServerOptions(), TimeProvider.System, new Random(1), stop.Token);
        var serving = server.Run(stopServer.Token);
        await server.Bootstrap(stop.Token);
        int[] ports = [Target.FreePort(), Target.FreePort(), Target.FreePort(), Target.FreePort()];
        using var lb = new LbPart(new LbOptions { HttpPort = 0, H2cPort = 0, HttpsPort = ports[2], AdminPort = 0 });
        var running = lb.Run(server.As(User.Lb), TimeProvider.System, new Random(1), stop.Token);
        var api = server.As(User.Admin);
        await Publish(api, "http", ports[0], "http", backends);
        await Publish(api, "tcp", ports[1], "tcp", backends);
        await Publish(api, "sockets", ports[3], "http", [socketBackend]);
        await api.Create(ResourceKey.Of(Kind.Ingress, "default", "tls"), Encoding.UTF8.GetBytes(
            $$"""{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"tls"},"spec":{"defaultBackend":{"service":{"name":"http","port":{"number":{{ports[0]}}} } } } }"""));
        while (lb.Routes.Table.Clusters.Count(x => x.ReadyCount > 0) < 3) await Task.Delay(10);
        await Console.Out.WriteLineAsync(string.Join(' ', ports.Select(x => x.ToString(CultureInfo.InvariantCulture))));
        await Console.In.ReadToEndAsync();
        await stop.CancelAsync();
        await running;
        await stopServer.CancelAsync();
        await serving;
        return 0;
    }

    internal static byte[] Slice(string name, string service, int port, int pod) => Encoding.UTF8.GetBytes(
        $$"""
        {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4","metadata":{"name":"{{name}}","labels":{"kubernetes.io/service-name":"{{service}}"} },
         "ports":[{"name":"","port":{{port}},"protocol":"TCP"}],
         "endpoints":[{"addresses":["127.0.0.1"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"pod-{{pod}}","uid":"uid-{{name}}-{{pod}}"} }]}
        """);

    private static async Task Publish(IApi api, string name, int port, string protocol, IReadOnlyList<int> backends)
    {
        await api.Create(ResourceKey.Of(Kind.Service, "default", name), Encoding.UTF8.GetBytes(
            $$"""{"apiVersion":"v1","kind":"Service","metadata":{"name":"{{name}}"},"spec":{"type":"LoadBalancer","selector":{"a":"{{name}}"},"ports":[{"port":{{port}},"appProtocol":"{{protocol}}"}]} }"""));
        for (var i = 0; i < backends.Count; i++)
        {
            await api.Create(ResourceKey.Of(Kind.EndpointSlice, "default", $"{name}-{i}"), Slice($"{name}-{i}", name, backends[i], i));
        }
    }
}
