using System.Text.Json;

namespace Declarative.ApiServer.Tables;

/// <summary>The row of a pod: its one status word tells the most specific thing known about its containers.</summary>
internal static class PodRows
{
    public const string Columns = "Ready|Status|Restarts|Age|*IP|*Node|*Nominated Node|*Readiness Gates";

    public static Cell[] Print(JsonElement pod)
    {
        var status = pod.At("status");
        var spec = pod.At("spec");
        var isStarting = Initializing(pod) is not null;
        // Until the init containers are done theirs are the restarts that count; then those of the sidecars among them.
        var counted = status.Items("initContainerStatuses").Where(x => isStarting || IsSidecar(pod, x));
        if (!isStarting) counted = counted.Concat(status.Items("containerStatuses"));
        var (ready, restarts, restartedAt) = (0, 0L, (DateTimeOffset?)null);
        foreach (var container in counted)
        {
            if (container.IsTrue("ready") && container.At("state", "running").ValueKind == JsonValueKind.Object) ready++;
            restarts += container.Number("restartCount");
            if (container.At("lastState", "terminated").Time("finishedAt") is { } ended && !(restartedAt > ended)) restartedAt = ended;
        }
        var gates = spec.Count("readinessGates");
        var passed = spec.Items("readinessGates").Count(gate => ConditionIsTrue(status, gate.Text("conditionType")));
        return
        [
            $"{ready}/{spec.Count("containers") + spec.Items("initContainers").Count(x => x.Text("restartPolicy") == "Always")}",
            Word(pod),
            restarts > 0 && restartedAt is not null ? Cell.Joined($"{restarts} (", Cell.Since(restartedAt), " ago)") : restarts.ToString(System.Globalization.CultureInfo.InvariantCulture),
            pod.Created(),
            (status.Items("podIPs").FirstOrDefault().Text("ip") is { Length: > 0 } ip ? ip : status.Text("podIP")).OrNone(),
            spec.Text("nodeName").OrNone(),
            status.Text("nominatedNodeName").OrNone(),
            gates == 0 ? Json.None : $"{passed}/{gates}",
        ];
    }

    public static string Word(JsonElement pod)
    {
        var status = pod.At("status");
        var phase = status.Text("phase");
        var word = status.Text("reason", phase);
        if (status.Items("conditions").Any(x => x.Text("type") == "PodScheduled" && x.Text("reason") == "SchedulingGated")) word = "SchedulingGated";

        if (Initializing(pod) is { } step)
        {
            word = step;
        }
        else
        {
            var running = false;
            foreach (var container in status.Items("containerStatuses").Reverse())
            {
                var state = container.At("state");
                var terminated = state.At("terminated");
                if (state.At("waiting").Text("reason") is { Length: > 0 } waiting) word = waiting;
                else if (terminated.ValueKind == JsonValueKind.Object) word = Ended(terminated, "");
                else if (container.IsTrue("ready") && state.At("running").ValueKind == JsonValueKind.Object) running = true;
            }
            if (word == "Completed" && running) word = ConditionIsTrue(status, "Ready") ? "Running" : "NotReady";
        }
        if (pod.At("metadata").Text("deletionTimestamp").Length == 0) return word;
        if (status.Text("reason") == "NodeLost") return "Unknown";
        return phase is "Succeeded" or "Failed" ? word : "Terminating";
    }

    /// <summary>An init container that goes on running beside the others.</summary>
    private static bool IsSidecar(JsonElement pod, JsonElement status) =>
        pod.At("spec").Items("initContainers").Any(x => x.Text("name") == status.Text("name") && x.Text("restartPolicy") == "Always");

    /// <summary>What the init containers are at; null when they are done.</summary>
    private static string? Initializing(JsonElement pod)
    {
        if (ConditionIsTrue(pod.At("status"), "Initialized")) return null;
        var (at, total) = (0, pod.At("spec").Count("initContainers"));
        foreach (var container in pod.At("status").Items("initContainerStatuses"))
        {
            var state = container.At("state");
            var terminated = state.At("terminated");
            if ((container.IsTrue("started") && IsSidecar(pod, container)) || (terminated.ValueKind == JsonValueKind.Object && terminated.Number("exitCode") == 0))
            {
                at++;
                continue;
            }
            if (terminated.ValueKind == JsonValueKind.Object) return Ended(terminated, "Init:");
            return state.At("waiting").Text("reason") is { Length: > 0 } reason && reason != "PodInitializing" ? "Init:" + reason : $"Init:{at}/{total}";
        }
        return null;
    }

    private static string Ended(JsonElement terminated, string prefix)
    {
        if (terminated.Text("reason") is { Length: > 0 } reason) return prefix + reason;
        return terminated.Number("signal") is > 0 and var signal ? $"{prefix}Signal:{signal}" : $"{prefix}ExitCode:{terminated.Number("exitCode")}";
    }

    private static bool ConditionIsTrue(JsonElement status, string type) => status.Items("conditions").Any(x => x.Text("type") == type && x.Text("status") == "True");
}
