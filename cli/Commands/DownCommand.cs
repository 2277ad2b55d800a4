using System.CommandLine;
using System.Globalization;
using Declarative.Cli.Roles;
using Declarative.Mesos.Mini.Agents;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative down</c>: ends what runs on the directory, <c>up</c> or separate roles, then the workloads it left.</summary>
internal static class DownCommand
{
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(20);

    public static Command Make(Machine machine)
    {
        var data = CommonOptions.Data();
        var command = new Command("down", "Stop what runs on this directory, up or separate roles, then its workloads.") { data };
        command.SetAction((parsed, stop) => CommonOptions.Guard(() => Run(parsed.GetValue(data)!, machine, stop)));
        return command;
    }

    private static async Task<int> Run(string path, Machine machine, CancellationToken stop)
    {
        var data = DataDirectory.At(path);
        if (!Directory.Exists(data.Path)) throw new UsageException($"--data {path}: there is no such directory");
        foreach (var role in RoleInstance.Running(data)) await role.StopHolder(StopWithin, machine.Time, stop);
        await data.StopHolder(StopWithin, machine.Time, stop);
        await DataDirectory.At(data.Mesos).StopHolder(StopWithin, machine.Time, stop);
        // Held, so that no up begins while its tasks are ended.
        var held = DataDirectory.Hold(path);
        var mesos = DataDirectory.Hold(held.Mesos);
        try
        {
            var ended = 0;
            foreach (var options in AgentsOf(held)) ended += await ProcessAgent.EndTasks(options, machine.Time, machine.NewRandom(), stop);
            await Console.Out.WriteLineAsync(ended == 0 ? "No workloads were running." : string.Create(CultureInfo.InvariantCulture, $"Ended {ended} task{(ended == 1 ? "" : "s")}. What you applied is kept in {held.Path} and runs again with: declarative up --data {path}"));
            return 0;
        }
        finally
        {
            mesos.Release();
            held.Release();
        }
    }

    private static List<AgentOptions> AgentsOf(DataDirectory data)
    {
        var directory = Path.Combine(data.Mesos, "agents");
        var count = Directory.Exists(directory) ? Directory.GetDirectories(directory).Length : 0;
        return count == 0 ? [] : [.. MesosRole.Options(new(data.Mesos, 0, 0, count))];
    }
}
