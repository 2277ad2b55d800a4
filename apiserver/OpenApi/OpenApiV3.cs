using System.Collections.Concurrent;
using System.Text.Json;
using Declarative.Api.Kinds;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.OpenApi;

/// <summary>
/// OpenAPI 3.0, one document per group and version. Made when first asked for and kept. kubectl looks there for the parameter
/// fieldValidation, for merge keys, and for what <c>explain</c> says.
/// </summary>
internal static class OpenApiV3
{
    private static readonly ConcurrentDictionary<(string Group, string Version), OpenApiDocument> Documents = new();
    private static readonly Lazy<OpenApiDocument> TheIndex = new(() => MakeIndex(Kind.All, (group, version) => OpenApiDocument.HashOf("v3/" + PathOf(group, version)), OpenApiDocument.HashOf("v3")));

    /// <summary>The answer to <c>GET /openapi/v3</c>.</summary>
    public static OpenApiDocument Index() => TheIndex.Value;

    /// <summary>The answer to <c>GET /openapi/v3/api/v1</c> (group "") or <c>/openapi/v3/apis/GROUP/VERSION</c>; null where nothing is served.</summary>
    public static OpenApiDocument? Document(string group, string version)
    {
        if (Documents.TryGetValue((group, version), out var document))
        {
            return document;
        }

        var kinds = Kind.All.Where(kind => kind.Group == group && kind.Version == version).ToList();
        return kinds.Count == 0 ? null : Documents.GetOrAdd((group, version), Make(version, kinds, OpenApiDocument.HashOf("v3/" + PathOf(group, version))));
    }

    internal static string PathOf(string group, string version) => group.Length == 0 ? $"api/{version}" : $"apis/{group}/{version}";

    internal static OpenApiDocument MakeIndex(IReadOnlyList<Kind> kinds, Func<string, string, string> hashOf, string hash) => new(OpenApiDocument.Write(json =>
    {
        json.WriteStartObject();
        json.WriteStartObject("paths");
        foreach (var (group, version) in kinds.Select(kind => (kind.Group, kind.Version)).Distinct())
        {
            var path = PathOf(group, version);
            json.WriteStartObject(path);
            json.WriteString("serverRelativeURL", $"/openapi/v3/{path}?hash={hashOf(group, version)}");
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }), hash);

    internal static OpenApiDocument Make(string version, IReadOnlyList<Kind> kinds, string hash) => new(OpenApiDocument.Write(json =>
    {
        var schemas = new SchemaWriter(json, v3: true, kinds);
        var paths = kinds.SelectMany(PathOperations.Of).ToList();
        json.WriteStartObject();
        json.WriteString("openapi", "3.0.0");
        json.WriteStartObject("info");
        json.WriteString("title", "Declarative");
        json.WriteString("version", version);
        json.WriteEndObject();
        json.WriteStartObject("paths");
        foreach (var path in paths)
        {
            WritePath(json, schemas, path);
        }

        json.WriteEndObject();
        json.WriteStartObject("components");
        json.WriteStartObject("schemas");
        foreach (var name in SchemaWriter.Closure(RootsOf(paths)))
        {
            schemas.Write(name);
        }

        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
    }), hash);

    internal static IEnumerable<string> RootsOf(IEnumerable<PathOperations> paths) =>
        paths.SelectMany(path => path.Operations).SelectMany(operation => (IEnumerable<string>)[operation.ObjectType, operation.BodyType ?? operation.ResultType, operation.ResultType]).Distinct();

    private static void WritePath(Utf8JsonWriter json, SchemaWriter schemas, PathOperations path)
    {
        json.WriteStartObject(path.Path);
        foreach (var operation in path.Operations)
        {
            json.WriteStartObject(operation.Verb);
            json.WriteString("description", operation.Description);
            json.WriteString("operationId", operation.Id);
            json.WriteStartArray("parameters");
            foreach (var parameter in operation.Query)
            {
                json.WriteStartObject();
                json.WriteString("name", parameter.Name);
                json.WriteString("in", "query");
                json.WriteString("description", parameter.Description);
                json.WriteStartObject("schema");
                json.WriteString("type", parameter.Type);
                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            if (operation.BodyType is { } body)
            {
                json.WriteStartObject("requestBody");
                json.WriteStartObject("content");
                foreach (var type in BodyTypes(operation))
                {
                    json.WriteStartObject(type);
                    schemas.SchemaReference(body);
                    json.WriteEndObject();
                }

                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteStartObject("responses");
            json.WriteStartObject("200");
            json.WriteString("description", "OK");
            json.WriteStartObject("content");
            json.WriteStartObject("application/json");
            schemas.SchemaReference(operation.ResultType);
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            WriteExtensions(json, operation);
            json.WriteEndObject();
        }

        json.WriteStartArray("parameters");
        foreach (var name in (string[])["namespace", "name"])
        {
            if (path.Path.Contains($"{{{name}}}", StringComparison.Ordinal))
            {
                json.WriteStartObject();
                json.WriteString("name", name);
                json.WriteString("in", "path");
                json.WriteBoolean("required", true);
                json.WriteStartObject("schema");
                json.WriteString("type", "string");
                json.WriteEndObject();
                json.WriteEndObject();
            }
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    internal static void WriteExtensions(Utf8JsonWriter json, Operation operation)
    {
        var (group, version, kind) = TypeNames.KindOf(operation.ObjectType);
        json.WriteString("x-kubernetes-action", operation.Action);
        json.WriteStartObject("x-kubernetes-group-version-kind");
        json.WriteString("group", group);
        json.WriteString("kind", kind);
        json.WriteString("version", version);
        json.WriteEndObject();
    }

    // kubectl chooses the kind of its patches by these: a custom kind has no merge keys and no protobuf form.
    internal static IReadOnlyList<string> BodyTypes(Operation operation) => operation.Verb != "patch"
        ? TypeTable.Type(operation.ObjectType) is null ? ["application/json", "application/yaml"] : ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]
        : TypeTable.Type(operation.ObjectType) is null ? ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
        : ["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"];
}
