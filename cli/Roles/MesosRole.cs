using System.Net;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Master;
using Google.Protobuf;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Roles;

/// <summary>The embedded one-machine Mesos: a master and its agents, each with its HTTP API.</summary>
internal sealed class MesosRole : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly DataDirectory _held;
    private readonly MasterServer _master;
    private readonly IReadOnlyList<ProcessAgent> _agents;
    private readonly IReadOnlyList<AgentServer> _doors;
    private readonly Task _running;

    private MesosRole(DataDirectory held, MasterServer master, IReadOnlyList<ProcessAgent> agents, IReadOnlyList<AgentServer> doors)
    {
        (_held, _master, _agents, _doors) = (held, master, agents, doors);
        _running = Task.WhenAll(agents.Select(x => x.Run(master.Master, _stop.Token)));
    }

    public Task Running => _running;

    public Uri Master => new($"http://127.0.0.1:{_master.Port}");

    public bool IsReady => _agents.All(x => x.IsRegistered);

    public int RunningTasks => _agents.Sum(x => x.RunningTasks);

    public static async Task<MesosRole> Start(MesosSettings settings, Machine machine, ILoggerFactory logs, CancellationToken stop)
    {
        var registryFile = Path.Combine(settings.Directory, "registry");
        var held = DataDirectory.Hold(settings.Directory);
        var registry = File.Exists(registryFile) ? Read(registryFile, await File.ReadAllBytesAsync(registryFile, stop)) : null;
        var master = await MasterServer.Start(new IPEndPoint(IPAddress.Loopback, settings.MasterPort), port => new MiniMaster(
            new MasterOptions { Port = port, Cluster = "declarative", Credentials = settings.Credentials }, machine.Time, machine.NewRandom(), registry, saved => Save(registryFile, saved)), stop);
        var agents = Options(settings).Select(x => new ProcessAgent(x, machine.Time, machine.NewRandom(), logs.CreateLogger(x.Hostname))).ToList();
        var doors = new List<AgentServer>();
        foreach (var agent in agents) doors.Add(await AgentServer.Start(agent, new IPEndPoint(IPAddress.Loopback, agent.Options.Port), stop));
        return new(held, master, agents, doors);
    }

    public static IEnumerable<AgentOptions> Options(MesosSettings settings) =>
        Enumerable.Range(0, settings.Agents).Select(i => AgentOptions.ForThisMachine(settings.Directory, i, settings.Agents, settings.FirstAgentPort + i) with
        {
            // Placement leaves pods with images alone here, and says why, instead of trying.
            Attributes = [("images", "none")],
            ExecutorKey = settings.ExecutorKey,
            Resolver = () => settings.ClusterDns() is { } server ? new PodResolver(server.ToString(), new Declarative.Dns.DnsOptions().ClusterDomain) : null,
        });

    /// <summary>Stops agents and master; what the agents run goes on.</summary>
    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _running;
        foreach (var door in _doors) await door.DisposeAsync();
        await _master.DisposeAsync();
        _held.Release();
        _stop.Dispose();
    }

    private static Registry Read(string file, byte[] bytes)
    {
        try
        {
            return Registry.Parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new InvalidDataException($"{file}: damaged ({e.Message}); restore it from a backup, or remove it: agents register anew then and what they ran is replaced", e);
        }
    }

    /// <summary>Written beside and moved into place: a crash leaves the old registry or the new one.</summary>
    private static void Save(string file, Registry registry)
    {
        File.WriteAllBytes(file + ".new", registry.ToByteArray());
        File.Move(file + ".new", file, overwrite: true);
    }
}

internal sealed record MesosSettings(string Directory, int MasterPort, int FirstAgentPort, int Agents)
{
    /// <summary>Address on whose port 53 the cluster's DNS answers, asked for at each start of a pod; null: pods look for names as the machine does.</summary>
    public Func<IPAddress?> ClusterDns { get; init; } = () => null;

    /// <summary>See <see cref="AgentOptions.ExecutorKey"/>.</summary>
    public byte[]? ExecutorKey { get; init; }

    /// <summary>Secrets by principal of those who may speak with the master; null: everybody may.</summary>
    public IReadOnlyDictionary<string, string>? Credentials { get; init; }
}
