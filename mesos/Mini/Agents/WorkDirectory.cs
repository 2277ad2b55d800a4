using Declarative.Mesos.Protocol;
using Google.Protobuf;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// The files of one agent. Sandboxes lie where Mesos has them (<c>slaves/ID/frameworks/F/executors/E/runs/C</c>, <c>latest</c> links to the
/// last one, a pod's containers in <c>containers/C</c> with <c>tasks/T</c> linking there); checkpoints in <c>meta/runs/C</c>.
/// </summary>
internal sealed class WorkDirectory
{
    private const string Latest = "latest";
    private readonly string root;
    private readonly string meta;

    public WorkDirectory(string root)
    {
        this.root = Path.GetFullPath(root);
        meta = Path.Combine(this.root, "meta");
        // Checkpoints hold the tasks' environment, secrets too.
        if (!OperatingSystem.IsWindows())
            Directory.CreateDirectory(meta, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.CreateDirectory(RunsMeta);
    }

    private string RunsMeta => Path.Combine(meta, "runs");
    private string AgentFile => Path.Combine(meta, "agent");

    /// <summary>The id the master gave, or null before the first registration.</summary>
    public string? AgentId
    {
        get => File.Exists(AgentFile) ? File.ReadAllText(AgentFile) : null;
        set
        {
            if (value is null)
                File.Delete(AgentFile);
            else
                WriteWhole(AgentFile, System.Text.Encoding.UTF8.GetBytes(value));
        }
    }

    public string Sandbox(string agent, string framework, string executor, string container) =>
        Path.Combine(Executor(agent, framework, executor), "runs", container);

    /// <summary>Where <c>latest</c> is in virtual paths too.</summary>
    public string Executor(string agent, string framework, string executor) =>
        Path.Combine(root, "slaves", agent, "frameworks", framework, "executors", executor);

    /// <summary>The agent's reservations and volumes.</summary>
    public string ResourcesFile => Path.Combine(meta, "resources");

    /// <summary>Where Mesos has persistent volumes of the root disk.</summary>
    public string Volume(string role, string id) => Path.Combine(root, "volumes", "roles", role, id);

    public string RunMeta(string container) => Path.Combine(RunsMeta, container);

    public IEnumerable<string> RunMetas() => Directory.EnumerateDirectories(RunsMeta).Order(StringComparer.Ordinal);

    /// <summary>Makes the sandbox of a run, with its two output files, and lets <c>latest</c> point to it.</summary>
    public static void MakeSandbox(string sandbox)
    {
        Directory.CreateDirectory(sandbox);
        MakeOutputs(sandbox);
        var link = Path.Combine(Path.GetDirectoryName(sandbox)!, Latest);
        Link(link, Path.GetFileName(sandbox));
    }

    public static void MakeTaskSandbox(string sandbox, string task)
    {
        var container = Path.Combine(sandbox, "containers", task);
        Directory.CreateDirectory(container);
        MakeOutputs(container);
    }

    public static void LinkTask(string sandbox, string task, string container)
    {
        Directory.CreateDirectory(Path.Combine(sandbox, "tasks"));
        Link(Path.Combine(sandbox, "tasks", task), Path.Combine("..", "containers", container));
    }

    /// <summary>The file is the old one or the new one, whole, whenever the agent dies.</summary>
    public static void Write(string file, IMessage message) => WriteWhole(file, message.ToByteArray());

    public static void WriteWhole(string file, byte[] bytes)
    {
        var next = file + ".next";
        File.WriteAllBytes(next, bytes);
        File.Move(next, file, overwrite: true);
    }

    /// <summary>Deletes a sandbox and, when it was the executor's last one, the executor's folder.</summary>
    public void Delete(string container, string sandbox)
    {
        if (Directory.Exists(sandbox))
            Directory.Delete(sandbox, recursive: true);
        var runs = Path.GetDirectoryName(sandbox)!;
        if (Directory.Exists(runs) && !Directory.EnumerateDirectories(runs).Any(run => Path.GetFileName(run) != Latest))
            Directory.Delete(Path.GetDirectoryName(runs)!, recursive: true);
        var own = RunMeta(container);
        if (Directory.Exists(own))
            Directory.Delete(own, recursive: true);
    }

    private static void MakeOutputs(string sandbox)
    {
        foreach (var name in (string[])["stdout", "stderr"])
        {
            using var made = new FileStream(Path.Combine(sandbox, name), FileMode.OpenOrCreate);
        }
    }

    private static void Link(string link, string target)
    {
        if (new System.IO.FileInfo(link).LinkTarget is not null)
            File.Delete(link);
        File.CreateSymbolicLink(link, target);
    }
}
