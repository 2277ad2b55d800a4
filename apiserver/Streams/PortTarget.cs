using System.Globalization;
using System.Net.Sockets;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Streams;

/// <summary>Where a pod's declared ports are really open: the agent's address, and host ports of its offer.</summary>
internal sealed class PortTarget
{
    private static readonly TimeSpan ConnectWithin = TimeSpan.FromSeconds(10);
    private readonly Pod _pod;
    private readonly TaskAnnotation _task;
    private readonly TimeProvider _time;

    private PortTarget(Pod pod, TaskAnnotation task, string host, TimeProvider time)
    {
        _pod = pod;
        _task = task;
        _time = time;
        Host = host;
    }

    /// <summary>The agent's.</summary>
    public string Host { get; }

    /// <summary>Throws 400 where the pod does not run, 404 without the pod, 503 without its agent.</summary>
    public static async Task<PortTarget> Find(IApi api, ResourceKey key, TimeProvider time, CancellationToken stop)
    {
        var pod = Pod.Read((await api.Get(key, stop: stop)).Json);
        if (pod.Task is not { } task || pod.Spec.NodeName.Length == 0) throw Status.BadRequest($"pod \"{key.Name}\" does not have a host assigned: no agent has been found for it");
        if (pod.Status.Phase != "Running") throw Status.BadRequest($"pod \"{key.Name}\" is not running: its phase is {pod.Status.Phase}");
        return new(pod, task, (await ContainerTask.AgentOf(api, pod, stop)).Host, time);
    }

    /// <summary>The host port of a declared one, by number or name; null for others: on the agent they may belong to anybody.</summary>
    public int? HostPort(string port)
    {
        foreach (var container in _pod.Spec.Containers)
        {
            foreach (var declared in container.Ports)
            {
                if (declared.Protocol != "TCP") continue;
                if (declared.Name != port && declared.Number.ToString(CultureInfo.InvariantCulture) != port) continue;
                if (_task.HostPort(container.Name, declared.Number) is > 0 and var hostPort) return hostPort;
            }
        }
        return null;
    }

    /// <summary>The host port of the first declared one; null where there is none.</summary>
    public int? FirstPort => _pod.Spec.Containers.SelectMany(x => x.Ports).FirstOrDefault(x => x.Protocol == "TCP") is { } first ? HostPort(first.Number.ToString(CultureInfo.InvariantCulture)) : null;

    /// <summary>For people: why a port can not be reached.</summary>
    public string NotDeclared(string port)
    {
        var declared = _pod.Spec.Containers.SelectMany(x => x.Ports).Where(x => x.Protocol == "TCP").Select(x => x.Name.Length > 0 ? $"{x.Number} ({x.Name})" : $"{x.Number}").ToList();
        return $"pod \"{_pod.Name}\" declares no TCP port{(port.Length > 0 ? " " : "")}{port}; it declares {(declared.Count > 0 ? string.Join(", ", declared) : "none")}. Only declared ports (spec.containers[].ports) are reachable.";
    }

    /// <summary>Throws <see cref="IOException"/> whose message is for people.</summary>
    public async Task<Socket> Connect(string port, CancellationToken stop)
    {
        if (HostPort(port) is not { } hostPort) throw new IOException(NotDeclared(port));
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            using var within = CancellationTokenSource.CreateLinkedTokenSource(stop);
            using var limit = new CancellationTokenSource(ConnectWithin, _time);
            await using var _ = limit.Token.Register(within.Cancel);
            await socket.ConnectAsync(Host, hostPort, within.Token);
            return socket;
        }
        catch (Exception failed) when (failed is SocketException or OperationCanceledException)
        {
            socket.Dispose();
            stop.ThrowIfCancellationRequested();
            throw new IOException($"nothing answers for port {port} of pod \"{_pod.Name}\" at {Host}:{hostPort} ({(failed as SocketException)?.Message ?? "no answer within 10 s"}). "
                + "The process must listen on the port that its environment names (PORT0, PORT_<NAME>), and not only on the loopback address of its agent.", failed);
        }
    }
}
