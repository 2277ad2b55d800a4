using System.Globalization;
using System.Text.Json;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Placement.Status;

/// <summary>
/// A pod's status as a merge patch of <c>pods/status</c>. metadata.uid keeps it from a younger pod of the same name; lists are written whole,
/// as Placement alone writes them.
/// </summary>
internal static class StatusPatch
{
    /// <param name="annotations">Set beside the status in the same write; a null value removes.</param>
    /// <param name="revision">"" or the resourceVersion that must still be current.</param>
    public static byte[] Write(string uid, PodStatus status, IReadOnlyDictionary<string, string?>? annotations = null, string revision = "")
    {
        return Body.Of(json =>
        {
            json.WriteStartObject("metadata"u8);
            json.WriteString("uid"u8, uid);
            if (revision.Length > 0) json.WriteString("resourceVersion"u8, revision);
            if (annotations is { Count: > 0 })
            {
                json.WriteStartObject("annotations"u8);
                foreach (var (key, value) in annotations) json.WriteString(key, value);
                json.WriteEndObject();
            }
            json.WriteEndObject();
            Status(json, status);
        });
    }

    /// <summary>True where both would be stored as the same bytes: times count in whole seconds.</summary>
    public static bool Same(PodStatus a, PodStatus b) =>
        a.Phase == b.Phase && a.Reason == b.Reason && a.Message == b.Message && a.HostIP == b.HostIP && a.PodIP == b.PodIP
        && a.NominatedNodeName == b.NominatedNodeName && Same(a.StartTime, b.StartTime)
        && Same(a.Conditions, b.Conditions, Same) && Same(a.ContainerStatuses, b.ContainerStatuses, Same);

    private static bool Same<T>(IReadOnlyList<T> a, IReadOnlyList<T> b, Func<T, T, bool> same)
    {
        if (a.Count != b.Count) return false;
        for (var i = 0; i < a.Count; i++)
        {
            if (!same(a[i], b[i])) return false;
        }
        return true;
    }

    private static bool Same(Condition a, Condition b) =>
        a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message && Same(a.LastTransitionTime, b.LastTransitionTime);

    private static bool Same(ContainerStatus a, ContainerStatus b) =>
        a.Name == b.Name && a.Ready == b.Ready && a.Started == b.Started && a.RestartCount == b.RestartCount && a.Image == b.Image && a.ContainerID == b.ContainerID
        && Same(a.State, b.State) && Same(a.LastState, b.LastState);

    private static bool Same(ContainerState a, ContainerState b) =>
        a.Waiting == b.Waiting && a.Running is null == b.Running is null && Same(a.Running?.StartedAt, b.Running?.StartedAt) && Same(a.Terminated, b.Terminated);

    private static bool Same(ContainerStateTerminated? a, ContainerStateTerminated? b) =>
        a is null || b is null ? a is null && b is null
        : a.ExitCode == b.ExitCode && Math.Max(a.Signal, 0) == Math.Max(b.Signal, 0) && a.Reason == b.Reason && a.Message == b.Message && a.ContainerID == b.ContainerID
            && Same(a.StartedAt, b.StartedAt) && Same(a.FinishedAt, b.FinishedAt);

    private static bool Same(DateTimeOffset? a, DateTimeOffset? b) =>
        a is null || b is null ? a is null && b is null : a.Value.UtcTicks / TimeSpan.TicksPerSecond == b.Value.UtcTicks / TimeSpan.TicksPerSecond;

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static void Status(Utf8JsonWriter json, PodStatus status)
    {
        json.WriteStartObject("status"u8);
        Text(json, "phase"u8, status.Phase);
        Text(json, "reason"u8, status.Reason);
        Text(json, "message"u8, status.Message);
        Text(json, "hostIP"u8, status.HostIP);
        Addresses(json, "hostIPs"u8, status.HostIP);
        Text(json, "podIP"u8, status.PodIP);
        Addresses(json, "podIPs"u8, status.PodIP);
        Text(json, "nominatedNodeName"u8, status.NominatedNodeName);
        if (status.StartTime is { } start) json.WriteString("startTime"u8, Time(start));
        json.WriteStartArray("conditions"u8);
        foreach (var condition in status.Conditions) Condition(json, condition);
        json.WriteEndArray();
        json.WriteStartArray("containerStatuses"u8);
        foreach (var container in status.ContainerStatuses) Container(json, container);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Condition(Utf8JsonWriter json, Condition condition)
    {
        json.WriteStartObject();
        json.WriteString("type"u8, condition.Type);
        json.WriteString("status"u8, condition.Status);
        if (condition.Reason.Length > 0) json.WriteString("reason"u8, condition.Reason);
        if (condition.Message.Length > 0) json.WriteString("message"u8, condition.Message);
        if (condition.LastTransitionTime is { } since) json.WriteString("lastTransitionTime"u8, Time(since));
        json.WriteEndObject();
    }

    private static void Container(Utf8JsonWriter json, ContainerStatus status)
    {
        json.WriteStartObject();
        json.WriteString("name"u8, status.Name);
        json.WriteBoolean("ready"u8, status.Ready);
        if (status.Started is { } started) json.WriteBoolean("started"u8, started);
        json.WriteNumber("restartCount"u8, status.RestartCount);
        json.WriteString("image"u8, status.Image);
        json.WriteString("imageID"u8, ""u8);
        if (status.ContainerID.Length > 0) json.WriteString("containerID"u8, status.ContainerID);
        State(json, "state"u8, status.State);
        State(json, "lastState"u8, status.LastState);
        json.WriteEndObject();
    }

    private static void State(Utf8JsonWriter json, ReadOnlySpan<byte> name, ContainerState state)
    {
        json.WriteStartObject(name);
        if (state.Waiting is { } waiting)
        {
            json.WriteStartObject("waiting"u8);
            json.WriteString("reason"u8, waiting.Reason);
            if (waiting.Message.Length > 0) json.WriteString("message"u8, waiting.Message);
            json.WriteEndObject();
        }
        if (state.Running is { } running)
        {
            json.WriteStartObject("running"u8);
            if (running.StartedAt is { } at) json.WriteString("startedAt"u8, Time(at));
            json.WriteEndObject();
        }
        if (state.Terminated is { } ended)
        {
            json.WriteStartObject("terminated"u8);
            json.WriteNumber("exitCode"u8, ended.ExitCode);
            if (ended.Signal > 0) json.WriteNumber("signal"u8, ended.Signal);
            if (ended.Reason.Length > 0) json.WriteString("reason"u8, ended.Reason);
            if (ended.Message.Length > 0) json.WriteString("message"u8, ended.Message);
            if (ended.StartedAt is { } started) json.WriteString("startedAt"u8, Time(started));
            if (ended.FinishedAt is { } finished) json.WriteString("finishedAt"u8, Time(finished));
            if (ended.ContainerID.Length > 0) json.WriteString("containerID"u8, ended.ContainerID);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    private static void Addresses(Utf8JsonWriter json, ReadOnlySpan<byte> name, string address)
    {
        if (address.Length == 0) return;
        json.WriteStartArray(name);
        json.WriteStartObject();
        json.WriteString("ip"u8, address);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    /// <summary>Empty means: not there. A merge patch removes by null.</summary>
    private static void Text(Utf8JsonWriter json, ReadOnlySpan<byte> name, string value)
    {
        if (value.Length > 0) json.WriteString(name, value);
        else json.WriteNull(name);
    }
}
