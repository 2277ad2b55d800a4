using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Declarative.Cli.Roles;
using Declarative.Mesos.Mini.Agents;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative down</c>: ends a running <c>up</c> of the directory, then the workloads it left.</summary>
internal static partial class DownCommand
{
    private const int SigTerm = 15;
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(20);

    public static Command Make(Machine machine)
    {
        var data = CommonOptions.Data();
        var command = new Command("down", "Stop a running up of this directory, then its workloads.") { data };
        command.SetAction((parsed, stop) => CommonOptions.Guard(() => Run(parsed.GetValue(data)!, machine, stop)));
        return command;
    }

    private static async Task<int> Run(string path, Machine machine, CancellationToken stop)
    {
        var data = DataDirectory.At(path);
        if (!Directory.Exists(data.Path)) throw new UsageException($"--data {path}: there is no such directory");
        if (data.Holder() is { } pid)
        {
            await Console.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"Stopping process {pid} ..."));
            if (Kill(pid, SigTerm) != 0) throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"process {pid} can not be stopped: {Marshal.GetLastPInvokeErrorMessage()}"));
            using var limit = new CancellationTokenSource(StopWithin, machine.Time);
            while (data.Holder() is not null)
            {
                if (limit.IsCancellationRequested) throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"process {pid} has not stopped within {StopWithin.TotalSeconds:0} s"));
                await Task.Delay(TimeSpan.FromMilliseconds(50), machine.Time, stop);
            }
        }
        // Held, so that no up begins while its tasks are ended.
        var held = DataDirectory.Hold(path);
        try
        {
            var ended = 0;
            foreach (var options in AgentsOf(held)) ended += await ProcessAgent.EndTasks(options, machine.Time, machine.NewRandom(), stop);
            await Console.Out.WriteLineAsync(ended == 0 ? "No workloads were running." : string.Create(CultureInfo.InvariantCulture, $"Ended {ended} task{(ended == 1 ? "" : "s")}. What you applied is kept in {held.Path} and runs again with: declarative up --data {path}"));
            return 0;
        }
        finally
        {
            held.Release();
        }
    }

    private static List<AgentOptions> AgentsOf(DataDirectory data)
    {
        var directory = Path.Combine(data.Mesos, "agents");
        var count = Directory.Exists(directory) ? Directory.GetDirectories(directory).Length : 0;
        return count == 0 ? [] : [.. MesosRole.Options(new(data.Mesos, 0, 0, count))];
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
