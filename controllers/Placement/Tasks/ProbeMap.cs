using System.Globalization;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>
/// Probes as Mesos checks (architecture.md, decision 6): liveness and startup → HealthCheck, readiness → CheckInfo. What Mesos cannot say
/// (https readiness, headers, another host) is asked by curl in a COMMAND check; grpc and unresolvable ports give a warning and no check.
/// </summary>
internal static class ProbeMap
{
    public static HealthCheck? Health(Container container, TaskContext context, List<string> warnings)
    {
        var probe = container.LivenessProbe ?? container.StartupProbe;
        if (probe is null) return null;
        var field = container.LivenessProbe is null ? "startupProbe" : "livenessProbe";
        if (container.LivenessProbe is null) warnings.Add($"container {container.Name}: startupProbe goes on as a health check after the start");
        var startup = container.StartupProbe;
        var health = new HealthCheck
        {
            DelaySeconds = startup is null ? probe.InitialDelaySeconds : 0,
            IntervalSeconds = Seconds(probe.PeriodSeconds, 10),
            TimeoutSeconds = Seconds(probe.TimeoutSeconds, 1),
            ConsecutiveFailures = (uint)Seconds(probe.FailureThreshold, 3),
            GracePeriodSeconds = startup is null ? 0 : startup.InitialDelaySeconds + Seconds(startup.FailureThreshold, 3) * Seconds(startup.PeriodSeconds, 10),
        };
        switch (probe)
        {
            case { Exec: { } exec }:
                health.Type = HealthCheck.Types.Type.Command;
                health.Command = Argv(exec.Command);
                return health;
            case { TcpSocket: { } tcp } when Resolve(tcp.Port, container, context) is { } port && IsHere(tcp.Host):
                health.Type = HealthCheck.Types.Type.Tcp;
                health.Tcp = new() { Port = port };
                return health;
            case { HttpGet: { } http } when Resolve(http.Port, container, context) is { } port:
                if (IsHere(http.Host) && http.HttpHeaders.Count == 0)
                {
                    health.Type = HealthCheck.Types.Type.Http;
                    health.Http = new() { Port = port, Path = Path(http), Scheme = http.Scheme.ToLowerInvariant() };
                }
                else
                {
                    health.Type = HealthCheck.Types.Type.Command;
                    health.Command = Curl(http, port, Seconds(probe.TimeoutSeconds, 1));
                }
                return health;
            default:
                warnings.Add(Unsayable(container, field, probe));
                return null;
        }
    }

    public static CheckInfo? Check(Container container, TaskContext context, List<string> warnings)
    {
        if (container.ReadinessProbe is not { } probe) return null;
        var check = new CheckInfo
        {
            DelaySeconds = probe.InitialDelaySeconds,
            IntervalSeconds = Seconds(probe.PeriodSeconds, 10),
            TimeoutSeconds = Seconds(probe.TimeoutSeconds, 1),
        };
        switch (probe)
        {
            case { Exec: { } exec }:
                check.Type = CheckInfo.Types.Type.Command;
                check.Command = new() { Command_ = Argv(exec.Command) };
                return check;
            case { TcpSocket: { } tcp } when Resolve(tcp.Port, container, context) is { } port && IsHere(tcp.Host):
                check.Type = CheckInfo.Types.Type.Tcp;
                check.Tcp = new() { Port = port };
                return check;
            case { HttpGet: { } http } when Resolve(http.Port, container, context) is { } port:
                if (IsHere(http.Host) && http.HttpHeaders.Count == 0 && http.Scheme is "" or "HTTP")
                {
                    check.Type = CheckInfo.Types.Type.Http;
                    check.Http = new() { Port = port, Path = Path(http) };
                }
                else
                {
                    check.Type = CheckInfo.Types.Type.Command;
                    check.Command = new() { Command_ = Curl(http, port, Seconds(probe.TimeoutSeconds, 1)) };
                }
                return check;
            default:
                warnings.Add(Unsayable(container, "readinessProbe", probe));
                return null;
        }
    }

    /// <summary>True where readiness comes from check updates and not from running alone.</summary>
    public static bool HasCheck(Container container) =>
        container.ReadinessProbe is { } probe && (probe.Exec is not null || probe.TcpSocket is { } tcp && IsHere(tcp.Host) && IsKnown(tcp.Port, container) || probe.HttpGet is { } http && IsKnown(http.Port, container));

    private static int Seconds(int given, int otherwise) => given > 0 ? given : otherwise;

    private static string Path(HttpGetAction http) => http.Path.Length == 0 ? "/" : http.Path.StartsWith('/') ? http.Path : "/" + http.Path;

    private static bool IsHere(string host) => host is "" or "127.0.0.1" or "localhost";

    private static bool IsKnown(IntOrString port, Container container) => !port.IsText || container.Ports.Any(x => x.Name == port.Text);

    /// <summary>The host port of a declared port; an undeclared number is meant as it stands, since processes share the host's network.</summary>
    private static uint? Resolve(IntOrString port, Container container, TaskContext context)
    {
        if (port.IsText)
        {
            var named = container.Ports.FirstOrDefault(x => x.Name == port.Text);
            return named is null ? null : (uint)context.HostPort(container.Name, named.Number);
        }
        var host = context.HostPort(container.Name, port.Int);
        return (uint)(host > 0 ? host : port.Int);
    }

    private static CommandInfo Argv(IReadOnlyList<string> command)
    {
        var info = new CommandInfo { Shell = false, Value = command.Count > 0 ? command[0] : "" };
        info.Arguments.Add(command);
        return info;
    }

    private static CommandInfo Curl(HttpGetAction http, uint port, int timeout)
    {
        var host = http.Host.Length > 0 ? http.Host : "127.0.0.1";
        // Certificates are not verified, as the kubelet does not; 3xx counts as success.
        List<string> argv = ["curl", "-fsSk", "-o", "/dev/null", "-m", timeout.ToString(CultureInfo.InvariantCulture)];
        foreach (var header in http.HttpHeaders) argv.AddRange(["-H", $"{header.Name}: {header.Value}"]);
        argv.Add($"{(http.Scheme.Length == 0 ? "http" : http.Scheme.ToLowerInvariant())}://{host}:{port}{Path(http)}");
        return Argv(argv);
    }

    private static string Unsayable(Container container, string field, Probe probe)
    {
        var why = probe.Grpc is not null ? "grpc probes have no Mesos check; use exec"
            : probe.TcpSocket is { } tcp && !IsHere(tcp.Host) ? $"a tcp check of another host ({tcp.Host}) has no Mesos check"
            : probe.TcpSocket is not null || probe.HttpGet is not null ? $"port \"{probe.TcpSocket?.Port ?? probe.HttpGet?.Port}\" is not a declared port (declared: {string.Join(", ", container.Ports.Select(x => x.Name.Length > 0 ? x.Name : x.Number.ToString(CultureInfo.InvariantCulture)))})"
            : "it has no handler";
        return $"container {container.Name}: {field} is not run: {why}";
    }
}
