using System.CommandLine;
using Declarative.Api;
using Declarative.Cli.Verbs;
using Declarative.Client.Reconcile;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative scale</c>, through the scale subresource.</summary>
internal static class ScaleCommand
{
    public static Command Make(Machine machine)
    {
        var what = Verb.What("KIND/NAME of a Deployment, ReplicaSet or StatefulSet");
        var replicas = new Option<int>("--replicas") { Description = "How many pods to run", HelpName = "N", Required = true };
        replicas.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 0) result.AddError("--replicas: expected 0 or more");
        });
        return new Command("scale", "Change how many pods a workload has.") { what, replicas }.With(machine, async (session, parsed, stop) =>
        {
            foreach (var (kind, name) in Target.ParseNamed(parsed.GetValue(what)!))
            {
                if (!kind.Subresources.Contains("scale")) throw new UsageException($"{KindNames.Of(kind, name)} cannot be scaled: {kind.Plural} have no replicas");
                var patch = Body.Of(json => json.Object("spec", x => x.WriteNumber("replicas", parsed.GetValue(replicas))));
                await session.Api.Patch(session.Key(kind, name), PatchKind.Merge, patch, new() { Subresource = "scale" }, stop);
                await session.Out.WriteLineAsync($"{KindNames.Of(kind, name)} scaled");
            }
            return 0;
        });
    }
}
