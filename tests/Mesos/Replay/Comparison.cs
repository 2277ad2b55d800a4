using System.Text.Json.Nodes;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>Compares what comes with what was recorded: statuses, headers, texts, shapes of messages. What is different is reported in a line.</summary>
internal sealed class Comparison
{
    private static readonly string[] Headers = ["Mesos-Stream-Id", "Message-Content-Type", "Allow", "Location", "WWW-Authenticate", "Content-Disposition"];

    public SortedSet<string> Reports { get; } = new(StringComparer.Ordinal);

    public void Heads(string kind, Entry recorded, HttpResponseMessage ours)
    {
        if (recorded.Status != (int)ours.StatusCode)
            Reports.Add($"{kind}: status {(int)ours.StatusCode} instead of {recorded.Status}");
        if (recorded.Header("Content-Type") != ours.Content.Headers.ContentType?.ToString())
            Reports.Add($"{kind}: type {ours.Content.Headers.ContentType} instead of {recorded.Header("Content-Type")}");
        var present = ours.Headers.Concat(ours.Content.Headers).Select(header => header.Key).ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (var name in Headers)
        {
            var has = present.Contains(name);
            if (has != recorded.Header(name) is not null)
                Reports.Add($"{kind}: header {name} {(has ? "too much" : "missing")}");
        }
    }

    public void Shapes(string kind, JsonNode? recorded, JsonNode? ours)
    {
        var (wanted, has) = (Paths(recorded), Paths(ours));
        foreach (var path in wanted.Except(has))
            Reports.Add($"{kind}: missing {path}");
        foreach (var path in has.Except(wanted))
            Reports.Add($"{kind}: too much {path}");
    }

    /// <param name="recorded">With our ids in it.</param>
    public void Texts(string kind, string what, string recorded, string ours)
    {
        var (wanted, has) = (RecordedIds.Comparable(recorded), RecordedIds.Comparable(ours));
        if (wanted != has)
            Reports.Add($"{kind}: {what} '{has}' instead of '{wanted}'");
    }

    /// <summary>Recorded ports of masters; the second one leads when the first has died.</summary>
    public static bool IsMaster(int port) => port is 5050 or 5060;

    /// <summary>Of a request: whom it asks what.</summary>
    public static string Kind(Entry request)
    {
        var asked = IsMaster(request.Port) ? "master" : "agent";
        if (!request.Body.StartsWith('{'))
            return $"{asked} {request.HeadLines[0].Split(' ')[0]} {request.Path.Split('?')[0]}";
        try
        {
            return $"{asked} {JsonNode.Parse(request.Body)!["type"]}";
        }
        catch (System.Text.Json.JsonException)
        {
            return "a broken call";
        }
    }

    /// <summary>Of an event: what must be the same for it to be the one that was recorded.</summary>
    public static string Kind(JsonNode message)
    {
        var status = message["update"]?["status"] ?? message["task_updated"]?["status"];
        if (status is not null)
            return $"{message["type"]} {status["task_id"]!["value"]} {status["state"]} {status["source"]} {status["reason"]}{(status["healthy"] is { } healthy ? $" healthy {healthy}" : "")}";
        var id = message["failure"]?["executor_id"]?["value"] ?? message["task_added"]?["task"]?["task_id"]?["value"] ?? message["update_operation_status"]?["status"]?["operation_id"]?["value"];
        return $"{message["type"]} {id}".TrimEnd();
    }

    /// <summary>What executors and agents say of tasks waits for their processes, whether the master passes it on or its event stream shows it.</summary>
    public static bool IsOfProcesses(JsonNode message) =>
        (string?)message["type"] is "FAILURE" || (string?)(message["update"]?["status"] ?? message["task_updated"]?["status"])?["source"] is "SOURCE_EXECUTOR" or "SOURCE_AGENT";

    // Where members are named by ids (files), these are not compared.
    private static HashSet<string> Paths(JsonNode? node) => [.. Recorded.Shape(node).Split('\n').Where(path => path.Length > 0).Select(RecordedIds.WithoutIds)];
}
