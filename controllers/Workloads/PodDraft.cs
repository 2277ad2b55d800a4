using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Workloads;

/// <summary>A pod in the making: what the user's template says, field for field, and what its controller adds to it.</summary>
internal sealed class PodDraft
{
    /// <summary>Of the template's metadata, what a pod does not take over.</summary>
    private static readonly string[] NotTaken = ["name", "generateName", "namespace", "uid", "resourceVersion", "creationTimestamp", "ownerReferences"];

    private readonly JsonObject _json = [];

    internal PodDraft(JsonObject template, string ns, Kind ownerKind, ApiObject owner)
    {
        Metadata = (template["metadata"] as JsonObject)?.DeepClone().AsObject() ?? [];
        foreach (var name in NotTaken) Metadata.Remove(name);
        Metadata["namespace"] = ns;
        Metadata["ownerReferences"] = new JsonArray(Reference(ownerKind, owner));
        Spec = (template["spec"] as JsonObject)?.DeepClone().AsObject() ?? [];
        _json["apiVersion"] = Kind.Pod.ApiVersion;
        _json["kind"] = Kind.Pod.Name;
        _json["metadata"] = Metadata;
        _json["spec"] = Spec;
    }

    public JsonObject Metadata { get; }

    public JsonObject Spec { get; }

    public PodDraft Named(string name)
    {
        Metadata["name"] = name;
        return this;
    }

    /// <summary>The server adds a suffix that makes the name its own.</summary>
    public PodDraft NamedLike(string prefix)
    {
        Metadata["generateName"] = prefix;
        return this;
    }

    public PodDraft Label(string key, string value)
    {
        Need(Metadata, "labels")[key] = value;
        return this;
    }

    public PodDraft Annotate(string key, string value)
    {
        Need(Metadata, "annotations")[key] = value;
        return this;
    }

    public PodDraft HeldBy(string finalizer)
    {
        if (Metadata["finalizers"] is not JsonArray list) Metadata["finalizers"] = list = [];
        list.Add(finalizer);
        return this;
    }

    /// <summary>The containers and init containers.</summary>
    public IEnumerable<JsonObject> Containers =>
        ((JsonArray?)Spec["initContainers"] ?? []).Concat((JsonArray?)Spec["containers"] ?? []).OfType<JsonObject>();

    public byte[] ToJson() => System.Text.Encoding.UTF8.GetBytes(_json.ToJsonString());

    public static JsonObject Need(JsonObject json, string name)
    {
        if (json[name] is JsonObject found) return found;
        var made = new JsonObject();
        json[name] = made;
        return made;
    }

    /// <summary>An owner reference that names the controller.</summary>
    public static JsonObject Reference(Kind kind, ApiObject owner) => new()
    {
        ["apiVersion"] = kind.ApiVersion,
        ["kind"] = kind.Name,
        ["name"] = owner.Name,
        ["uid"] = owner.Uid,
        ["controller"] = true,
        ["blockOwnerDeletion"] = true,
    };
}
