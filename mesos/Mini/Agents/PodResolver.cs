using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// The resolv.conf of a pod's processes: the cluster's DNS first, so that services are found by short names, then this machine's own servers
/// for all other names.
/// </summary>
/// <param name="Server">Address of the cluster's DNS, which answers on port 53.</param>
/// <param name="Domain">The cluster's domain.</param>
public sealed record PodResolver(string Server, string Domain)
{
    public const string FileName = "resolv.conf";
    private const string Machines = "/etc/resolv.conf";
    // What C libraries read at most (resolv.conf(5), MAXNS).
    private const int ServersMax = 3;

    /// <summary>Writes the file; null for a task that is no pod: it keeps what the machine has.</summary>
    internal string? Write(TaskInfo task, string directory)
    {
        if (TaskLabels.Of(task, TaskLabels.Pod)?.Split('/') is not [var ns, _])
            return null;
        var own = File.Exists(Machines)
            ? File.ReadLines(Machines).Where(line => line.StartsWith("nameserver", StringComparison.Ordinal) && !line.EndsWith(" " + Server, StringComparison.Ordinal)).Take(ServersMax - 1)
            : [];
        Directory.CreateDirectory(directory);
        var file = Path.Combine(directory, FileName);
        File.WriteAllLines(file, [$"nameserver {Server}", .. own, $"search {ns}.svc.{Domain} svc.{Domain} {Domain}", "options ndots:5"]);
        return file;
    }
}
