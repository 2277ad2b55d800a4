using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Wire;
using Declarative.Cli.Verbs;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Placement;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative why</c>: why a pod is where it is, or has no place; every reason per agent, and what would make it fit.</summary>
internal static class WhyCommand
{
    public static Command Make(Machine machine)
    {
        var what = Verb.What("POD, pod/NAME, or KIND/NAME of what selects pods");
        var form = new Option<string>("--output", "-o") { Description = "json", HelpName = "FORM", DefaultValueFactory = _ => "" };
        form.AcceptOnlyFromAmong("json");
        return new Command("why", "Say why a pod is where it is, or why it has no place.") { what, form }.With(machine, async (session, parsed, stop) =>
        {
            var pods = new List<Pod>();
            foreach (var (kind, name) in Target.ParseNamed(parsed.GetValue(what)!, Kind.Pod))
            {
                if (kind == Kind.Pod) pods.Add(Pod.Read((await session.Api.Get(session.Key(kind, name), stop: stop)).Json));
                else pods.AddRange(await PodsOf.Select(session, kind, name, stop));
            }
            if (pods.Count == 0) throw new UsageException($"{string.Join(' ', parsed.GetValue(what)!)} has no pods");
            for (var i = 0; i < pods.Count; i++)
            {
                var events = await ObjectEvents.Of(session, Kind.Pod, pods[i].Metadata, stop);
                if (parsed.GetValue(form) == "json") await session.Out.WriteLineAsync(GoJson.Write(Json(pods[i], events), indent: 4));
                else await session.Out.WriteAsync((i > 0 ? "\n" : "") + Text(pods[i], events));
            }
            return 0;
        });
    }

    private static string Text(Pod pod, IReadOnlyList<EventLine> events)
    {
        var text = new StringBuilder(Why.Text(pod));
        if (pod.Status.StartTime is { } since) text.Append("there since ").Append(Body.Time(since)).Append('\n');
        foreach (var condition in pod.Status.Conditions)
        {
            text.Append(condition.Type).Append(": ").Append(condition.Status).Append(condition.Reason.Length > 0 ? $" ({condition.Reason})" : "");
            if (condition.LastTransitionTime is { } at) text.Append(" since ").Append(Body.Time(at));
            text.Append('\n');
        }
        if (events.Count > 0) text.Append("events:\n");
        foreach (var e in events) text.Append("  ").Append(Body.Time(e.LastSeen)).Append("  ").Append(e.Reason).Append(": ").Append(e.Message).Append('\n');
        return text.ToString();
    }

    private static JsonObject Json(Pod pod, IReadOnlyList<EventLine> events)
    {
        var scheduled = pod.Status.Conditions.FirstOrDefault(x => x.Type == "PodScheduled");
        return new()
        {
            ["pod"] = pod.Name,
            ["namespace"] = pod.Namespace,
            ["phase"] = pod.Status.Phase,
            ["node"] = pod.Spec.NodeName,
            ["since"] = pod.Status.StartTime is { } since ? Body.Time(since) : null,
            ["task"] = pod.Task is { } task ? new JsonObject { ["id"] = task.Id, ["agent"] = task.Agent, ["ports"] = new JsonObject(task.Ports.OrderBy(x => x.Key, StringComparer.Ordinal).Select(x => KeyValuePair.Create(x.Key, (JsonNode?)x.Value))) } : null,
            ["message"] = pod.Spec.NodeName.Length == 0 ? scheduled?.Message ?? pod.Status.Message : pod.Status.Message,
            ["agents"] = Agents(pod.Metadata.Annotations.TryGetValue(Why.Annotation, out var detail) ? detail : ""),
            ["conditions"] = new JsonArray([.. pod.Status.Conditions.Select(x => new JsonObject { ["type"] = x.Type, ["status"] = x.Status, ["reason"] = x.Reason, ["message"] = x.Message })]),
            ["events"] = new JsonArray([.. events.Select(x => new JsonObject { ["reason"] = x.Reason, ["message"] = x.Message, ["count"] = x.Count, ["lastSeen"] = Body.Time(x.LastSeen) })]),
        };
    }

    /// <summary>The annotation's text: an agent and a colon, then per reason a line with a dash and a line with an arrow.</summary>
    private static JsonArray Agents(string detail)
    {
        var agents = new JsonArray();
        foreach (var line in detail.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("  - ", StringComparison.Ordinal)) Reasons().Add(new JsonObject { ["reason"] = line[4..], ["remedy"] = "" });
            else if (line.TrimStart().StartsWith("→ ", StringComparison.Ordinal) && Reasons().LastOrDefault() is JsonObject last) last["remedy"] = line.TrimStart()[2..];
            else agents.Add(new JsonObject { ["agent"] = line.TrimEnd(':'), ["reasons"] = new JsonArray() });
        }
        return agents;

        JsonArray Reasons() => agents.LastOrDefault()?["reasons"]?.AsArray() ?? [];
    }
}
