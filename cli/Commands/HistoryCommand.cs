using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Wire;
using Declarative.Cli.Verbs;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative history KIND/NAME</c>: who changed what of an object when; also of one that is deleted.</summary>
internal static class HistoryCommand
{
    private const int FieldsShown = 3;
    private const int ChangesShown = 20;

    public static Command Make(Machine machine)
    {
        var what = Verb.What("KIND/NAME of one object, there or deleted");
        var form = new Option<string?>("--output", "-o") { Description = "json or yaml: every change with the object after it", HelpName = "FORM" };
        form.AcceptOnlyFromAmong("json", "yaml");
        var diff = new Option<long?>("--diff") { Description = "Show what this change changed", HelpName = "REVISION" };
        var limit = new Option<int>("--limit") { Description = "The last N changes", HelpName = "N", DefaultValueFactory = _ => ChangesShown };
        limit.Validators.Add(result =>
        {
            if (!CommonOptions.IsWithin(result, 1, Limits.HistoryChangesMax)) result.AddError($"--limit: expected a number from 1 to {Limits.HistoryChangesMax}");
        });
        return new Command("history", "Show who changed an object when, and what.") { what, form, diff, limit }.With(machine, async (session, parsed, stop) =>
        {
            var key = One(session, parsed.GetValue(what)!);
            if (parsed.GetValue(diff) is { } revision) return await Diff(session, key, revision, stop);
            // One more: the first that is shown is compared with the one before it.
            var wanted = parsed.GetValue(limit);
            var changes = await ObjectHistory.Read(session, key, Math.Min(wanted + 1, Limits.HistoryChangesMax), stop);
            await session.Out.WriteAsync(parsed.GetValue(form) is { } asked ? Output.Write(asked, Whole(changes.Take(wanted))) : Table(changes, wanted));
            return 0;
        });
    }

    public static ResourceKey One(Session session, IReadOnlyList<string> words) =>
        Target.ParseNamed(words) is [var (kind, name)] ? session.Key(kind, name) : throw new UsageException("of one object at a time: KIND/NAME");

    private static async Task<int> Diff(Session session, ResourceKey key, long revision, CancellationToken stop)
    {
        var changes = await ObjectHistory.Read(session, key, Limits.HistoryChangesMax, stop);
        var at = changes.ToList().FindIndex(x => x.Revision == revision);
        if (at < 0) throw new UsageException(NoSuch(key, revision, changes));
        var before = at + 1 < changes.Count && !changes[at + 1].IsDeletion ? changes[at + 1] : null;
        var after = changes[at].IsDeletion ? null : changes[at];
        await session.Out.WriteAsync(LineDiff.Unified(Name(before ?? changes[at], before is null), Text(before), Name(changes[at], after is null), Text(after)));
        return 0;

        string Name(ObjectChange change, bool absent) => absent ? "/dev/null" : $"{KindNames.Of(key.Kind, key.Name)}@{change.Revision.ToString(CultureInfo.InvariantCulture)}";
        string Text(ObjectChange? change) => change is null ? "" : YamlText.Write(ObjectHistory.Declared(change.Object));
    }

    public static string NoSuch(ResourceKey key, long revision, IReadOnlyList<ObjectChange> changes) =>
        $"{KindNames.Of(key.Kind, key.Name)} has no change {revision.ToString(CultureInfo.InvariantCulture)}; there are: {string.Join(", ", changes.Select(x => x.Revision.ToString(CultureInfo.InvariantCulture)))}";

    private static JsonObject Whole(IEnumerable<ObjectChange> changes) => new()
    {
        ["apiVersion"] = "declarative.mesos/v1",
        ["items"] = new JsonArray([.. changes.Select(x => new JsonObject
        {
            ["manager"] = x.Manager, ["object"] = x.Object.DeepClone(), ["revision"] = x.Revision, ["time"] = x.Time, ["user"] = x.User, ["verb"] = x.Verb,
        })]),
        ["kind"] = "ObjectHistory",
    };

    private static string Table(IReadOnlyList<ObjectChange> changes, int limit)
    {
        if (changes.Count == 0) return "No changes are kept.\n";
        List<string[]> rows = [["REVISION", "TIME", "USER", "MANAGER", "VERB", "CHANGED"]];
        for (var i = 0; i < Math.Min(limit, changes.Count); i++)
        {
            var change = changes[i];
            rows.Add([change.Revision.ToString(CultureInfo.InvariantCulture), change.Time, change.User, change.Manager.Length == 0 ? "-" : change.Manager, change.Verb, Changed(change, i + 1 < changes.Count ? changes[i + 1] : null)]);
        }
        var widths = Enumerable.Range(0, rows[0].Length).Select(x => rows.Max(y => y[x].Length)).ToList();
        return string.Concat(rows.Select(row => string.Join("   ", row.Select((cell, x) => cell.PadRight(widths[x]))).TrimEnd() + "\n"));
    }

    private static string Changed(ObjectChange change, ObjectChange? before)
    {
        if (change.Verb != "update" || before is null) return "-";
        var fields = ObjectHistory.Differences(before.Object, change.Object);
        if (fields.Count == 0) return "-";
        var more = fields.Count > FieldsShown ? $", and {(fields.Count - FieldsShown).ToString(CultureInfo.InvariantCulture)} more" : "";
        return string.Join(", ", fields.Take(FieldsShown)) + more;
    }
}
