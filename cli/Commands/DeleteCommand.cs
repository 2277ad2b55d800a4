using System.CommandLine;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Cli.Verbs;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative delete</c>: by name, by manifest or by label; waits until the objects are gone.</summary>
internal static class DeleteCommand
{
    private sealed record How(long? Grace, bool Force, bool Wait, bool IgnoreNotFound);

    public static Command Make(Machine machine)
    {
        var what = Verb.What("KIND NAME… or KIND/NAME…; a kind alone with -l or --all");
        var files = Verb.Files();
        var labels = new Option<string?>("--selector", "-l") { Description = "All objects with these labels", HelpName = "SELECTOR" };
        var all = new Option<bool>("--all") { Description = "All objects of the kind in the namespace" };
        var grace = new Option<long?>("--grace-period") { Description = "Seconds to end in; default: the object's own", HelpName = "SECONDS" };
        var force = new Option<bool>("--force") { Description = "With --grace-period 0: do not wait for the workload to end" };
        var wait = new Option<bool>("--wait") { Description = "Wait until the objects are gone", DefaultValueFactory = _ => true };
        var ignore = new Option<bool>("--ignore-not-found") { Description = "An object that is not there is no error" };
        return new Command("delete", "Delete objects.") { what, files, labels, all, grace, force, wait, ignore }.With(machine, async (session, parsed, stop) =>
        {
            var how = new How(parsed.GetValue(grace) ?? (parsed.GetValue(force) ? 0 : null), parsed.GetValue(force), parsed.GetValue(wait), parsed.GetValue(ignore));
            if (how is { Grace: 0, Force: false }) how = how with { Grace = 1 }; // as kubectl: at once only with --force
            if (how is { Force: true, Grace: > 0 }) throw new UsageException("--force and --grace-period greater than 0 cannot be given together");
            var (keys, faults) = parsed.GetValue(files) is { Length: > 0 } paths ? Manifests(session, paths) : (await Named(session, parsed.GetValue(what)!, parsed.GetValue(labels), parsed.GetValue(all), stop), []);
            foreach (var fault in faults) await session.Errors.WriteLineAsync("error: " + fault);
            return await Run(session, keys, how, stop) && faults.Count == 0 ? 0 : 1;
        });
    }

    private static (IReadOnlyList<ResourceKey> Keys, IReadOnlyList<string> Faults) Manifests(Session session, string[] paths)
    {
        var reader = new ManifestReader(Console.In);
        var manifests = reader.Read(paths, checkFields: false);
        var faults = new List<string>(reader.Faults);
        faults.AddRange(manifests.Select(x => ApplyInput.NamespaceFault(x, session)).OfType<string>());
        return ([.. manifests.Where(x => !session.NamespaceGiven || !x.Kind.Namespaced || x.Namespace == session.Namespace).Select(x => x.Key)], faults);
    }

    private static async Task<IReadOnlyList<ResourceKey>> Named(Session session, string[] words, string? labels, bool all, CancellationToken stop)
    {
        if (labels is null && !all) return [.. Target.ParseNamed(words).Select(x => session.Key(x.Kind, x.Name))];
        var keys = new List<ResourceKey>();
        foreach (var target in Target.Parse(words))
        {
            if (target.Name is not null) throw new UsageException("a name cannot be given together with -l or --all");
            var request = new ListRequest(target.Kind, session.Namespace) { Labels = LabelSelector.Parse(labels ?? "") };
            keys.AddRange((await session.Api.List(request, stop)).Items.Select(x => x.Key));
        }
        if (keys.Count == 0) await session.Errors.WriteLineAsync("No resources found");
        return keys;
    }

    private static async Task<bool> Run(Session session, IReadOnlyList<ResourceKey> keys, How how, CancellationToken stop)
    {
        if (how.Force && keys.Count > 0) await session.Warn(["Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely."]);
        var good = true;
        var deleted = new List<(ResourceKey Key, string Uid)>();
        foreach (var key in keys)
        {
            var warnings = new List<string>();
            try
            {
                var last = await session.Api.Delete(key, new() { GracePeriodSeconds = how.Grace, Propagation = Propagation.Background, Warnings = warnings }, stop);
                await session.Out.WriteLineAsync($"{KindNames.Of(key.Kind)} \"{key.Name}\" {(how.Force ? "force deleted" : "deleted")}");
                deleted.Add((key, last.Uid));
            }
            catch (ApiException e) when (e.IsNotFound && how.IgnoreNotFound)
            {
                continue;
            }
            catch (ApiException e) when (!e.IsRetryable)
            {
                await session.Errors.WriteLineAsync($"Error from server ({e.Status.Reason}): {e.Message}");
                good = false;
            }
            await session.Warn(warnings);
        }
        if (how.Wait) foreach (var (key, uid) in deleted) await Gone(session, key, uid, stop);
        return good;
    }

    /// <summary>Until it is not there, or another object has its name.</summary>
    private static async Task Gone(Session session, ResourceKey key, string uid, CancellationToken stop)
    {
        await foreach (var stored in ObjectWatch.Follow(session.Api, key, session.Machine.Time, stop))
        {
            if (stored is null || (uid.Length > 0 && stored.Uid != uid)) return;
        }
    }
}
