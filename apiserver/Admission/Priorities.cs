using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission;

/// <summary>
/// Kubernetes' admission plugin Priority: a new pod gets the number and the preemption policy of its PriorityClass, without one those of the class
/// that is the default of all, else 0.
/// </summary>
internal sealed class Priorities(RevisionLog log)
{
    private static readonly Kind Class = Kind.Find("scheduling.k8s.io", "v1", "priorityclasses")!;
    private readonly Lock _gate = new();
    private ObjectSet? _seen;
    private JsonObject? _default;

    /// <exception cref="Declarative.Api.ApiException">403: no such class, or a number that is not the class'.</exception>
    public void Default(AdmissionRequest request)
    {
        if (request is not { Operation: "CREATE" or "UPDATE", Subresource: "", Object: { } pod } || !request.Key.Kind.Equals(Kind.Pod)) return;
        var spec = pod.Need("spec");
        if (request.Old is { } old)
        {
            Keep(spec, old.Need("spec"));
            return;
        }
        var chosen = ClassOf(request, spec.Text("priorityClassName"));
        var value = chosen?.Number("value") ?? 0;
        if (spec["priority"] is not null && spec.Number("priority") != value)
        {
            throw Refused(request, $"the integer value of priority ({spec.Number("priority")}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name");
        }
        spec["priority"] = value;
        if (chosen is not null && spec.Text("priorityClassName").Length == 0) spec["priorityClassName"] = Metadata.Name(chosen);
        if (spec["preemptionPolicy"] is null) spec["preemptionPolicy"] = chosen?.Text("preemptionPolicy") is { Length: > 0 } policy ? policy : "PreemptLowerPriority";
    }

    /// <summary>Who replaces a pod by its manifest need not know what its class has meant for it.</summary>
    private static void Keep(JsonObject spec, JsonObject old)
    {
        if (spec.Text("priorityClassName") != old.Text("priorityClassName")) return;
        foreach (var name in (ReadOnlySpan<string>)["priority", "preemptionPolicy"])
        {
            if (spec[name] is null && old[name] is { } kept) spec[name] = kept.DeepClone();
        }
    }

    private JsonObject? ClassOf(AdmissionRequest request, string name)
    {
        if (name.Length > 0)
        {
            return log.Get(new(Class, "", name)) is { } named ? Canonical.Parse(named.Stored.Json)
                : throw Refused(request, $"no PriorityClass with name {name} was found");
        }
        // Read once for as long as the classes are as they are.
        var (classes, _) = log.Snapshot(Class);
        lock (_gate)
        {
            if (!ReferenceEquals(_seen, classes)) (_seen, _default) = (classes, DefaultOf(classes.Values));
            return _default;
        }
    }

    // The least of several that say to be the default, as in Kubernetes.
    private static JsonObject? DefaultOf(IEnumerable<Selectable> classes) =>
        classes.Select(x => Canonical.Parse(x.Stored.Json)).Where(x => x.Flag("globalDefault")).MinBy(x => x.Number("value"));

    private static Declarative.Api.ApiException Refused(AdmissionRequest request, string why) => Status.Forbidden(request.Key.Kind, request.Key.Name, why);
}
