using System.CommandLine;
using Declarative.Api;
using Declarative.Cli.Verbs;
using Declarative.Client.Http;

namespace Declarative.Cli.Commands;

/// <summary>What all verbs share: which server, which namespace, and the bulkhead with kubectl's exit codes (0 done, 1 not).</summary>
internal static class Verb
{
    private const int Interrupted = 130;

    /// <summary>Each verb, in the order of the help.</summary>
    public static IReadOnlyList<(string Name, Func<Machine, Command> Make)> Rows { get; } =
    [
        ("apply", ApplyCommand.Make),
        ("get", GetCommand.Make),
        ("describe", DescribeCommand.Make),
        ("delete", DeleteCommand.Make),
        ("diff", DiffCommand.Make),
        ("plan", PlanCommand.Make),
        ("logs", LogsCommand.Make),
        ("scale", ScaleCommand.Make),
        ("rollout", RolloutCommand.Make),
        ("history", HistoryCommand.Make),
        ("undo", UndoCommand.Make),
        ("why", WhyCommand.Make),
        ("top", TopCommand.Make),
        ("backup", BackupCommand.Make),
    ];

    /// <summary>Adds the common options to a command and gives it its action.</summary>
    public static Command With(this Command command, Machine machine, Func<Session, ParseResult, CancellationToken, Task<int>> run)
    {
        var kubeconfig = new Option<string?>("--kubeconfig") { Description = "Server and credentials; default: DIR/kubeconfig, else $KUBECONFIG", HelpName = "FILE" };
        var data = CommonOptions.Data();
        var ns = new Option<string?>("--namespace", "-n") { Description = "Namespace; default: the kubeconfig's", HelpName = "NAME" };
        command.Add(kubeconfig);
        command.Add(data);
        command.Add(ns);
        command.SetAction((parsed, stop) => Guard(parsed.InvocationConfiguration.Error, async () =>
        {
            var isDataGiven = parsed.GetResult(data) is { Implicit: false };
            var config = Kubeconfig.Load(Path(parsed.GetValue(kubeconfig), parsed.GetValue(data)!, isDataGiven));
            using var api = new HttpApi(config, machine.Time);
            var given = parsed.GetValue(ns);
            var session = new Session(api, given ?? config.Namespace, given is not null, machine, parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            return await run(session, parsed, stop);
        }, stop));
        return command;
    }

    public static Option<string[]> Files() => new("--filename", "-f") { Description = "File, directory or - for standard input; may be given again", HelpName = "PATH", DefaultValueFactory = _ => [] };

    public static Argument<string[]> What(string description) => new("what") { Description = description, HelpName = "KIND/NAME", Arity = ArgumentArity.ZeroOrMore };

    private static string Path(string? kubeconfig, string data, bool isDataGiven)
    {
        if (kubeconfig is not null) return kubeconfig;
        var ours = DataDirectory.At(data).Kubeconfig;
        if (isDataGiven || File.Exists(ours)) return ours;
        return Environment.GetEnvironmentVariable("KUBECONFIG") is { Length: > 0 } theirs
            ? theirs.Split(System.IO.Path.PathSeparator)[0]
            : throw new UsageException($"{ours}: there is no kubeconfig; start the platform (declarative up), or name one with --kubeconfig FILE or --data DIR");
    }

    private static async Task<int> Guard(TextWriter errors, Func<Task<int>> verb, CancellationToken stop)
    {
        string message;
        try
        {
            return await verb();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return Interrupted;
        }
        catch (ApiException e)
        {
            message = e.Status.Reason.Length > 0 ? $"Error from server ({e.Status.Reason}): {e.Message}" : $"Error from server: {e.Message}";
        }
        catch (Exception e) when (e is UsageException or KubeconfigException or IOException or UnauthorizedAccessException or HttpRequestException)
        {
            message = "error: " + e.Message;
        }
        await errors.WriteLineAsync(message);
        return 1;
    }
}
