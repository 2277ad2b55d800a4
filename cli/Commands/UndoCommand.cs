using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
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
            var changes = await ObjectHistory.Read(session, key, Limits.HistoryChangesMax, stop);
            var wanted = Wanted(key, changes, parsed.GetValue(to));
            var write = new WriteOptions { FieldManager = "declarative-undo", DryRun = parsed.GetValue(dryRun), Warnings = [] };
            await Restore(session, key, wanted, changes[0], write, stop);
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

    private static async Task Restore(Session session, ResourceKey key, ObjectChange wanted, ObjectChange last, WriteOptions write, CancellationToken stop)
    {
        var json = wanted.Object.DeepClone().AsObject();
        json.Remove("status");
        var metadata = json["metadata"]!.AsObject();
        foreach (var name in OfTheServer) metadata.Remove(name);
        Stored? current = null;
        try
        {
            current = await session.Api.Get(key, stop: stop);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            await session.Api.Create(key, Bytes(json), write, stop);
            return;
        }
        // Only what this history tells of is undone: an object that has changed meanwhile is not overwritten.
        if (!last.IsDeletion && Text(current, "uid") == Text(last.Object)) metadata["resourceVersion"] = current.Revision.ToString(CultureInfo.InvariantCulture);
        await session.Api.Update(key, Bytes(json), write, stop);
    }

    private static string Text(Stored stored, string name) => (string?)JsonNode.Parse(stored.Json.Span)!["metadata"]?[name] ?? "";

    private static string Text(JsonObject json) => (string?)json["metadata"]?["uid"] ?? "";

    private static byte[] Bytes(JsonObject json) => Encoding.UTF8.GetBytes(json.ToJsonString());
}
