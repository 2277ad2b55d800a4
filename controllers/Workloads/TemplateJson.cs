using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Workloads;

/// <summary>A pod template as the bytes that the user gave, so that pods are made from them field for field.</summary>
internal sealed class TemplateJson
{
    public const string HashLabel = "pod-template-hash";
    private const string Directive = "$patch";

    private readonly JsonElement _template;

    private TemplateJson(JsonElement template) => _template = template;

    /// <summary>spec.template of a stored workload.</summary>
    public static TemplateJson Of(ReadOnlyMemory<byte> workload)
    {
        using var document = JsonDocument.Parse(workload);
        return new(document.RootElement.TryGetProperty("spec", out var spec) && spec.TryGetProperty("template", out var template) ? template.Clone() : default);
    }

    /// <summary>A template that stands by itself, for example in a ControllerRevision.</summary>
    public static TemplateJson Of(JsonElement template) => new(template.Clone());

    /// <summary>A pod of the template that its controller goes on to write.</summary>
    public PodDraft Draft(string ns, Kind ownerKind, ApiObject owner) =>
        new(_template.ValueKind == JsonValueKind.Object ? JsonObject.Create(_template)! : [], ns, ownerKind, owner);

    /// <summary>Writes the template as a part of a strategic merge patch that puts it in the place of another.</summary>
    public void WriteReplacing(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach (var property in _template.EnumerateObject()) property.WriteTo(json);
        json.WriteString(Directive, "replace"u8);
        json.WriteEndObject();
    }

    /// <summary>A new pod: the template's metadata and spec, a name that the server makes from <paramref name="generateName"/>, and the owner.</summary>
    public byte[] Pod(string generateName, string ns, Kind ownerKind, ApiObject owner) => Body.Of(json =>
    {
        json.TypeMeta(Kind.Pod);
        json.Object("metadata", x =>
        {
            x.WriteString("generateName"u8, generateName);
            x.WriteString("namespace"u8, ns);
            foreach (var property in Members(_template, "metadata"))
            {
                if (property.Name is "name" or "generateName" or "namespace" or "uid" or "resourceVersion" or "creationTimestamp" or "ownerReferences") continue;
                property.WriteTo(x);
            }
            x.Owner(ownerKind, owner);
        });
        if (_template.ValueKind == JsonValueKind.Object && _template.TryGetProperty("spec", out var spec))
        {
            json.WritePropertyName("spec"u8);
            spec.WriteTo(json);
        }
    });

    /// <summary>Writes the template with the label <see cref="HashLabel"/> set.</summary>
    public void WriteWithHash(Utf8JsonWriter json, string hash)
    {
        json.WriteStartObject();
        json.Object("metadata", x =>
        {
            foreach (var property in Members(_template, "metadata"))
            {
                if (property.Name != "labels") property.WriteTo(x);
            }
            x.Object("labels", labels =>
            {
                foreach (var property in Members(_template.GetProperty("metadata"), "labels"))
                {
                    if (property.Name != HashLabel) property.WriteTo(labels);
                }
                labels.WriteString(HashLabel, hash);
            });
        });
        foreach (var property in _template.EnumerateObject())
        {
            if (property.Name != "metadata") property.WriteTo(json);
        }
        json.WriteEndObject();
    }

    /// <summary>
    /// The template in one form for all that mean the same: keys in order, without nulls and without <see cref="HashLabel"/>. Two revisions of a
    /// workload are the same where these bytes are.
    /// </summary>
    public byte[] Canonical()
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer))
        {
            if (_template.ValueKind == JsonValueKind.Object) WriteCanonical(json, _template, "");
            else json.WriteNullValue();
        }
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteCanonical(Utf8JsonWriter json, JsonElement element, string path)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                json.WriteStartObject();
                foreach (var property in element.EnumerateObject().OrderBy(x => x.Name, StringComparer.Ordinal))
                {
                    if (property.Value.ValueKind == JsonValueKind.Null || (path.Length == 0 && property.Name == Directive)) continue;
                    if (path == "/metadata/labels" && property.Name == HashLabel) continue;
                    json.WritePropertyName(property.Name);
                    WriteCanonical(json, property.Value, path.Length > 32 ? path : $"{path}/{property.Name}");
                }
                json.WriteEndObject();
                break;
            case JsonValueKind.Array:
                json.WriteStartArray();
                foreach (var item in element.EnumerateArray()) WriteCanonical(json, item, path.Length > 32 ? path : path + "/[]");
                json.WriteEndArray();
                break;
            default:
                element.WriteTo(json);
                break;
        }
    }

    private static IEnumerable<JsonProperty> Members(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object
            ? value.EnumerateObject() : Enumerable.Empty<JsonProperty>();
}
