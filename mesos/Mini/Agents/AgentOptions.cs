namespace Declarative.Mesos.Mini.Agents;

/// <summary>One embedded agent that runs processes. Memory and disk in MB, as Mesos counts them.</summary>
public sealed record AgentOptions
{
    private const string DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// <summary>Sandboxes and checkpoints; a later agent with the same directory is the same agent and finds its tasks again.</summary>
    public required string WorkDirectory { get; init; }
    public required string Hostname { get; init; }

    /// <summary>Where tasks and the agent's own API are reached.</summary>
    public string Ip { get; init; } = "127.0.0.1";
    public int Port { get; init; } = 5051;
    public required double Cpus { get; init; }
    public required double MemoryMegabytes { get; init; }
    public required double DiskMegabytes { get; init; }

    /// <summary>Both inclusive.</summary>
    public required (int Begin, int End) Ports { get; init; }
    /// <summary>A value that is a number is a scalar attribute, any other a text.</summary>
    public IReadOnlyList<(string Name, string Value)> Attributes { get; init; } = [];

    /// <summary>Variables that every task gets unless it sets them itself; nothing of the agent's own environment is passed on.</summary>
    public IReadOnlyList<(string Name, string Value)> TaskEnvironment { get; init; } = [("PATH", DefaultPath)];

    /// <summary>How long the sandbox of an ended task is kept (Mesos' gc_delay).</summary>
    public TimeSpan SandboxAge { get; init; } = TimeSpan.FromDays(7);

    /// <summary>The version of Mesos that it says it is (architecture.md, decision 16).</summary>
    public string Version { get; init; } = Mini.Version.Text;
    public bool UseCgroups { get; init; } = true;

    /// <summary>For executors that frameworks bring.</summary>
    public ExecutorTimes Executors { get; init; } = new();

    /// <summary>
    /// The key of the tokens by which executors that frameworks bring must show who they are (<c>jwt_secret_key</c>); the same after a restart,
    /// since executors keep their token. null: any process of this machine may speak as an executor.
    /// </summary>
    public byte[]? ExecutorKey { get; init; }

    /// <summary>Asked at each start of a pod: where its processes look for names, where this agent may mount; null: as the machine does.</summary>
    public Func<PodResolver?> Resolver { get; init; } = () => null;

    /// <summary>
    /// One of <paramref name="count"/> agents that share this machine and offer 31000–32000 in disjoint equal blocks
    /// (architecture.md, decision 13).
    /// </summary>
    /// <param name="dataDirectory">The agents' work directories are <c>agents/agent-N</c> in it.</param>
    /// <param name="index">From 0.</param>
    /// <param name="port">Of this agent's own API.</param>
    public static AgentOptions ForThisMachine(string dataDirectory, int index, int count, int port)
    {
        const int firstPort = 31000;
        const int ports = 1001;
        var block = ports / count;
        var megabytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (1024.0 * 1024);
        var name = $"agent-{index}";
        var directory = Path.GetFullPath(Path.Combine(dataDirectory, "agents", name));
        Directory.CreateDirectory(directory);
        var disk = new DriveInfo(directory).AvailableFreeSpace / (1024.0 * 1024);
        return new()
        {
            WorkDirectory = directory,
            Hostname = name,
            Port = port,
            Cpus = Math.Round((double)Environment.ProcessorCount / count, 2),
            // As Mesos does: 1 GB is left to the system, or half where there is little.
            MemoryMegabytes = Math.Floor((megabytes > 2048 ? megabytes - 1024 : megabytes / 2) / count),
            DiskMegabytes = Math.Floor((disk > 10240 ? disk - 5120 : disk / 2) / count),
            Ports = (firstPort + index * block, firstPort + (index + 1) * block - 1),
            TaskEnvironment = OwnCommands(),
        };
    }

    // Manifests may name this executable's own commands (sample-web), which need the .NET runtime where it is now.
    private static List<(string, string)> OwnCommands()
    {
        List<(string, string)> variables = [("PATH", $"{DefaultPath}:{AppContext.BaseDirectory.TrimEnd('/')}")];
        if (Environment.GetEnvironmentVariable("DOTNET_ROOT") is { Length: > 0 } runtime)
            variables.Add(("DOTNET_ROOT", runtime));
        return variables;
    }
}
