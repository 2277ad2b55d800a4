using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Admission;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>A namespace stays, Terminating, until the controller that empties it has taken away its spec.finalizers.</summary>
internal sealed class NamespaceStrategy : Strategy
{
    private const string KubernetesFinalizer = "kubernetes";

    public NamespaceStrategy() => HasStatus = true;

    public override bool HasGeneration => false;
    public override int NameCharsMax => Limits.LabelCharsMax;
    public override IReadOnlyList<string> SelectableFields => ["status.phase"];

    public override string? NameError(string name) => Names.LabelError(name);

    public override void Default(JsonObject json) => Metadata.Of(json).Need("labels")["kubernetes.io/metadata.name"] = Metadata.Name(json);

    public override void PrepareForCreate(JsonObject json, WriteContext context)
    {
        json.Need("spec")["finalizers"] = new JsonArray(KubernetesFinalizer);
        json["status"] = new JsonObject { ["phase"] = "Active" };
    }

    public override void PrepareForUpdate(JsonObject json, JsonObject old, WriteContext context) => Canonical.CopyMember(old, json, "spec");

    public override void PrepareSubresource(string subresource, JsonObject json, JsonObject old, WriteContext context)
    {
        if (subresource == "finalize") KeepAllBut(json, old, "spec");
        else base.PrepareSubresource(subresource, json, old, context);
    }

    public override void MayDelete(ResourceKey key)
    {
        if (Bootstrap.IsPermanent(key.Name)) throw Status.Forbidden(key.Kind, key.Name, "this namespace may not be deleted");
    }

    public override void Marked(JsonObject json) => json.Need("status")["phase"] = "Terminating";

    public override bool HoldsDeleted(JsonObject json) => json.Object("spec")?.List("finalizers") is { Count: > 0 };
}

internal sealed class EventStrategy : Strategy
{
    public override IReadOnlyList<string> SelectableFields { get; } =
    [
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion",
        "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
    ];

    public override bool CreatesOnUpdate => true;

    /// <summary>An event stands in the namespace of what it is about; in "default", where that has none (Kubernetes: ValidateEventCreate).</summary>
    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        if (old is not null) return;
        var (ns, about) = (Metadata.Of(json).Text("namespace"), json.Object("involvedObject")?.Text("namespace") ?? "");
        if (about != ns && (about.Length > 0 || ns != "default")) causes.Add(Metadata.Invalid("involvedObject.namespace", about, "does not match event.namespace"));
    }
}

internal sealed class NodeStrategy : Strategy
{
    public NodeStrategy() => HasStatus = true;

    public override bool HasGeneration => false;
    public override IReadOnlyList<string> SelectableFields => ["spec.unschedulable"];

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = new Part(json.Object("spec") ?? [], "spec", causes);
        var keys = new HashSet<(string, string)>();
        foreach (var taint in spec.Items("taints"))
        {
            if (taint.Needs("key")) taint.Form("key", Names.QualifiedNameError);
            taint.Form("value", Names.LabelValueError);
            if (taint.Needs("effect")) taint.OneOf("effect", "NoExecute", "NoSchedule", "PreferNoSchedule");
            if (!keys.Add((taint.Text("key"), taint.Text("effect")))) causes.Add(new("FieldValueDuplicate", $"Duplicate value: \"{taint.Text("key")}={taint.Text("value")}:{taint.Text("effect")}\": taints must be unique by key and effect pair", taint.Path));
        }
        if (old?.Object("spec")?.Text("providerID") is { Length: > 0 } was && was != spec.Text("providerID")) spec.Forbidden("providerID", "node updates may not change providerID except from \"\" to valid");
    }
}

internal sealed class EndpointSliceStrategy : Strategy
{
    public override bool HasGeneration => true;

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var type = json.Text("addressType");
        if (type is not ("IPv4" or "IPv6" or "FQDN"))
        {
            causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{type}\": supported values: \"FQDN\", \"IPv4\", \"IPv6\"", "addressType"));
        }
        if (old is not null && type != old.Text("addressType")) causes.Add(Metadata.Invalid("addressType", type, "field is immutable"));
        if (old is null || !JsonNode.DeepEquals(json["endpoints"], old["endpoints"]) || !JsonNode.DeepEquals(json["ports"], old["ports"])) EndpointSliceValidation.Slice(json, causes);
        if (json.List("endpoints") is { Count: > 1000 } endpoints) causes.Add(new("FieldValueTooMany", $"Too many: {endpoints.Count}: must have at most 1000 items", "endpoints"));
    }
}
