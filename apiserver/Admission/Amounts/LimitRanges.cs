using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission.Amounts;

/// <summary>
/// LimitRanges of a namespace: what a container does not say about its resources they say, and what is out of their bounds is refused
/// (Kubernetes doc "Limit Ranges").
/// </summary>
internal sealed class LimitRanges(RevisionLog log)
{
    private const string Annotation = "kubernetes.io/limit-ranger";

    /// <summary>Fills in the defaults of a pod that is created.</summary>
    public void Default(AdmissionRequest request)
    {
        if (request is not { Operation: "CREATE", Subresource: "", Object: { } pod } || request.Key.Kind != Kind.Pod) return;
        var set = new List<string>();
        foreach (var range in Of(request.Key.Namespace))
        {
            foreach (var limit in Limits(range, "Container"))
            {
                foreach (var list in (ReadOnlySpan<string>)["containers", "initContainers"])
                {
                    foreach (var container in pod.Object("spec")?.List(list)?.OfType<JsonObject>() ?? []) Default(container, limit, list == "containers" ? "container" : "init container", set);
                }
            }
        }
        if (set.Count > 0) Metadata.Of(pod).Need("annotations")[Annotation] = "LimitRanger plugin set: " + string.Join("; ", set);
    }

    /// <exception cref="ApiException">403 with every bound that is not kept.</exception>
    public void Check(AdmissionRequest request)
    {
        if (request is not { Operation: "CREATE", Subresource: "", Object: { } json }) return;
        var isClaim = request.Key.Kind is { Group: "", Plural: "persistentvolumeclaims" };
        if (request.Key.Kind != Kind.Pod && !isClaim) return;
        var wrong = new List<string>();
        foreach (var range in Of(request.Key.Namespace))
        {
            if (isClaim)
            {
                foreach (var limit in Limits(range, "PersistentVolumeClaim")) Check(limit, "PersistentVolumeClaim", Amounts(json.Object("spec"), "requests"), [], wrong);
                continue;
            }
            var (requests, limits) = (new SortedDictionary<string, Quantity>(StringComparer.Ordinal), new SortedDictionary<string, Quantity>(StringComparer.Ordinal));
            foreach (var container in json.Object("spec")?.List("containers")?.OfType<JsonObject>() ?? [])
            {
                foreach (var limit in Limits(range, "Container")) Check(limit, "Container", Amounts(container, "requests"), Amounts(container, "limits"), wrong);
                foreach (var (name, amount) in Amounts(container, "requests")) requests[name] = requests.GetValueOrDefault(name) + amount;
                foreach (var (name, amount) in Amounts(container, "limits")) limits[name] = limits.GetValueOrDefault(name) + amount;
            }
            foreach (var limit in Limits(range, "Pod")) Check(limit, "Pod", requests, limits, wrong);
        }
        if (wrong.Count > 0) throw Status.Forbidden(request.Key.Kind, request.Key.Name, wrong.Count == 1 ? wrong[0] : $"[{string.Join(", ", wrong)}]");
    }

    private IEnumerable<JsonObject> Of(string ns) => log.Snapshot(Kind.LimitRange).Objects.Where(x => x.Key.Namespace == ns).Select(x => Canonical.Parse(x.Value.Stored.Json));

    private static IEnumerable<JsonObject> Limits(JsonObject range, string type) => range.Object("spec")?.List("limits")?.OfType<JsonObject>().Where(x => x.Text("type") == type) ?? [];

    private static void Default(JsonObject container, JsonObject limit, string what, List<string> set)
    {
        var resources = container.Need("resources");
        // A request that is not given is that of the limit, if there is one.
        Fill(limit.Object("defaultRequest"), "requests", resources.Object("limits"));
        Fill(limit.Object("default"), "limits", null);

        void Fill(JsonObject? defaults, string member, JsonObject? sameAs)
        {
            List<string> names = [];
            foreach (var (name, amount) in defaults ?? [])
            {
                if (resources.Object(member)?.ContainsKey(name) == true || sameAs?.ContainsKey(name) == true) continue;
                resources.Need(member)[name] = amount?.DeepClone();
                names.Add(name);
            }
            if (names.Count > 0) set.Add($"{string.Join(", ", names.Order(StringComparer.Ordinal))} {member[..^1]} for {what} {container.Text("name")}");
        }
    }

    private static void Check(JsonObject limit, string type, SortedDictionary<string, Quantity> requests, SortedDictionary<string, Quantity> limits, List<string> wrong)
    {
        foreach (var (name, least) in Amounts(limit.Object("min")))
        {
            if (!requests.TryGetValue(name, out var request) && !limits.TryGetValue(name, out request)) wrong.Add($"minimum {name} usage per {type} is {least}.  No request is specified");
            else if (request < least) wrong.Add($"minimum {name} usage per {type} is {least}, but request is {request}");
            if (limits.TryGetValue(name, out var most) && most < least) wrong.Add($"minimum {name} usage per {type} is {least}, but limit is {most}");
        }
        foreach (var (name, most) in Amounts(limit.Object("max")))
        {
            if (limits.TryGetValue(name, out var given) ? given > most : type != "PersistentVolumeClaim") wrong.Add(limits.ContainsKey(name) ? $"maximum {name} usage per {type} is {most}, but limit is {given}" : $"maximum {name} usage per {type} is {most}.  No limit is specified");
            if (requests.TryGetValue(name, out var request) && request > most) wrong.Add($"maximum {name} usage per {type} is {most}, but request is {request}");
        }
        foreach (var (name, ratio) in Amounts(limit.Object("maxLimitRequestRatio")))
        {
            if (!requests.TryGetValue(name, out var request) || !limits.TryGetValue(name, out var most) || request.Milli == 0)
            {
                wrong.Add($"{name} max limit to request ratio per {type} is {ratio}, but no request is specified or request is 0");
            }
            else if (most.AsDouble / request.AsDouble > ratio.AsDouble)
            {
                wrong.Add(string.Create(CultureInfo.InvariantCulture, $"{name} max limit to request ratio per {type} is {ratio}, but provided ratio is {most.AsDouble / request.AsDouble:F6}"));
            }
        }
    }

    private static SortedDictionary<string, Quantity> Amounts(JsonObject? holder, string member) => Amounts(holder?.Object("resources")?.Object(member));

    private static SortedDictionary<string, Quantity> Amounts(JsonObject? amounts)
    {
        var read = new SortedDictionary<string, Quantity>(StringComparer.Ordinal);
        foreach (var (name, amount) in amounts ?? [])
        {
            if (Quantity.TryParse(amount?.GetValueKind() == System.Text.Json.JsonValueKind.String ? amount.GetValue<string>() : amount?.ToJsonString() ?? "", out var quantity)) read.Add(name, quantity);
        }
        return read;
    }
}
