using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Cli.Commands;

/// <summary>What <c>up</c> says once it is ready: the addresses, and commands to try on what is there.</summary>
internal static class Greeting
{
    private const string Example = "manifests/hello";

    public static async Task<string> Text(IApi api, Ports ports, int agents, string kubeconfig, string data, TimeSpan took, CancellationToken stop)
    {
        var commands = string.Join("\n  ", await Commands(api, ports, kubeconfig, data, stop));
        return string.Create(CultureInfo.InvariantCulture, $"""
            Declarative {Version.Number} is ready ({took.TotalSeconds:0.0} s).

              API            https://127.0.0.1:{ports.Api}      kubeconfig {kubeconfig}
              Mesos          http://127.0.0.1:{ports.Master}       {agents} agent{(agents == 1 ? "" : "s")} from port {ports.FirstAgent}
              DNS            127.0.0.1:{ports.Dns}              Mesos-DNS API http://127.0.0.1:{ports.DnsHttp}
              load balancer  http://127.0.0.1:{ports.LbHttp}       https://127.0.0.1:{ports.LbHttps}, h2c {ports.LbH2c}, admin http://127.0.0.1:{ports.LbAdmin}

            Try:
              {commands}
            Stop with Ctrl-C; workloads run on until: declarative down --data {data}
            """);
    }

    /// <summary>Only what answers: with no Service to reach yet, how to get one.</summary>
    private static async Task<IReadOnlyList<string>> Commands(IApi api, Ports ports, string kubeconfig, string data, CancellationToken stop)
    {
        var services = (await api.List(new(Kind.Service), stop)).Items.Select(x => Service.Read(x.Json))
            .Where(x => x.Spec is { Type: "LoadBalancer", Ports.Count: > 0 }).OrderBy(x => x.Namespace != "default").ToList();
        if (services.Count == 0)
        {
            return [$"kubectl --kubeconfig {kubeconfig} get nodes", .. Directory.Exists(Example) ? [$"declarative apply --data {data} -f {Example}"] : Array.Empty<string>()];
        }
        var service = services[0];
        var ns = service.Namespace == "default" ? "" : $" --namespace {service.Namespace}";
        var workloads = await api.List(new(Kind.Deployment, service.Namespace), stop);
        var isNamedAlike = workloads.Items.Any(x => x.Key.Name == service.Name);
        var workload = service.Namespace == "default" ? service.Name : $"{service.Name}.{service.Namespace}";
        return
        [
            $"kubectl --kubeconfig {kubeconfig}{ns} get pods -w",
            string.Create(CultureInfo.InvariantCulture, $"curl http://127.0.0.1:{service.Spec.Ports[0].Port + ports.Offset}/"),
            string.Create(CultureInfo.InvariantCulture, $"dig @127.0.0.1 -p {ports.Dns} ") + (isNamedAlike ? $"_{workload.Replace(".", "-", StringComparison.Ordinal)}._tcp.declarative.mesos SRV" : $"{service.Name}.{service.Namespace}.svc.cluster.local"),
        ];
    }
}
