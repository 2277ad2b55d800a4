using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Wire;
using Declarative.Client.Http;

namespace Declarative.Cli.Commands;

/// <summary>Manifests named on a command line, and what it takes to make them so.</summary>
internal static class ApplyInput
{
    private static readonly string[] Extensions = [".yaml", ".yml", ".json"];

    /// <summary>Throws <see cref="UsageException"/> where nothing can be read.</summary>
    public static void Check(string path)
    {
        if (path != "-" && !File.Exists(path) && !Directory.Exists(path)) throw new UsageException($"--apply {path}: there is no such file or directory");
    }

    public static async Task Apply(IReadOnlyList<string> paths, string kubeconfig, Machine machine, TextWriter output, CancellationToken stop)
    {
        var api = new HttpApi(Kubeconfig.Load(kubeconfig), machine.Time);
        foreach (var (file, document) in paths.SelectMany(Read)) await Apply(api, file, document, output, stop);
    }

    private static IEnumerable<(string File, YamlDocument Document)> Read(string path)
    {
        var files = Directory.Exists(path) ? Directory.GetFiles(path).Where(x => Extensions.Contains(Path.GetExtension(x))).Order(StringComparer.Ordinal) : (IEnumerable<string>)[path];
        foreach (var file in files)
        {
            IReadOnlyList<YamlDocument> documents;
            try
            {
                documents = Yaml.Read(file == "-" ? Console.In.ReadToEnd() : File.ReadAllText(file));
            }
            catch (YamlFault e)
            {
                throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"{file}: document {e.Document}, line {e.Line}, column {e.Column}: {e.Message}"));
            }
            foreach (var document in documents) yield return (file, document);
        }
    }

    private static async Task Apply(HttpApi api, string file, YamlDocument document, TextWriter output, CancellationToken stop)
    {
        var where = string.Create(CultureInfo.InvariantCulture, $"{file}: document {document.Number}, line {document.Line}");
        using var json = JsonDocument.Parse(document.Json);
        var (apiVersion, name) = (Text(json.RootElement, "apiVersion"), Text(json.RootElement, "kind"));
        var kind = Kind.FindByName(apiVersion, name) ?? throw new UsageException($"{where}: kind \"{name}\" of apiVersion \"{apiVersion}\" is not known here");
        var metadata = json.RootElement.TryGetProperty("metadata", out var m) ? m : default;
        var ns = Text(metadata, "namespace");
        var key = ResourceKey.Of(kind, ns.Length == 0 ? "default" : ns, Text(metadata, "name"));
        try
        {
            string did;
            try
            {
                await api.Create(key, document.Json, new() { FieldValidation = FieldValidation.Strict }, stop);
                did = "created";
            }
            catch (ApiException e) when (e.Status.Reason == Api.Objects.StatusReason.AlreadyExists)
            {
                var before = await api.Get(key, "", stop);
                var after = await api.Patch(key, PatchKind.Strategic, document.Json, new() { FieldValidation = FieldValidation.Strict }, stop);
                did = before.Revision == after.Revision ? "unchanged" : "configured";
            }
            await output.WriteLineAsync($"{kind.Singular}{(kind.Group.Length == 0 ? "" : "." + kind.Group)}/{key.Name} {did}");
        }
        catch (ApiException e)
        {
            throw new UsageException($"{where}: {e.Message}");
        }
    }

    private static string Text(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
