using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Registry;

/// <summary>autoscaling/v1 Scale: the view of a workload that <c>kubectl scale</c> and autoscalers use.</summary>
internal static class ScaleSubresource
{
    public static SchemaType Type => TypeTable.Kind("autoscaling", "v1", "Scale");

    public static Stored Of(Stored workload)
    {
        var json = Canonical.Parse(workload.Json);
        var metadata = Metadata.Of(json);
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
            writer.WriteNumber("replicas"u8, json.Object("spec")?.Number("replicas") ?? 0);
            writer.WriteEndObject();
            writer.WriteStartObject("status"u8);
            writer.WriteNumber("replicas"u8, json.Object("status")?.Number("replicas") ?? 0);
            if (SelectorText(json) is { Length: > 0 } selector) writer.WriteString("selector"u8, selector);
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
            throw Status.Invalid(workload.Key.Kind, workload.Key.Name, [Metadata.Invalid("spec.replicas", replicas.ToString(System.Globalization.CultureInfo.InvariantCulture), "must be greater than or equal to 0")]);
        }
        json.Need("spec")["replicas"] = replicas;
        if (Metadata.Of(scale).Text("resourceVersion") is { Length: > 0 } revision) Metadata.Of(json)["resourceVersion"] = revision;
        else Metadata.Of(json).Remove("resourceVersion");
        return json;
    }

    private static string SelectorText(JsonObject workload)
    {
        var selector = workload.Object("spec")?.Object("selector");
        if (selector is null) return "";
        var spec = selector.Deserialize<LabelSelectorSpec>(JsonSerializerOptions.Web);
        return spec?.ToSelector().ToString() ?? "";
    }
}
