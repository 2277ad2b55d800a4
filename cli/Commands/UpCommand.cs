using Declarative.Mesos.Scheduler;
using System.CommandLine;
using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Http;
using Declarative.Cli.Roles;
using Declarative.Lb;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative up</c>: everything in one process on an embedded one-machine Mesos.</summary>
internal static class UpCommand
{
    private static readonly TimeSpan ReadyWithin = TimeSpan.FromSeconds(60);

    public static Command Make(Machine machine)
    {
        var data = CommonOptions.Data();
        var offset = CommonOptions.PortOffset();
        var level = CommonOptions.LogLevel();
        var agents = new Option<int>("--agents") { Description = "Mesos agents on this machine", HelpName = "N", DefaultValueFactory = _ => 1 };
        agents.Validators.Add(result =>
        {
            if (!CommonOptions.IsWithin(result, 1, 100)) result.AddError("--agents: expected a number from 1 to 100");
        });
        var (clusterIps, nodePorts) = (CommonOptions.ClusterIps(), CommonOptions.NodePorts());
        var apply = new Option<string[]>("--apply") { Description = "File, directory or - to apply once the platform is ready; may be given again", HelpName = "PATH", DefaultValueFactory = _ => [] };
        var command = new Command("up", "Run everything in this process, on an embedded one-machine Mesos.") { data, agents, apply, offset, clusterIps, nodePorts, level };
        var acme = new AcmeOptions();
        acme.AddTo(command);
        command.SetAction((parsed, stop) => CommonOptions.Guard(() => Run(
            new(parsed.GetValue(data)!, parsed.GetValue(agents), parsed.GetValue(apply)!, new Ports(parsed.GetValue(offset)),
            new(parsed.GetValue(clusterIps)!, CommonOptions.PortRange(parsed.GetValue(nodePorts))!.Value), parsed.GetValue(level)!, acme.Read(parsed)), machine, stop)));
        return command;
    }

    private sealed record Settings(string Data, int Agents, IReadOnlyList<string> Apply, Ports Ports, ServiceRanges Ranges, string Level, Func<LbOptions, LbOptions> Lb);

    private static async Task<int> Run(Settings settings, Machine machine, CancellationToken stop)
    {
        var started = machine.Time.GetTimestamp();
        foreach (var path in settings.Apply) ApplyInput.Check(path);
        // Before the ports: it is this directory's own platform that listens there.
        DataDirectory.RefuseHeld(settings.Data);
        if (settings.Ports.Taken(settings.Agents) is { } taken) throw new UsageException(taken);
        var data = DataDirectory.Hold(settings.Data);
        using var logs = CommonOptions.Loggers(settings.Level);
        var instance = RoleInstance.Hold(data, "controllers");
        // Ended in the reverse order: the balancer first, Mesos last.
        var roles = new Stack<IAsyncDisposable>();
        var clean = true;
        try
        {
            var running = await Start(settings, data, instance, roles, machine, logs, stop);
            if (settings.Apply.Count > 0) await ApplyInput.Apply(settings.Apply, data.Kubeconfig, machine, Console.Out, stop);
            await Console.Out.WriteLineAsync(await Greeting.Text(
                roles.OfType<ApiServerRole>().Single().As(User.ApiServer), settings.Ports, settings.Agents, data.Kubeconfig, settings.Data, machine.Time.GetElapsedTime(started), stop));
            await Console.Out.FlushAsync(stop);
            var ended = await Task.WhenAny([.. running, Stopped(stop)]);
            clean = stop.IsCancellationRequested;
            await ended; // a role that ends by itself has failed: what it threw is the reason
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            clean = true;
        }
        finally
        {
            var tasks = roles.OfType<MesosRole>().FirstOrDefault()?.RunningTasks ?? 0;
            while (roles.TryPop(out var role)) await role.DisposeAsync();
            instance.Dispose();
            data.Release();
            if (stop.IsCancellationRequested)
            {
                await Console.Out.WriteLineAsync(tasks == 0 ? "Stopped. No workloads are running." : string.Create(CultureInfo.InvariantCulture, $"""
                    Stopped. {tasks} task{(tasks == 1 ? "" : "s")} of your workloads run on.
                      again with them   ./declarative up --data {settings.Data}{(settings.Ports.Offset > 0 ? $" --port-offset {settings.Ports.Offset}" : "")}
                      end them          ./declarative down --data {settings.Data}
                    """));
            }
        }
        return clean ? 0 : 1;
    }

    private static async Task<Task[]> Start(Settings settings, DataDirectory data, RoleInstance instance, Stack<IAsyncDisposable> roles, Machine machine, ILoggerFactory logs, CancellationToken stop)
    {
        var ports = settings.Ports;
        LbRole? lb = null;
        IApi? reader = null;
        DnsRole? dns = null;
        var mesos = await MesosRole.Start(new(data.Mesos, ports.Master, ports.FirstAgent, settings.Agents) { ClusterDns = () => dns?.ClusterAddress }, machine, logs, stop);
        roles.Push(mesos);
        var api = await ApiServerRole.Start(new(data, ports, settings.Ranges), machine, logs,
        [
            Check("mesos", () => mesos.IsReady, "agents have not registered"),
            Check("dns", () => dns is { IsReady: true }, "zones are not loaded"),
            Check("nodes", () => HasNodes(reader, settings.Agents), "Placement has not registered the agents as nodes"),
            Check("lb", () => lb is { IsReady: true }, "routes are not loaded"),
        ], stop);
        roles.Push(api);
        reader = api.As(User.ApiServer);
        var controllers = new ControllersRole(api.As, new() { Masters = new MasterList([mesos.Master]) }, new(), instance.Identity, machine, logs);
        roles.Push(controllers);
        dns = await DnsRole.Start(api.As(User.Dns), DnsRole.Defaults(ports, [mesos.Master.ToString()]), machine, logs);
        roles.Push(dns);
        lb = await LbRole.Start(api.As(User.Lb), ports, settings.Agents, settings.Ranges.ClusterIps, machine, logs, stop, settings.Lb);
        roles.Push(lb);

        using var late = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var waiting = Task.Delay(ReadyWithin, machine.Time, late.Token);
        while (!mesos.IsReady || !dns.IsReady || !lb.IsReady || !HasNodes(reader, settings.Agents))
        {
            if (waiting.IsCompleted) throw new IOException($"not ready within {ReadyWithin.TotalSeconds:0} s: mesos {mesos.IsReady}, dns {dns.IsReady}, lb {lb.IsReady}, nodes {HasNodes(reader, settings.Agents)}; run again with --log-level debug");
            await Task.Delay(TimeSpan.FromMilliseconds(5), machine.Time, stop);
        }
        late.Cancel();
        return [mesos.Running, api.Running, controllers.Running, dns.Running, lb.Running];
    }

    /// <summary>In process a list completes at once.</summary>
    private static bool HasNodes(IApi? api, int agents) => api?.List(new(Kind.Node)) is { IsCompletedSuccessfully: true } list && list.Result.Items.Count >= agents;

    private static HealthCheck Check(string name, Func<bool> isReady, string otherwise) => new(name, _ => ValueTask.FromResult(isReady() ? null : otherwise));

    private static Task Stopped(CancellationToken stop)
    {
        var stopped = Completion.New();
        stop.Register(() => stopped.TrySetResult());
        return stopped.Task;
    }
}
