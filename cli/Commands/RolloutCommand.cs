using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Wire;
using Declarative.Cli.Verbs;
using Declarative.Client.Reconcile;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative rollout status|history|undo|restart|pause|resume</c> of Deployments, with kubectl's writes.</summary>
internal static class RolloutCommand
{
    private const string RestartedAt = "kubectl.kubernetes.io/restartedAt";

    /// <summary>Annotations of a ReplicaSet that tell of itself and do not go back to the Deployment.</summary>
    private static readonly string[] OfTheSet =
    [
        ClientApply.Annotation, Revisions.NumberAnnotation, "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas", "deprecated.deployment.rollback.to",
    ];

    private delegate Task<int> Part(Session session, ResourceKey key, Stored stored, Deployment deployment, CancellationToken stop);

    public static Command Make(Machine machine)
    {
        var watch = new Option<bool>("--watch", "-w") { Description = "Wait until it is done", DefaultValueFactory = _ => true };
        var revision = new Option<long>("--revision") { Description = "Show this one's pod template", HelpName = "N" };
        var to = new Option<long>("--to-revision") { Description = "0 = the one before", HelpName = "N" };
        var rollout = new Command("rollout", "Follow and steer the rollouts of Deployments.");
        Add("status", "Say how far a rollout is, until it is done.", [watch], parsed => (session, key, stored, x, stop) => Status(session, key, stored, parsed.GetValue(watch), stop));
        Add("history", "List the revisions.", [revision], parsed => (session, key, _, x, stop) => History(session, x, parsed.GetValue(revision), stop));
        Add("undo", "Go back to a revision.", [to], parsed => (session, key, stored, x, stop) => Undo(session, key, stored, x, parsed.GetValue(to), stop));
        Add("restart", "Replace all pods by new ones of the same template.", [], _ => Restart);
        Add("pause", "Begin no new rollout until resume.", [], _ => (session, key, _, x, stop) => Pause(session, key, x, true, stop));
        Add("resume", "Go on after pause.", [], _ => (session, key, _, x, stop) => Pause(session, key, x, false, stop));
        return rollout;

        void Add(string name, string description, IReadOnlyList<Option> options, Func<ParseResult, Part> part)
        {
            var what = Verb.What("deployment/NAME");
            var command = new Command(name, description) { what };
            foreach (var option in options) command.Add(option);
            rollout.Add(command.With(machine, async (session, parsed, stop) =>
            {
                var code = 0;
                foreach (var (kind, name) in Target.ParseNamed(parsed.GetValue(what)!))
                {
                    if (kind != Kind.Deployment) throw new UsageException($"{KindNames.Of(kind, name)}: rollouts are of deployments");
                    var key = session.Key(kind, name);
                    var stored = await session.Api.Get(key, stop: stop);
                    code = Math.Max(code, await part(parsed)(session, key, stored, Deployment.Read(stored.Json), stop));
                }
                return code;
            }));
        }
    }

    private static async Task<int> Status(Session session, ResourceKey key, Stored stored, bool watch, CancellationToken stop)
    {
        if (watch) return await RolloutProgress.Wait(session, key, 0, stop) ? 0 : 1;
        await session.Out.WriteLineAsync(RolloutProgress.Of(key.Kind, stored).Text);
        return 0;
    }

    private static async Task<int> History(Session session, Deployment x, long number, CancellationToken stop)
    {
        var revisions = await Revisions.Of(session, x, stop);
        var name = KindNames.Of(Kind.Deployment, x.Name);
        if (number > 0)
        {
            var one = revisions.FirstOrDefault(y => y.Number == number) ?? throw new UsageException(NoSuch(number, revisions));
            await session.Out.WriteAsync($"{name} with revision #{number}\n{YamlText.Write(one.Template())}");
            return 0;
        }
        var width = Math.Max("REVISION".Length, revisions.Select(y => Text(y.Number).Length).DefaultIfEmpty(0).Max()) + 2;
        var text = new StringBuilder($"{name} \n").Append("REVISION".PadRight(width)).Append("CHANGE-CAUSE\n");
        foreach (var y in revisions) text.Append(Text(y.Number).PadRight(width)).Append(y.ChangeCause).Append('\n');
        await session.Out.WriteLineAsync(text.ToString());
        return 0;
    }

    private static async Task<int> Undo(Session session, ResourceKey key, Stored stored, Deployment x, long to, CancellationToken stop)
    {
        if (x.Spec.Paused) throw new UsageException($"deployment \"{x.Name}\" is paused; you cannot roll back a paused deployment: resume it first with: declarative rollout resume deployment/{x.Name}");
        var revisions = await Revisions.Of(session, x, stop);
        if (to == 0 && revisions.Count < 2) throw new UsageException($"no rollout history found for deployment \"{x.Name}\"");
        var back = to == 0 ? revisions[^2] : revisions.FirstOrDefault(y => y.Number == to) ?? throw new UsageException(NoSuch(to, revisions));
        var live = JsonNode.Parse(stored.Json.Span)!;
        var (current, template) = (live["spec"]!["template"]!.AsObject(), back.Template());
        Revisions.WithoutHash(current);
        var name = KindNames.Of(Kind.Deployment, x.Name);
        if (JsonNode.DeepEquals(current, template))
        {
            await session.Out.WriteLineAsync($"{name} skipped rollback (current template already matches revision {back.Number})");
            return 0;
        }
        // The Deployment keeps its own of the special annotations; all others come back from the revision.
        var annotations = new JsonObject();
        var set = Api.Objects.ApiObject.Read(back.ReplicaSet.Json).Metadata.Annotations;
        foreach (var (k, value) in x.Metadata.Annotations.Where(a => OfTheSet.Contains(a.Key)).Concat(set.Where(a => !OfTheSet.Contains(a.Key)))) annotations[k] = value;
        var patch = new JsonArray(
            new JsonObject { ["op"] = "replace", ["path"] = "/spec/template", ["value"] = template },
            new JsonObject { ["op"] = "replace", ["path"] = "/metadata/annotations", ["value"] = annotations });
        await session.Api.Patch(key, PatchKind.Json, Encoding.UTF8.GetBytes(patch.ToJsonString()), new(), stop);
        await session.Out.WriteLineAsync($"{name} rolled back");
        return 0;
    }

    private static async Task<int> Restart(Session session, ResourceKey key, Stored stored, Deployment x, CancellationToken stop)
    {
        if (x.Spec.Paused) throw new UsageException($"can't restart paused deployment (run rollout resume first)");
        var now = Body.Time(session.Machine.Time.GetUtcNow());
        var patch = Body.Of(json => json.Object("spec", spec => spec.Object("template", template => template.Object("metadata", metadata => metadata.Object("annotations", y => y.WriteString(RestartedAt, now))))));
        await Patch(session, key, patch, "restarted", stop);
        return 0;
    }

    private static async Task<int> Pause(Session session, ResourceKey key, Deployment x, bool pause, CancellationToken stop)
    {
        if (x.Spec.Paused == pause) throw new UsageException($"{Kind.Deployment.QualifiedPlural} \"{x.Name}\" is {(pause ? "already" : "not")} paused");
        var patch = Body.Of(json => json.Object("spec", spec =>
        {
            if (pause) spec.WriteBoolean("paused", true);
            else spec.WriteNull("paused");
        }));
        await Patch(session, key, patch, pause ? "paused" : "resumed", stop);
        return 0;
    }

    private static async Task Patch(Session session, ResourceKey key, byte[] patch, string did, CancellationToken stop)
    {
        await session.Api.Patch(key, PatchKind.Strategic, patch, new() { FieldManager = "kubectl-rollout" }, stop);
        await session.Out.WriteLineAsync($"{KindNames.Of(key.Kind, key.Name)} {did}");
    }

    private static string NoSuch(long number, IReadOnlyList<Revision> revisions) => $"unable to find specified revision {Text(number)} in history; there are: {string.Join(", ", revisions.Select(x => Text(x.Number)))}";

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
