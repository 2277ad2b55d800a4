using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Wire;
using Declarative.Cli.Verbs;
using Declarative.Controllers.Placement.Forecasts;

namespace Declarative.Cli.Commands;

/// <summary>
/// <c>declarative plan</c>: what would run where if the manifests were applied now, what would not fit and why, and whom it would displace.
/// Nothing is changed. Exit code 0 = everything fits, 1 = something does not, 2 = an error.
/// </summary>
internal static class PlanCommand
{
    private const int Failed = 2;

    /// <summary>Agents whose reasons are shown as text; -o json has all.</summary>
    private const int AgentsShown = 3;

    public static Command Make(Machine machine)
    {
        var files = Verb.Files();
        var form = new Option<string>("--output", "-o") { Description = "json", HelpName = "FORM", DefaultValueFactory = _ => "" };
        form.AcceptOnlyFromAmong("json");
        return new Command("plan", "Show what would run where, and what would not fit; change nothing.") { files, form }.With(machine, async (session, parsed, stop) =>
        {
            var reader = new ManifestReader(Console.In);
            var manifests = reader.Read(parsed.GetValue(files) is { Length: > 0 } paths ? paths : throw new UsageException("plan what? Give -f PATH"));
            var nodes = (await session.Api.List(new(Kind.Node), stop)).Items.Select(x => Node.Read(x.Json)).ToList();
            var pods = (await session.Api.List(new(Kind.Pod), stop)).Items.Select(x => Pod.Read(x.Json)).ToList();
            var budgets = (await session.Api.List(new(Kind.PodDisruptionBudget), stop)).Items.Select(x => PodDisruptionBudget.Read(x.Json)).ToList();
            var wanted = new WantedPodsReader(session, manifests, pods);
            var asked = await wanted.Read(stop);
            var rows = Forecast.Compute(nodes, [.. pods.Where(x => !wanted.Replaced.Contains(x.Uid))], budgets, asked, await Storage(session.Api, wanted.Claims, stop));
            if (parsed.GetValue(form) == "json") await session.Out.WriteLineAsync(GoJson.Write(Json(rows), indent: 4));
            else await session.Out.WriteAsync(Text(rows));
            foreach (var fault in reader.Faults.Concat(wanted.Faults)) await session.Errors.WriteLineAsync("error: " + fault);
            return reader.Faults.Count + wanted.Faults.Count > 0 ? Failed : rows.Any(x => x.Refused > 0) ? 1 : 0;
        });
    }

    private static async Task<ForecastStorage> Storage(IApi api, IReadOnlyList<PersistentVolumeClaim> wanted, CancellationToken stop) => new(
        [.. (await api.List(new(Kind.PersistentVolumeClaim), stop)).Items.Select(x => PersistentVolumeClaim.Read(x.Json)), .. wanted],
        [.. (await api.List(new(Kind.PersistentVolume), stop)).Items.Select(x => PersistentVolume.Read(x.Json))],
        [.. (await api.List(new(Kind.StorageClass), stop)).Items.Select(x => StorageClass.Read(x.Json))]);

    private static string Text(IReadOnlyList<ForecastRow> rows)
    {
        var text = new StringBuilder();
        foreach (var row in rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"{row.Owner}: {Pods(row.Pods)}\n");
            foreach (var place in row.Places)
            {
                text.Append(CultureInfo.InvariantCulture, $"  {place.Count} on {place.Node}");
                if (place.Displaces.Count > 0) text.Append(CultureInfo.InvariantCulture, $", in the place of {string.Join(", ", place.Displaces)}");
                text.Append('\n');
            }
            if (row.Refused == 0) continue;
            text.Append(CultureInfo.InvariantCulture, $"  {row.Refused} {(row.Refused == 1 ? "does" : "do")} not fit: {row.Why}\n");
            foreach (var agent in row.Agents.Take(AgentsShown))
            {
                foreach (var reason in agent.Reasons) text.Append(CultureInfo.InvariantCulture, $"    {agent.Agent}: {reason.Reason}\n      → {reason.Remedy}\n");
            }
            if (row.Agents.Count > AgentsShown) text.Append(CultureInfo.InvariantCulture, $"    and {row.Agents.Count - AgentsShown} more agents (-o json shows all)\n");
        }
        if (rows.Count == 0) text.Append("nothing in these manifests makes pods\n");
        return text.Append("nothing was changed\n").ToString();
    }

    private static string Pods(int count) => count switch { 0 => "no more pods than there are", 1 => "1 pod", _ => string.Create(CultureInfo.InvariantCulture, $"{count} pods") };

    private static JsonObject Json(IReadOnlyList<ForecastRow> rows) => new()
    {
        ["items"] = new JsonArray([.. rows.Select(row => new JsonObject
        {
            ["object"] = row.Owner,
            ["pods"] = row.Pods,
            ["placed"] = new JsonArray([.. row.Places.Select(x => new JsonObject { ["node"] = x.Node, ["count"] = x.Count, ["displaces"] = new JsonArray([.. x.Displaces.Select(y => JsonValue.Create(y))]) })]),
            ["refused"] = row.Refused,
            ["why"] = row.Why,
            ["agents"] = new JsonArray([.. row.Agents.Select(x => new JsonObject
            {
                ["agent"] = x.Agent,
                ["reasons"] = new JsonArray([.. x.Reasons.Select(y => new JsonObject { ["reason"] = y.Reason, ["remedy"] = y.Remedy })]),
            })]),
        })]),
    };
}
