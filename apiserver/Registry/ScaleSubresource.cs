using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.ApiServer.CustomResources;

namespace Declarative.ApiServer.Registry;

/// <summary>autoscaling/v1 Scale: the view of a workload that <c>kubectl scale</c> and autoscalers use.</summary>
internal static class ScaleSubresource
{
    public static SchemaType Type => TypeTable.Kind("autoscaling", "v1", "Scale");

    public static Stored Of(Stored workload)
    {
        var json = Canonical.Parse(workload.Json);
        var metadata = Metadata.Of(json);
        var paths = (workload.Key.Kind as CustomKind)?.Scale;
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("apiVersion"u8, "autoscaling/v1"u8);
            writer.WriteString("kind"u8, "Scale"u8);
            writer.WriteStartObject("metadata"u8);
            foreach (var name in (ReadOnlySpan<string>)["name", "namespace", "uid", "resourceVersion", "creationTimestamp"])
            {
                if (metadata.Text(name) is { Length: > 0 } text) writer.WriteString(name, text);
            }
            writer.WriteEndObject();
            writer.WriteStartObject("spec"u8);
            writer.WriteNumber("replicas"u8, paths is null ? json.Object("spec")?.Number("replicas") ?? 0 : NumberAt(json, paths.SpecReplicas));
            writer.WriteEndObject();
            writer.WriteStartObject("status"u8);
            writer.WriteNumber("replicas"u8, paths is null ? json.Object("status")?.Number("replicas") ?? 0 : NumberAt(json, paths.StatusReplicas));
            if ((paths is null ? SelectorText(workload.Key.Kind, json) : TextAt(json, paths.Selector)) is { Length: > 0 } selector) writer.WriteString("selector"u8, selector);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }
        return workload with { Json = buffer.WrittenMemory.ToArray() };
    }

    /// <summary>The workload with the replicas, and where given the resourceVersion, of a Scale.</summary>
    public static JsonObject Replace(Stored workload, JsonObject scale)
    {
        var json = Canonical.Parse(workload.Json);
        var replicas = scale.Object("spec")?.Number("replicas") ?? 0;
        if (replicas is < 0 or > int.MaxValue)
        {
            throw Status.Invalid(workload.Key.Kind, workload.Key.Name, [Metadata.Invalid("spec.replicas", replicas, "must be greater than or equal to 0")]);
        }
        if (workload.Key.Kind is not CustomKind custom) json.Need("spec")["replicas"] = replicas;
        else SetAt(json, custom.Scale?.SpecReplicas ?? throw Status.PageNotFound(), replicas);
        if (Metadata.Of(scale).Text("resourceVersion") is { Length: > 0 } revision) Metadata.Of(json)["resourceVersion"] = revision;
        else Metadata.Of(json).Remove("resourceVersion");
        return json;
    }

    /// <summary>A Scale that is applied, as a configuration of the workload that names its replicas alone.</summary>
    /// <exception cref="ApiException">400: the body is no Scale.</exception>
    public static JsonObject Configuration(ResourceKey key, JsonObject scale)
    {
        var (version, kind) = (scale.Text("apiVersion"), scale.Text("kind"));
        if (version is not "autoscaling/v1" || kind is not "Scale") throw Status.BadRequest($"the object in the data ({version} {kind}) is not the expected one (autoscaling/v1 Scale)");
        var json = new JsonObject { ["apiVersion"] = key.Kind.ApiVersion, ["kind"] = key.Kind.Name, ["metadata"] = new JsonObject { ["name"] = key.Name } };
        if (key.Kind.Namespaced) Metadata.Of(json)["namespace"] = key.Namespace;
        var replicas = scale.Object("spec")?.Number("replicas") ?? 0;
        if (key.Kind is not CustomKind custom) json.Need("spec")["replicas"] = replicas;
        else SetAt(json, custom.Scale?.SpecReplicas ?? throw Status.PageNotFound(), replicas);
        return json;
    }

    // Paths of definitions are names alone (DefinitionRules).
    private static JsonNode? At(JsonObject json, string path) =>
        path.Length == 0 ? null : JsonPath.Parse(path).Names.Aggregate((JsonNode?)json, (at, name) => (at as JsonObject)?[name]);

    private static long NumberAt(JsonObject json, string path) => At(json, path) is JsonValue value && value.TryGetValue<long>(out var number) ? number : 0;

    private static string TextAt(JsonObject json, string path) => At(json, path) is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    private static void SetAt(JsonObject json, string path, long number)
    {
        var names = JsonPath.Parse(path).Names;
        foreach (var name in names.Take(names.Count - 1)) json = json.Need(name);
        json[names[^1]] = number;
    }

    private static string SelectorText(Kind kind, JsonObject workload)
    {
        var selector = workload.Object("spec")?.Object("selector");
        if (selector is null) return "";
        // A ReplicationController's selector is a map.
        if (kind == Kind.ReplicationController) return LabelSelector.Of(selector.Deserialize<Dictionary<string, string>>() ?? []).ToString();
        var spec = selector.Deserialize<LabelSelectorSpec>(JsonSerializerOptions.Web);
        return spec?.ToSelector().ToString() ?? "";
    }
}
