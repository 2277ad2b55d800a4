using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Declarative.Api.Wire;

namespace Declarative.Cli.Verbs;

/// <summary>
/// Manifests from files, folders and standard input. What is wrong with a document is gathered and does not keep the others from being read.
/// Types and field names are checked here against the same table as in the server, because here the line of each field is known.
/// </summary>
internal sealed class ManifestReader(TextReader input)
{
    private static readonly string[] Extensions = [".yaml", ".yml", ".json"];
    private readonly List<string> _faults = [];

    /// <summary>One line each: file, document, line, field and what is wrong.</summary>
    public IReadOnlyList<string> Faults => _faults;

    /// <param name="checkFields">False where only kinds and names matter (delete).</param>
    public IReadOnlyList<Manifest> Read(IEnumerable<string> paths, bool checkFields = true)
    {
        var manifests = new List<Manifest>();
        foreach (var (file, text) in paths.SelectMany(Texts))
        {
            var broken = new List<YamlFault>();
            foreach (var document in Yaml.Read(text, broken)) Objects(file, document, JsonNode.Parse(document.Json), "", checkFields, manifests);
            foreach (var fault in broken) _faults.Add(string.Create(CultureInfo.InvariantCulture, $"{file}: document {fault.Document}, line {fault.Line}, column {fault.Column}: {fault.Message}"));
        }
        return manifests;
    }

    /// <summary>Throws <see cref="UsageException"/> where there is nothing to read.</summary>
    public static void Check(string path)
    {
        if (path != "-" && !File.Exists(path) && !Directory.Exists(path)) throw new UsageException($"{path}: there is no such file or directory");
    }

    private IEnumerable<(string File, string Text)> Texts(string path)
    {
        Check(path);
        if (path == "-") return [("-", input.ReadToEnd())];
        if (!Directory.Exists(path)) return [(path, File.ReadAllText(path))];
        var files = Directory.GetFiles(path).Where(x => Extensions.Contains(Path.GetExtension(x))).Order(StringComparer.Ordinal).ToList();
        if (files.Count == 0) _faults.Add($"{path}: no file of {string.Join(", ", Extensions)} is in this directory");
        return files.Select(x => (x, File.ReadAllText(x)));
    }

    private void Objects(string file, YamlDocument document, JsonNode? node, string prefix, bool checkFields, List<Manifest> manifests)
    {
        var place = Manifest.Place(file, document, prefix, "");
        if (node is not JsonObject root)
        {
            _faults.Add($"{place}expected an object with apiVersion, kind and metadata");
            return;
        }
        var (apiVersion, name) = (Text(root["apiVersion"]), Text(root["kind"]));
        if (apiVersion.Length == 0 || name.Length == 0)
        {
            _faults.Add($"{place}{(apiVersion.Length == 0 ? "apiVersion" : "kind")} is missing");
            return;
        }
        if (apiVersion == "v1" && name == "List" && root["items"] is JsonArray items)
        {
            for (var i = 0; i < items.Count; i++) Objects(file, document, items[i], string.Create(CultureInfo.InvariantCulture, $"items[{i}]"), checkFields, manifests);
            return;
        }
        if (Kind.FindByName(apiVersion, name) is not { Support: not KindSupport.Review } kind)
        {
            _faults.Add(Manifest.Place(file, document, prefix, "kind") + KindNames.Unknown(apiVersion, name));
            return;
        }
        var manifest = new Manifest(file, document, prefix, kind, root);
        if (checkFields && !AreFieldsGood(manifest)) return;
        if (root["metadata"] is not JsonObject metadata || Text(metadata["name"]).Length == 0) _faults.Add(manifest.Fault("metadata.name", "a name is needed"));
        else manifests.Add(manifest);
    }

    private bool AreFieldsGood(Manifest manifest)
    {
        var kind = manifest.Kind;
        var result = SchemaCheck.Check(TypeTable.Kind(kind.Group, kind.Version, kind.Name), manifest.Json, FieldValidation.Strict);
        foreach (var error in result.Errors) _faults.Add(Manifest.Place(manifest.File, manifest.Document, manifest.Prefix, error.Path) + error);
        return result.Errors.Count == 0;
    }

    private static string Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";
}
