using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Cli.Verbs;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative undo KIND/NAME</c>: makes an object of any kind again what it was, also one that is deleted.</summary>
internal static class UndoCommand
{
    private static readonly string[] OfTheServer = ["uid", "creationTimestamp", "resourceVersion", "generation", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"];

    public static Command Make(Machine machine)
    {
        var what = Verb.What("KIND/NAME of one object, there or deleted");
        var to = new Option<long?>("--to") { Description = "As it was after this change (declarative history); default: as it was before the last one", HelpName = "REVISION" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Ask the server, change nothing" };
        return new Command("undo", "Make an object what it was before its last change.") { what, to, dryRun }.With(machine, async (session, parsed, stop) =>
        {
            var key = HistoryCommand.One(session, parsed.GetValue(what)!);
            // Before its history is read: what is changed after that is not overwritten.
            var current = await Current(session, key, stop);
            var changes = await ObjectHistory.Read(session, key, Limits.HistoryChangesMax, stop);
            var wanted = Wanted(key, changes, parsed.GetValue(to));
            var write = new WriteOptions { FieldManager = "declarative-undo", DryRun = parsed.GetValue(dryRun), Warnings = [] };
            await Restore(session, key, wanted, current, write, stop);
            await session.Warn(write.Warnings);
            await session.Out.WriteLineAsync($"{KindNames.Of(key.Kind, key.Name)} is as it was at revision {wanted.Revision.ToString(CultureInfo.InvariantCulture)}{(write.DryRun ? " (server dry run)" : "")}");
            return 0;
        });
    }

    /// <summary>A deletion is undone by the last state, a change by the one before it.</summary>
    private static ObjectChange Wanted(ResourceKey key, IReadOnlyList<ObjectChange> changes, long? to)
    {
        if (to is { } revision) return changes.FirstOrDefault(x => x.Revision == revision) ?? throw new UsageException(HistoryCommand.NoSuch(key, revision, changes));
        if (changes is [{ IsDeletion: true } deleted, ..]) return deleted;
        return changes is [_, { IsDeletion: false } before, ..] ? before : throw new UsageException($"{KindNames.Of(key.Kind, key.Name)}: no earlier state is kept; to remove it: declarative delete {KindNames.Of(key.Kind, key.Name)}");
    }

    private static async Task<Stored?> Current(Session session, ResourceKey key, CancellationToken stop)
    {
        try
        {
            var current = await session.Api.Get(key, stop: stop);
            return ApiObject.Read(current.Json).Metadata.IsDeleting
                ? throw new UsageException($"{KindNames.Of(key.Kind, key.Name)} is being deleted and waits for its finalizers or its grace period: undo it when it has gone")
                : current;
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return null;
        }
    }

    private static Task Restore(Session session, ResourceKey key, ObjectChange wanted, Stored? current, WriteOptions write, CancellationToken stop)
    {
        var json = wanted.Object.DeepClone().AsObject();
        json.Remove("status");
        var metadata = json["metadata"]!.AsObject();
        foreach (var name in OfTheServer) metadata.Remove(name);
        if (current is not null)
        {
            metadata["resourceVersion"] = current.Revision.ToString(CultureInfo.InvariantCulture);
            return session.Api.Update(key, Bytes(json), write, stop);
        }
        // A pod that is made again gets a place again: the old one's was another task's.
        if (key.Kind == Kind.Pod)
        {
            (json["spec"] as JsonObject)?.Remove("nodeName");
            (metadata["annotations"] as JsonObject)?.Remove(TaskAnnotation.Key);
        }
        return session.Api.Create(key, Bytes(json), write, stop);
    }

    private static byte[] Bytes(JsonObject json) => Encoding.UTF8.GetBytes(json.ToJsonString());
}
