using System.CommandLine;

namespace Declarative.Cli.Commands;

/// <summary>Every command by its name, in the order of the help.</summary>
internal static class CommandTable
{
    public static IReadOnlyList<(string Name, Func<Machine, Command> Make)> Rows { get; } =
    [
        ("up", UpCommand.Make),
        ("down", DownCommand.Make),
        ("apiserver", ApiServerCommand.Make),
        ("controllers", ControllersCommand.Make),
        ("dns", DnsCommand.Make),
        ("lb", LbCommand.Make),
        ("mesos", MesosCommand.Make),
        ("simulate", SimulateCommand.Make),
        ("restore", _ => RestoreCommand.Make()),
        .. Verb.Rows,
    ];

    /// <summary>The command that is named, else all of them: for a server that starts, the others are work for nothing.</summary>
    public static IEnumerable<Command> For(IReadOnlyList<string> args, Machine machine)
    {
        var named = Rows.Where(x => args.Count > 0 && x.Name == args[0]).ToList();
        return (named.Count > 0 ? named : Rows).Select(x => x.Make(machine));
    }
}
