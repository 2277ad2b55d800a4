using System.CommandLine;
using Declarative.Cli.Verbs;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative apply</c>: makes what manifests say, so that kubectl apply can go on from there.</summary>
internal static class ApplyCommand
{
    public static Command Make(Machine machine)
    {
        var files = Verb.Files();
        var dryRun = new Option<string?>("--dry-run") { Description = "Change nothing: client only compares, server also validates", HelpName = "client|server", Arity = ArgumentArity.ZeroOrOne };
        dryRun.AcceptOnlyFromAmong("none", "client", "server");
        var wait = new Option<bool>("--wait") { Description = "Wait until Deployments are rolled out and pods are ready" };
        return new Command("apply", "Make the objects of manifests, or change them to what the manifests say.") { files, dryRun, wait }.With(machine, (session, parsed, stop) =>
        {
            var paths = parsed.GetValue(files)!;
            if (paths.Length == 0) throw new UsageException("apply what? Give -f PATH (a file, a directory, or - for standard input)");
            var dry = parsed.GetResult(dryRun) is null ? DryRun.None : parsed.GetValue(dryRun) switch { "none" => DryRun.None, "server" => DryRun.Server, _ => DryRun.Client };
            return ApplyInput.Apply(session, paths, dry, parsed.GetValue(wait), stop);
        });
    }
}
