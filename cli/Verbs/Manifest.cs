using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.Api.Wire;

namespace Declarative.Cli.Verbs;

/// <summary>One object of a manifest file.</summary>
/// <param name="Prefix">Where the object stands in its document: "" or <c>items[2]</c> of a List.</param>
internal sealed record Manifest(string File, YamlDocument Document, string Prefix, Kind Kind, JsonObject Object)
{
    public string Name => Object["metadata"]?["name"]?.GetValue<string>() ?? "";
    public string Namespace => Object["metadata"]?["namespace"]?.GetValue<string>() ?? "";
    public ResourceKey Key => ResourceKey.Of(Kind, Namespace, Name);

    public byte[] Json => Encoding.UTF8.GetBytes(Object.ToJsonString());

    /// <summary><c>web.yaml: document 2, line 14: spec.replicas: …</c></summary>
    public string Fault(string field, string message) => Place(File, Document, Prefix, field) + (field.Length == 0 ? message : $"{field}: {message}");

    /// <summary>Each cause of a refusal with the line that it is about.</summary>
    public IEnumerable<string> Faults(Status status) => status.Causes.Count > 0
        ? status.Causes.Select(x => Fault(x.Field, x.Message))
        : [Fault("", $"{KindNames.Of(Kind, Name)}: {(status.Reason.Length > 0 ? $"the server says {status.Reason}: " : "")}{status.Message}")];

    public static string Place(string file, YamlDocument document, string prefix, string field)
    {
        var path = prefix.Length == 0 ? field : field.Length == 0 ? prefix : $"{prefix}.{field}";
        return string.Create(CultureInfo.InvariantCulture, $"{file}: document {document.Number}, line {document.LineOf(path)}: ");
    }
}
