using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Runners;

namespace Declarative.Mesos.Mini.Http;

/// <summary>
/// The files that an agent shows: those of its sandboxes, by their path on the machine or below <c>/frameworks/F/executors/E/runs/</c>
/// (a container id or <c>latest</c>), as Mesos has them. A link that leads out of its sandbox leads nowhere.
/// </summary>
internal sealed class AgentFiles(ProcessAgent agent)
{
    /// <summary>Mesos reads at most 16 pages at once.</summary>
    public const int ReadBytesMax = 16 * 4096;

    private const string Latest = "latest";

    /// <summary>The paths below which files are shown, with what they are on the machine.</summary>
    public IEnumerable<(string Shown, string Real)> Attached()
    {
        foreach (var runs in agent.Runs.GroupBy(run => System.IO.Path.GetDirectoryName(run.Sandbox)!))
        {
            var last = runs.Last();
            yield return ($"/frameworks/{last.FrameworkId.Value}/executors/{last.ExecutorId.Value}/runs/{Latest}", last.Sandbox);
            yield return ($"{runs.Key}/{Latest}", last.Sandbox);
            foreach (var run in runs)
                yield return (run.Sandbox, run.Sandbox);
        }
    }

    /// <summary>Null when there is no such directory.</summary>
    public List<(string Path, FileStatus Status)>? List(string path)
    {
        if (Resolve(path) is not { } real || FileStatus.Of(real) is not { IsDirectory: true })
            return null;
        List<(string, FileStatus)> files = [];
        foreach (var entry in Directory.EnumerateFileSystemEntries(real).Order(StringComparer.Ordinal))
        {
            var shown = $"{path.TrimEnd('/')}/{System.IO.Path.GetFileName(entry)}";
            if (Resolve(shown) is { } target && FileStatus.Of(target) is { } status)
                files.Add((shown, status));
        }

        return files;
    }

    /// <summary>The real path of a regular file; null when there is none.</summary>
    public string? Find(string path) => Resolve(path) is { } real && FileStatus.Of(real) is { IsRegular: true } ? real : null;

    /// <summary>A part of a file that <see cref="Find"/> gave, and how long the file is.</summary>
    public static async Task<(long Size, byte[] Data)> Read(string real, long offset, long? length, CancellationToken stop)
    {
        await using var file = new FileStream(real, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        var size = file.Length;
        var wanted = Math.Min(Math.Min(length ?? ReadBytesMax, ReadBytesMax), Math.Max(0, size - offset));
        var data = new byte[wanted];
        file.Seek(Math.Min(offset, size), SeekOrigin.Begin);
        var read = await file.ReadAtLeastAsync(data, data.Length, throwOnEndOfStream: false, stop);
        return (size, read == data.Length ? data : data[..read]);
    }

    private string? Resolve(string path)
    {
        foreach (var run in agent.Runs.Reverse())
        {
            var runs = System.IO.Path.GetDirectoryName(run.Sandbox)!;
            var virtualRuns = $"/frameworks/{run.FrameworkId.Value}/executors/{run.ExecutorId.Value}/runs";
            foreach (var prefix in (string[])[$"{runs}/{run.Container.Value}", $"{runs}/{Latest}", $"{virtualRuns}/{run.Container.Value}", $"{virtualRuns}/{Latest}"])
            {
                if (path == prefix || path.StartsWith(prefix + "/", StringComparison.Ordinal))
                    return Inside(run.Sandbox, path[prefix.Length..]);
            }
        }

        return null;
    }

    // Component by component, so that ".." and links cannot lead out.
    private static string? Inside(string sandbox, string rest)
    {
        const int linksMax = 40;
        var pending = new Stack<string>(rest.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse());
        var real = sandbox;
        var links = 0;
        while (pending.TryPop(out var part))
        {
            if (part == ".")
                continue;
            if (part == "..")
            {
                if (real == sandbox)
                    return null;
                real = System.IO.Path.GetDirectoryName(real)!;
                continue;
            }

            var next = System.IO.Path.Combine(real, part);
            if (new System.IO.FileInfo(next).LinkTarget is not { } target)
            {
                real = next;
                continue;
            }

            if (++links > linksMax)
                return null;
            if (target.StartsWith('/'))
            {
                if (target != sandbox && !target.StartsWith(sandbox + "/", StringComparison.Ordinal))
                    return null;
                target = target[sandbox.Length..];
                real = sandbox;
            }

            foreach (var inner in target.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse())
                pending.Push(inner);
        }

        return real;
    }
}
