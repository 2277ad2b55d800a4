using System.Text.Json;

namespace Declarative.ApiServer.Tables;

/// <summary>Rows of certificates, admission, storage drivers and what else is kept for others than this platform to act on.</summary>
internal static class StoredRows
{
    public const string SigningColumns = "Age|SignerName|Requestor|RequestedDuration|Condition";
    public const string TemplateColumns = "Containers|Images|Pod Labels";
    public const string ComponentColumns = "Status|Message|Error";
    public const string ServedGroupColumns = "Service|Available|Age";
    public const string AdmissionPolicyColumns = "#Validations|ParamKind|Age";
    public const string AdmissionBindingColumns = "PolicyName|ParamRef|Age";
    public const string DriverColumns = "?AttachRequired|?PodInfoOnMount|?StorageCapacity|TokenRequests|?RequiresRepublish|Modes|Age";
    public const string AttachmentColumns = "Attacher|PV|Node|?Attached|Age";
    public const string CapacityColumns = "StorageClassName|Capacity";
    public const string FlowColumns = "PriorityLevel|MatchingPrecedence|DistinguisherMethod|Age|MissingPL";
    public const string LevelColumns = "Type|NominalConcurrencyShares|Queues|HandSize|QueueLengthLimit|Age";
    private const string Unset = "<unset>";

    public static Cell[] Signing(JsonElement o)
    {
        var (spec, conditions) = (o.At("spec"), o.At("status").Items("conditions").Select(x => x.Text("type")).ToHashSet());
        var condition = conditions.Contains("Denied") ? "Denied" : conditions.Contains("Approved") ? "Approved" : "Pending";
        if (conditions.Contains("Failed")) condition += ",Failed";
        if (o.At("status").Text("certificate").Length > 0) condition += ",Issued";
        var seconds = spec.Number("expirationSeconds");
        return [o.Created(), spec.Text("signerName").OrNone(), spec.Text("username"), seconds > 0 ? Age.Of(seconds * TimeSpan.TicksPerSecond) : Json.None, condition];
    }

    public static Cell[] Template(JsonElement o) => [WorkloadRows.Containers(o), WorkloadRows.Images(o), o.At("template", "metadata").Pairs("labels")];

    public static Cell[] Component(JsonElement o)
    {
        var healthy = o.Items("conditions").FirstOrDefault(x => x.Text("type") == "Healthy");
        var word = healthy.ValueKind != JsonValueKind.Object ? "Unknown" : healthy.Text("status") == "True" ? "Healthy" : "Unhealthy";
        return [word, healthy.Text("message"), healthy.Text("error")];
    }

    public static Cell[] ServedGroup(JsonElement o)
    {
        var service = o.At("spec", "service");
        var available = o.At("status").Items("conditions").FirstOrDefault(x => x.Text("type") == "Available");
        var word = available.Text("status", "Unknown");
        if (word is "False" && available.Text("reason") is { Length: > 0 } reason) word += $" ({reason})";
        return [service.ValueKind == JsonValueKind.Object ? $"{service.Text("namespace")}/{service.Text("name")}" : "Local", word, o.Created()];
    }

    public static Cell[] AdmissionPolicy(JsonElement o)
    {
        var parameters = o.At("spec", "paramKind");
        return [o.At("spec").Count("validations"), parameters.ValueKind == JsonValueKind.Object ? $"{parameters.Text("apiVersion")}/{parameters.Text("kind")}" : Unset, o.Created()];
    }

    public static Cell[] AdmissionBinding(JsonElement o)
    {
        var (spec, parameters) = (o.At("spec"), o.At("spec", "paramRef"));
        // Whether the parameter's kind is namespaced is not known here.
        var text = parameters.Text("name").Length > 0 ? $"{parameters.Text("namespace", "*")}/{parameters.Text("name")}"
            : parameters.At("selector").ValueKind == JsonValueKind.Object ? parameters.Selector("selector") : Unset;
        return [spec.Text("policyName"), text, o.Created()];
    }

    public static Cell[] Runtime(JsonElement o) => [o.Text("handler"), o.Created()];

    public static Cell[] Driver(JsonElement o)
    {
        var spec = o.At("spec");
        return
        [
            spec.At("attachRequired").ValueKind != JsonValueKind.False, spec.IsTrue("podInfoOnMount"), spec.IsTrue("storageCapacity"),
            spec.At("tokenRequests").ValueKind == JsonValueKind.Array ? string.Join(',', spec.Items("tokenRequests").Select(x => x.Text("audience"))) : Unset,
            spec.IsTrue("requiresRepublish"), string.Join(',', spec.Items("volumeLifecycleModes")).OrNone(), o.Created(),
        ];
    }

    public static Cell[] DriversOfNode(JsonElement o) => [o.At("spec").Count("drivers"), o.Created()];

    public static Cell[] Attachment(JsonElement o)
    {
        var spec = o.At("spec");
        return [spec.Text("attacher"), spec.At("source").Text("persistentVolumeName"), spec.Text("nodeName"), o.At("status").IsTrue("attached"), o.Created()];
    }

    public static Cell[] Capacity(JsonElement o) => [o.Text("storageClassName"), o.Text("capacity", Unset)];

    public static Cell[] VolumeAttributes(JsonElement o) => [o.Text("driverName"), o.Created()];

    public static string VolumeAttributesName(JsonElement o) =>
        o.At("metadata").Text("name") + (o.At("metadata", "annotations").Text("storage.kubernetes.io/is-default-class") == "true" ? " (default)" : "");

    public static Cell[] Address(JsonElement o)
    {
        var parent = o.At("spec", "parentRef");
        if (parent.ValueKind != JsonValueKind.Object) return [Json.None];
        string[] parts = [parent.Text("group") is { Length: > 0 } group ? $"{parent.Text("resource")}.{group}" : parent.Text("resource"), parent.Text("namespace"), parent.Text("name")];
        return [string.Join('/', parts.Where(x => x.Length > 0))];
    }

    public static Cell[] Range(JsonElement o) => [string.Join(',', o.At("spec").Items("cidrs")), o.Created()];

    public static Cell[] Flow(JsonElement o)
    {
        var spec = o.At("spec");
        var dangling = o.At("status").Items("conditions").FirstOrDefault(x => x.Text("type") == "Dangling");
        return
        [
            spec.At("priorityLevelConfiguration").Text("name"), spec.Number("matchingPrecedence"), spec.At("distinguisherMethod").Text("type").OrNone(), o.Created(),
            dangling.Text("status", "?"),
        ];
    }

    public static Cell[] Level(JsonElement o)
    {
        var limited = o.At("spec", "limited");
        var queuing = limited.At("limitResponse", "queuing");
        return
        [
            o.At("spec").Text("type"), Number(limited, "nominalConcurrencyShares"), Number(queuing, "queues"), Number(queuing, "handSize"), Number(queuing, "queueLengthLimit"), o.Created(),
        ];

        static Cell Number(JsonElement element, string name) => element.At(name).ValueKind == JsonValueKind.Number ? element.Number(name) : Json.None;
    }
}
