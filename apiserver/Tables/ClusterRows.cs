using System.Text.Json;

namespace Declarative.ApiServer.Tables;

internal static class ClusterRows
{
    public const string NodeColumns = "Status|Roles|Age|Version|*Internal-IP|*External-IP|*OS-Image|*Kernel-Version|*Container-Runtime";
    public const string EventColumns = "Last Seen|Type|Reason|Object|*Subobject|*Source|Message|*First Seen|*Count|*Name";
    public const string BindingColumns = "Role|Age|*Users|*Groups|*ServiceAccounts";
    public const string VolumeColumns = "Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|*VolumeMode";
    public const string ClaimColumns = "Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|*VolumeMode";
    public const string StorageClassColumns = "Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age";
    public const string PriorityColumns = "#Value|?Global-Default|Age|PreemptionPolicy";
    public const string BudgetColumns = "Min Available|Max Unavailable|#Allowed Disruptions|Age";
    public const string QuotaColumns = "Request|Limit|Age";
    private const string RolePrefix = "node-role.kubernetes.io/";

    public static Cell[] ConfigMap(JsonElement o) => [o.Count("data") + o.Count("binaryData"), o.Created()];

    public static Cell[] Secret(JsonElement o) => [o.Text("type"), o.Count("data"), o.Created()];

    public static Cell[] ServiceAccount(JsonElement o) => [o.Count("secrets"), o.Created()];

    public static Cell[] Namespace(JsonElement o) => [o.At("status").Text("phase"), o.Created()];

    public static Cell[] Lease(JsonElement o) => [o.At("spec").Text("holderIdentity"), o.Created()];

    public static Cell[] CreatedAt(JsonElement o) => [o.At("metadata").Text("creationTimestamp")];

    public static Cell[] Webhooks(JsonElement o) => [o.Count("webhooks"), o.Created()];

    public static Cell[] Node(JsonElement o)
    {
        var status = o.At("status");
        var ready = status.Items("conditions").FirstOrDefault(x => x.Text("type") == "Ready");
        var word = ready.ValueKind != JsonValueKind.Object ? "Unknown" : ready.Text("status") == "True" ? "Ready" : "NotReady";
        if (o.At("spec").IsTrue("unschedulable")) word += ",SchedulingDisabled";
        var roles = string.Join(',', o.At("metadata").Fields("labels").Select(RoleOf).Where(x => x.Length > 0).Distinct().Order(StringComparer.Ordinal));
        var about = status.At("nodeInfo");
        return
        [
            word, roles.OrNone(), o.Created(), about.Text("kubeletVersion"), Address("InternalIP"), Address("ExternalIP"),
            about.Text("osImage", "<unknown>"), about.Text("kernelVersion", "<unknown>"), about.Text("containerRuntimeVersion", "<unknown>"),
        ];

        static string RoleOf(JsonProperty label) =>
            label.Name.StartsWith(RolePrefix, StringComparison.Ordinal) ? label.Name[RolePrefix.Length..] : label.Name == "kubernetes.io/role" ? label.Value.ToString() : "";

        string Address(string type) => status.Items("addresses").FirstOrDefault(x => x.Text("type") == type).Text("address").OrNone();
    }

    public static Cell[] Event(JsonElement o)
    {
        // events.k8s.io/v1 names the same fields otherwise.
        var about = o.At("involvedObject").ValueKind == JsonValueKind.Object ? o.At("involvedObject") : o.At("regarding");
        var first = o.Time("firstTimestamp") ?? o.Time("deprecatedFirstTimestamp") ?? o.Time("eventTime") ?? o.At("metadata").Time("creationTimestamp");
        var last = o.At("series").Time("lastObservedTime") ?? o.Time("lastTimestamp") ?? o.Time("deprecatedLastTimestamp") ?? first;
        var count = o.At("series").Number("count", o.Number("count", o.Number("deprecatedCount", 1)));
        var source = o.At("source").Text("component", o.At("deprecatedSource").Text("component", o.Text("reportingComponent", o.Text("reportingController"))));
        var host = o.At("source").Text("host", o.At("deprecatedSource").Text("host", o.Text("reportingInstance")));
        return
        [
            count > 1 ? Cell.Joined(Cell.Since(last), $" (x{count} over ", Cell.Since(first), ")") : Cell.Since(last), o.Text("type"), o.Text("reason"),
            about.Text("kind").ToLowerInvariant() + (about.Text("name") is { Length: > 0 } name ? "/" + name : ""), about.Text("fieldPath"), host.Length > 0 ? $"{source}, {host}" : source,
            o.Text("message", o.Text("note")).Trim(), Cell.Since(first), count, o.At("metadata").Text("name"),
        ];
    }

    public static Cell[] Binding(JsonElement o)
    {
        return [$"{o.At("roleRef").Text("kind")}/{o.At("roleRef").Text("name")}", o.Created(), Names("User"), Names("Group"), Names("ServiceAccount")];

        string Names(string kind) => string.Join(", ", o.Items("subjects").Where(x => x.Text("kind") == kind).Select(x => kind == "ServiceAccount" ? $"{x.Text("namespace")}/{x.Text("name")}" : x.Text("name")));
    }

    public static Cell[] Volume(JsonElement o)
    {
        var (spec, status) = (o.At("spec"), o.At("status"));
        var claim = spec.At("claimRef");
        return
        [
            spec.At("capacity").Text("storage"), Modes(spec), spec.Text("persistentVolumeReclaimPolicy"), Phase(o),
            claim.ValueKind == JsonValueKind.Object ? $"{claim.Text("namespace")}/{claim.Text("name")}" : "", spec.Text("storageClassName"),
            spec.Text("volumeAttributesClassName", "<unset>"), status.Text("reason"), o.Created(), spec.Text("volumeMode", "<unset>"),
        ];
    }

    public static Cell[] Claim(JsonElement o)
    {
        var (spec, status) = (o.At("spec"), o.At("status"));
        var bound = spec.Text("volumeName").Length > 0;
        return
        [
            Phase(o), spec.Text("volumeName"), bound ? status.At("capacity").Text("storage") : "", bound ? Modes(status) : "", spec.Text("storageClassName"),
            spec.Text("volumeAttributesClassName", "<unset>"), o.Created(), spec.Text("volumeMode", "<unset>"),
        ];
    }

    public static Cell[] StorageClass(JsonElement o) =>
        [o.Text("provisioner"), o.Text("reclaimPolicy", "Delete"), o.Text("volumeBindingMode", "Immediate"), o.IsTrue("allowVolumeExpansion"), o.Created()];

    public static string StorageClassName(JsonElement o) =>
        o.At("metadata").Text("name") + (o.At("metadata", "annotations").Text("storageclass.kubernetes.io/is-default-class") == "true" ? " (default)" : "");

    public static Cell[] Priority(JsonElement o) =>
        [o.Number("value"), o.IsTrue("globalDefault"), o.Created(), o.Text("preemptionPolicy", "PreemptLowerPriority")];

    public static Cell[] Budget(JsonElement o) =>
        [o.At("spec").Text("minAvailable", "N/A"), o.At("spec").Text("maxUnavailable", "N/A"), o.At("status").Number("disruptionsAllowed"), o.Created()];

    public static Cell[] Quota(JsonElement o)
    {
        var status = o.At("status");
        var hard = status.Fields("hard").Select(x => (x.Name, Text: $"{x.Name}: {status.At("used").Text(x.Name, "0")}/{x.Value}")).OrderBy(x => x.Name, StringComparer.Ordinal).ToList();
        return
        [
            string.Join(", ", hard.Where(x => !x.Name.StartsWith("limits.", StringComparison.Ordinal)).Select(x => x.Text)),
            string.Join(", ", hard.Where(x => x.Name.StartsWith("limits.", StringComparison.Ordinal)).Select(x => x.Text)), o.Created(),
        ];
    }

    private static string Phase(JsonElement o) => o.At("metadata").Text("deletionTimestamp").Length > 0 ? "Terminating" : o.At("status").Text("phase");

    private static string Modes(JsonElement element) => string.Join(',', element.Items("accessModes").Select(x => x.ToString() switch
    {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        var other => other,
    }));
}
