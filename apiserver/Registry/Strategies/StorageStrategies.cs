using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>What claims and volumes have in common (Kubernetes: ValidatePersistentVolumeClaimSpec, ValidatePersistentVolumeSpec).</summary>
internal abstract class VolumeStrategy : Strategy
{
    private static readonly string[] AccessModes = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];

    protected VolumeStrategy() => HasStatus = true;

    public override bool HasGeneration => false;

    public override void Default(JsonObject json) => json.Need("spec").Default("volumeMode", "Filesystem");

    public override void PrepareForCreate(JsonObject json, WriteContext context) => json["status"] = new JsonObject { ["phase"] = "Pending" };

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        if (spec.List("accessModes") is not { Count: > 0 } modes) causes.Add(Metadata.Required("spec.accessModes", "at least 1 access mode is required"));
        else
        {
            foreach (var mode in modes) PodValidation.OneOf(Rules.Text(mode), AccessModes, "spec.accessModes", causes);
            if (modes.Count > 1 && modes.Any(x => Rules.Text(x) == "ReadWriteOncePod")) causes.Add(Rules.Forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes"));
        }
        PodValidation.OneOf(spec.Text("volumeMode"), ["Block", "Filesystem"], "spec.volumeMode", causes);
    }

    protected static void Storage(JsonObject? amounts, string path, List<StatusCause> causes)
    {
        if (amounts?["storage"] is not { } storage) causes.Add(Metadata.Required($"{path}[storage]"));
        else if (Quantity.TryParse(Rules.Text(storage), out var quantity) && quantity.Milli <= 0) causes.Add(Metadata.Invalid($"{path}[storage]", Rules.Text(storage), "must be greater than zero"));
    }
}

internal sealed class ClaimStrategy : VolumeStrategy
{
    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        base.Validate(json, old, causes);
        var spec = json.Need("spec");
        Storage(spec.Object("resources")?.Object("requests"), "spec.resources.requests", causes);
        Shrinks(spec, old, causes);
        // The binder sets volumeName and storageClassName of a claim that has none.
        if (old?.Object("spec") is not { } before || !Rules.DiffersBeside(spec, before, "resources", "volumeAttributesClassName", "volumeName", "storageClassName")
            && !Changed("volumeName") && !Changed("storageClassName")) return;
        causes.Add(Rules.Forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));

        bool Changed(string name) => before.Text(name).Length > 0 && before.Text(name) != spec.Text(name);
    }

    /// <summary>A claim may ask for less than before, but not for less than it has.</summary>
    private static void Shrinks(JsonObject spec, JsonObject? old, List<StatusCause> causes)
    {
        if (Storage(old?.Object("spec")?.Object("resources")?.Object("requests")) is not { } before || Storage(spec.Object("resources")?.Object("requests")) is not { } now || now >= before) return;
        if (now <= (Storage(old?.Object("status")?.Object("capacity")) ?? Quantity.Zero)) causes.Add(Rules.Forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"));

        static Quantity? Storage(JsonObject? amounts) => amounts?["storage"] is { } text && Quantity.TryParse(Rules.Text(text), out var quantity) ? quantity : null;
    }
}

internal sealed class PersistentVolumeStrategy : VolumeStrategy
{
    /// <summary>What describes a volume; the one member beside them says where it is.</summary>
    private static readonly string[] Described =
        ["accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy", "storageClassName", "volumeAttributesClassName", "volumeMode"];

    public override void Default(JsonObject json)
    {
        base.Default(json);
        json.Need("spec").Default("persistentVolumeReclaimPolicy", "Retain");
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        base.Validate(json, old, causes);
        var spec = json.Need("spec");
        Storage(spec.Object("capacity"), "spec.capacity", causes);
        PodValidation.OneOf(spec.Text("persistentVolumeReclaimPolicy"), ["Delete", "Recycle", "Retain"], "spec.persistentVolumeReclaimPolicy", causes);
        if (old?.Object("spec") is not { } before) return;
        if (Rules.DiffersBeside(spec, before, Described)) causes.Add(Rules.Forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"));
        Rules.Immutable(spec, before, "spec", causes, "volumeMode");
    }
}

internal sealed class StorageClassStrategy : Strategy
{
    public override void Default(JsonObject json)
    {
        json.Default("reclaimPolicy", "Delete");
        json.Default("volumeBindingMode", "Immediate");
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        if (json.Text("provisioner").Length == 0) causes.Add(Metadata.Required("provisioner"));
        PodValidation.OneOf(json.Text("reclaimPolicy"), ["Delete", "Retain"], "reclaimPolicy", causes);
        PodValidation.OneOf(json.Text("volumeBindingMode"), ["Immediate", "WaitForFirstConsumer"], "volumeBindingMode", causes);
        if (old is null) return;
        foreach (var name in (ReadOnlySpan<string>)["parameters", "provisioner", "reclaimPolicy"])
        {
            if (!JsonNode.DeepEquals(json[name], old[name])) causes.Add(Rules.Forbidden(name, $"updates to {name} are forbidden."));
        }
        Rules.Immutable(json, old, "", causes, "volumeBindingMode");
    }
}
