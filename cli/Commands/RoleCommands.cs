using System.CommandLine;
using System.Net;
using Declarative.Api;
using Declarative.Cli.Roles;
using Declarative.Client.Http;
using Declarative.Client.Informers;
using Declarative.Controllers.HorizontalPodAutoscalers;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Commands;

/// <summary>What the commands of separate roles share: options, start, the wait for the end.</summary>
internal static class RoleCommand
{
    public static async Task<int> UntilStopped(string what, Task running, IReadOnlyList<IAsyncDisposable> roles, CancellationToken stop)
    {
        await Console.Out.WriteLineAsync($"{what} Stop with Ctrl-C.");
        await Console.Out.FlushAsync(stop);
        var stopped = Completion.New();
        await using var registration = stop.Register(() => stopped.TrySetResult());
        await Task.WhenAny(running, stopped.Task);
        foreach (var role in roles) await role.DisposeAsync();
        if (stop.IsCancellationRequested) return 0;
        await running;
        return 1;
    }

    /// <summary>The API as a role's own identity, over HTTPS.</summary>
    public static IApi Remote(string? kubeconfig, DataDirectory data, string role, Machine machine, ILoggerFactory logs)
    {
        var path = kubeconfig ?? data.RoleKubeconfig(role);
        if (!File.Exists(path)) throw new UsageException($"{path}: no kubeconfig there; the API server writes it (declarative apiserver --data DIR), or give --kubeconfig");
        return new HttpApi(Kubeconfig.Load(path), machine.Time) { Logger = logs.CreateLogger(role) };
    }

    public static Option<string?> KubeconfigOption() => new("--kubeconfig") { Description = "Credentials of this role; default: DIR/pki/ROLE.kubeconfig", HelpName = "FILE" };
}

internal static class MesosCommand
{
    public static Command Make(Machine machine)
    {
        var (data, offset, level) = (CommonOptions.Data(), CommonOptions.PortOffset(), CommonOptions.LogLevel());
        var agents = new Option<int>("--agents") { Description = "Agents on this machine", HelpName = "N", DefaultValueFactory = _ => 1 };
        var dns = new Option<string?>("--cluster-dns") { Description = "Address on whose port 53 pods find the cluster's DNS, for example 127.64.0.10; needs the right to mount", HelpName = "IP" };
        var credentials = new Option<string?>("--credentials") { Description = "Lets in only these with the master (HTTP basic): a line PRINCIPAL SECRET each, or Mesos' JSON", HelpName = "FILE" };
        var executors = new Option<string?>("--jwt-secret-key") { Description = "Executors that frameworks bring must authenticate with the agents, by tokens that are made with the key in this file", HelpName = "FILE" };
        var command = new Command("mesos", "Run the embedded Mesos: one master and agents that start plain processes.") { data, agents, dns, credentials, executors, offset, level };
        command.SetAction((parsed, stop) => CommonOptions.Guard(async () =>
        {
            using var logs = CommonOptions.Loggers(parsed.GetValue(level)!);
            var ports = new Ports(parsed.GetValue(offset));
            var directory = DataDirectory.At(parsed.GetValue(data)!);
            var server = parsed.GetValue(dns) is not { } text ? null : IPAddress.TryParse(text, out var address) ? address : throw new UsageException($"--cluster-dns {text}: expected an IP address");
            var role = await MesosRole.Start(new(directory.Mesos, ports.Master, ports.FirstAgent, parsed.GetValue(agents)) { ClusterDns = () => server, Credentials = Credentials(parsed.GetValue(credentials)), ExecutorKey = ExecutorKey(parsed.GetValue(executors)) }, machine, logs, stop);
            return await RoleCommand.UntilStopped($"Mesos master at {role.Master}, {parsed.GetValue(agents)} agents from port {ports.FirstAgent}.", role.Running, [role], stop);
        }));
        return command;
    }

    private static byte[]? ExecutorKey(string? file)
    {
        try
        {
            return file is null ? null : File.ReadAllBytes(file) is { Length: > 0 } key ? key : throw new UsageException($"--jwt-secret-key: {file} is empty");
        }
        catch (Exception wrong) when (wrong is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--jwt-secret-key: {wrong.Message}");
        }
    }

    private static IReadOnlyDictionary<string, string>? Credentials(string? file)
    {
        try
        {
            return file is null ? null : Declarative.Mesos.Mini.Master.Credentials.Read(file);
        }
        catch (Exception wrong) when (wrong is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--credentials: {wrong.Message}");
        }
    }
}

internal static class ApiServerCommand
{
    public static Command Make(Machine machine)
    {
        var (data, offset, level) = (CommonOptions.Data(), CommonOptions.PortOffset(), CommonOptions.LogLevel());
        var (clusterIps, nodePorts) = (CommonOptions.ClusterIps(), CommonOptions.NodePorts());
        var tokens = new Option<string>("--token-auth-file") { Description = "More bearer tokens, one a line: token,user,uid,\"group,group\"", HelpName = "FILE", DefaultValueFactory = _ => "" };
        var keys = new Option<string>("--encryption-keys") { Description = "Encrypts Secrets at rest: a line NAME:KEY each (32 bytes in base64), the first writes, all read", HelpName = "FILE", DefaultValueFactory = _ => "" };
        var days = new Option<int>("--history-days") { Description = "Old states of objects are kept this long", HelpName = "N", DefaultValueFactory = _ => 30 };
        days.Validators.Add(result =>
        {
            if (!CommonOptions.IsWithin(result, 0, 36_500)) result.AddError("--history-days: expected a number from 0 to 36500");
        });
        var megabytes = new Option<int>("--history-mb") { Description = "And the oldest of them only up to so many megabytes", HelpName = "N", DefaultValueFactory = _ => 1024 };
        megabytes.Validators.Add(result =>
        {
            if (!CommonOptions.IsWithin(result, 0, 1_000_000)) result.AddError("--history-mb: expected a number from 0 to 1000000");
        });
        var audit = new Option<string>("--audit-log") { Description = "Records who did what, a JSON line each (audit.k8s.io/v1 Event)", HelpName = "FILE", DefaultValueFactory = _ => "" };
        var policy = new Option<string>("--audit-policy") { Description = "How much of which request is recorded (audit.k8s.io/v1 Policy); default: metadata", HelpName = "FILE", DefaultValueFactory = _ => "" };
        var command = new Command("apiserver", "Run the API server alone.") { data, offset, clusterIps, nodePorts, tokens, keys, days, megabytes, audit, policy, level };
        var etcd = new EtcdArguments();
        etcd.AddTo(command);
        var oidc = new OidcArguments();
        oidc.AddTo(command);
        command.SetAction((parsed, stop) => CommonOptions.Guard(async () =>
        {
            using var logs = CommonOptions.Loggers(parsed.GetValue(level)!);
            if (parsed.GetValue(policy)!.Length > 0 && parsed.GetValue(audit)!.Length == 0) throw new UsageException("--audit-policy: needs --audit-log FILE beside it");
            var directory = DataDirectory.Hold(parsed.GetValue(data)!);
            try
            {
                var ranges = new ServiceRanges(parsed.GetValue(clusterIps)!, CommonOptions.PortRange(parsed.GetValue(nodePorts))!.Value);
                var role = await ApiServerRole.Start(new(directory, new Ports(parsed.GetValue(offset)), ranges)
                {
                    TokenFile = parsed.GetValue(tokens)!,
                    KeyFile = parsed.GetValue(keys)!,
                    Etcd = etcd.Read(parsed),
                    Oidc = oidc.Read(parsed),
                    Audit = parsed.GetValue(audit) is { Length: > 0 } file ? new(file) { PolicyFile = parsed.GetValue(policy)! } : null,
                    HistoryKeptFor = TimeSpan.FromDays(parsed.GetValue(days)),
                    HistoryBytesMax = parsed.GetValue(megabytes) * 1024L * 1024,
                }, machine, logs, [], stop);
                return await RoleCommand.UntilStopped($"API server at {role.Url}, kubeconfig {directory.Kubeconfig}.", role.Running, [role], stop);
            }
            finally
            {
                directory.Release();
            }
        }));
        return command;
    }
}

internal static class ControllersCommand
{
    /// <summary>So that from the end of one process to the first placement by another less than 3 s pass; it costs three leases two renewals a second each.</summary>
    private const int TakeoverSeconds = 2;

    public static Command Make(Machine machine)
    {
        var (data, level) = (CommonOptions.Data(), CommonOptions.LogLevel());
        var kubeconfig = RoleCommand.KubeconfigOption();
        var placement = new Option<string?>("--placement-kubeconfig") { Description = "Credentials of Placement; default: DIR/pki/placement.kubeconfig", HelpName = "FILE" };
        var takeover = new Option<int>("--takeover-seconds") { Description = "Another process takes over so long after one is gone; both need the same", HelpName = "N", DefaultValueFactory = _ => TakeoverSeconds };
        takeover.Validators.Add(result =>
        {
            if (!CommonOptions.IsWithin(result, 2, 300)) result.AddError("--takeover-seconds: expected a number from 2 to 300");
        });
        var autoscaling = new AutoscalerOptions();
        var syncPeriod = new Option<int>("--horizontal-pod-autoscaler-sync-period") { Description = "Seconds between two looks at one HorizontalPodAutoscaler", HelpName = "SECONDS", DefaultValueFactory = _ => (int)autoscaling.SyncPeriod.TotalSeconds };
        syncPeriod.Validators.Add(result =>
        {
            if (!CommonOptions.IsWithin(result, 1, 3600)) result.AddError("--horizontal-pod-autoscaler-sync-period: expected a number from 1 to 3600");
        });
        var (masters, framework) = (new MasterOptions(), new FrameworkOptions());
        var command = new Command("controllers", "Run the controllers, Placement among them.") { data, kubeconfig, placement, takeover, syncPeriod, level };
        masters.AddTo(command);
        framework.AddTo(command);
        command.SetAction((parsed, stop) => CommonOptions.Guard(async () =>
        {
            using var logs = CommonOptions.Loggers(parsed.GetValue(level)!);
            var directory = DataDirectory.At(parsed.GetValue(data)!);
            var asControllers = new SharedWatches(RoleCommand.Remote(parsed.GetValue(kubeconfig), directory, "controllers", machine, logs));
            var asPlacement = new SharedWatches(RoleCommand.Remote(parsed.GetValue(placement), directory, "placement", machine, logs), asControllers);
            using var instance = RoleInstance.Hold(directory, "controllers");
            var role = new ControllersRole(user => user.Name == User.Placement.Name ? asPlacement : asControllers, masters.Read(parsed, machine.Time), framework.Read(parsed), instance.Identity, machine, logs, parsed.GetValue(takeover),
                autoscaling with { SyncPeriod = TimeSpan.FromSeconds(parsed.GetValue(syncPeriod)) });
            return await RoleCommand.UntilStopped($"Controllers on {masters.Text(parsed)}.", role.Running, [role], stop);
        }));
        return command;
    }
}

internal static class LbCommand
{
    public static Command Make(Machine machine)
    {
        var (data, offset, level, kubeconfig) = (CommonOptions.Data(), CommonOptions.PortOffset(), CommonOptions.LogLevel(), RoleCommand.KubeconfigOption());
        var clusterIps = CommonOptions.ClusterIps();
        var access = new Option<string>("--access-log") { Description = "One JSON line per request and connection into this file, - = standard output", HelpName = "FILE", DefaultValueFactory = _ => "" };
        var proxies = new Option<string[]>("--proxy-protocol-from") { Description = "Connections from this network begin with the PROXY protocol's header; may be given again", HelpName = "NETWORK", DefaultValueFactory = _ => [] };
        proxies.Validators.Add(result =>
        {
            foreach (var token in result.Tokens)
            {
                if (!System.Net.IPNetwork.TryParse(token.Value, out _)) result.AddError($"--proxy-protocol-from {token.Value}: expected a network as 10.0.0.0/8");
            }
        });
        var groups = new Option<string[]>("--group") { Description = "Of Services with labels HAPROXY_… only those of this group, * = of every group; may be given again", HelpName = "NAME", DefaultValueFactory = _ => [] };
        var command = new Command("lb", "Run the load balancer alone.") { data, kubeconfig, offset, clusterIps, level, access, proxies, groups };
        var acme = new AcmeOptions();
        acme.AddTo(command);
        command.SetAction((parsed, stop) => CommonOptions.Guard(async () =>
        {
            var ordering = acme.Read(parsed);
            using var logs = CommonOptions.Loggers(parsed.GetValue(level)!);
            var ports = new Ports(parsed.GetValue(offset));
            var directory = DataDirectory.At(parsed.GetValue(data)!);
            var api = RoleCommand.Remote(parsed.GetValue(kubeconfig), directory, "lb", machine, logs);
            using var instance = RoleInstance.Hold(directory, "lb");
            var role = await LbRole.Start(api, ports, 1, parsed.GetValue(clusterIps)!, machine, logs, stop, x => ordering(x) with
            {
                AccessLog = parsed.GetValue(access)!,
                ProxyProtocolFrom = [.. parsed.GetValue(proxies)!.Select(y => System.Net.IPNetwork.Parse(y))],
                Groups = parsed.GetValue(groups)!,
            });
            return await RoleCommand.UntilStopped($"Load balancer at http://127.0.0.1:{ports.LbHttp}, admin at {ports.LbAdmin}.", role.Running, [role], stop);
        }));
        return command;
    }
}
