using System.Runtime.InteropServices;

namespace Declarative.Tests.EndToEnd;

/// <summary>A process of a workload, found by its sandbox: its working directory lies under the platform's data directory.</summary>
internal sealed record TaskProcess(int Id, string Sandbox, string StartTicks, IReadOnlyList<string> Arguments)
{
    /// <summary>The uid of the pod whose task this is: executors are named <c>POD_UID.ATTEMPT</c>.</summary>
    public string PodUid => Sandbox.Split("/executors/") is [_, var rest] ? rest[..rest.IndexOf('.', StringComparison.Ordinal)] : "";

    /// <summary>All processes of the directory, the small shells that keep the tasks among them.</summary>
    public static IReadOnlyList<TaskProcess> Under(string data)
    {
        var found = new List<TaskProcess>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out var id)) continue;
            try
            {
                var sandbox = new FileInfo(folder + "/cwd").LinkTarget;
                if (sandbox is null || !sandbox.StartsWith(data + "/", StringComparison.Ordinal)) continue;
                var stat = File.ReadAllText(folder + "/stat");
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                if (fields[0] is "Z" or "X") continue;
                found.Add(new(id, sandbox, fields[19], File.ReadAllText(folder + "/cmdline").Split('\0', StringSplitOptions.RemoveEmptyEntries)));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                continue; // it has ended meanwhile, or is another user's
            }
        }
        return found;
    }

    /// <summary>The sample web servers alone, one for each task of <c>manifests/hello</c>.</summary>
    public static IReadOnlyList<TaskProcess> WebServers(string data) => [.. Under(data).Where(x => x.Arguments is [var program, "sample-web"] && Path.GetFileName(program) == "declarative")];

    public static void Signal(int process, int signal)
    {
        if (Kill(process, signal) != 0 && Marshal.GetLastPInvokeError() is var error and not NoSuchProcess) throw new InvalidOperationException($"kill {process}: {Marshal.GetPInvokeErrorMessage(error)}");
    }

    private const int NoSuchProcess = 3;

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int pid, int signal);
}
