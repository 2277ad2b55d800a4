using System.Text.Json;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.OpenApi;

/// <summary>
/// OpenAPI 2.0: one document for everything, in JSON and in the protobuf form that kubectl 1.27 and 1.28 need for <c>apply</c>.
/// Made when first asked for and kept.
/// </summary>
internal static class OpenApiV2
{
    /// <summary>The Content-Type of <see cref="Protobuf"/>. Clients ask with "@" for the last but one dot, which no media type may contain: kubectl refuses it in an answer.</summary>
    public const string ProtobufContentType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

    private static readonly Lazy<OpenApiDocument> TheJson = new(() => Make(Kind.All, OpenApiDocument.HashOf("v2")));
    private static readonly Lazy<OpenApiDocument> TheProtobuf = new(() => new(OpenApiV2Protobuf.Encode(TheJson.Value.Bytes), OpenApiDocument.HashOf("v2.pb")));

    /// <summary>The answer to <c>GET /openapi/v2</c> with <c>Accept: application/json</c>.</summary>
    public static OpenApiDocument Json() => TheJson.Value;

    /// <summary>The answer to <c>Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf</c>.</summary>
    public static OpenApiDocument Protobuf() => TheProtobuf.Value;

    /// <summary>The document of a table of kinds.</summary>
    internal static OpenApiDocument Make(IReadOnlyList<Kind> kinds, string hash) => new(OpenApiDocument.Write(json => Write(json, kinds)), hash);

    private static void Write(Utf8JsonWriter json, IReadOnlyList<Kind> kinds)
    {
        var schemas = new SchemaWriter(json, v3: false, kinds);
        var paths = kinds.SelectMany(PathOperations.Of).ToList();
        json.WriteStartObject();
        json.WriteString("swagger", "2.0");
        json.WriteStartObject("info");
        json.WriteString("title", "Declarative");
        json.WriteString("version", "v1");
        json.WriteEndObject();
        json.WriteStartObject("paths");
        foreach (var path in paths)
        {
            json.WriteStartObject(path.Path);
            foreach (var operation in path.Operations)
            {
                WriteOperation(json, schemas, operation);
            }

            WritePathParameters(json, path.Path);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteStartObject("definitions");
        foreach (var name in SchemaWriter.Closure(OpenApiV3.RootsOf(paths)))
        {
            schemas.Write(name);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteOperation(Utf8JsonWriter json, SchemaWriter schemas, Operation operation)
    {
        json.WriteStartObject(operation.Verb);
        json.WriteString("description", operation.Description);
        json.WriteString("operationId", operation.Id);
        json.WriteStartArray("consumes");
        foreach (var type in operation.BodyType is null ? ["*/*"] : OpenApiV3.BodyTypes(operation))
        {
            json.WriteStringValue(type);
        }

        json.WriteEndArray();
        json.WriteStartArray("produces");
        json.WriteStringValue("application/json");
        json.WriteEndArray();
        json.WriteStartArray("parameters");
        if (operation.BodyType is { } body)
        {
            json.WriteStartObject();
            json.WriteString("name", "body");
            json.WriteString("in", "body");
            json.WriteBoolean("required", operation.Verb != "delete");
            schemas.SchemaReference(body);
            json.WriteEndObject();
        }

        foreach (var parameter in operation.Query)
        {
            json.WriteStartObject();
            json.WriteString("name", parameter.Name);
            json.WriteString("in", "query");
            json.WriteString("description", parameter.Description);
            json.WriteString("type", parameter.Type);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("responses");
        json.WriteStartObject("200");
        json.WriteString("description", "OK");
        schemas.SchemaReference(operation.ResultType);
        json.WriteEndObject();
        json.WriteEndObject();
        OpenApiV3.WriteExtensions(json, operation);
        json.WriteEndObject();
    }

    private static void WritePathParameters(Utf8JsonWriter json, string path)
    {
        json.WriteStartArray("parameters");
        foreach (var name in (string[])["namespace", "name"])
        {
            if (path.Contains($"{{{name}}}", StringComparison.Ordinal))
            {
                json.WriteStartObject();
                json.WriteString("name", name);
                json.WriteString("in", "path");
                json.WriteBoolean("required", true);
                json.WriteString("type", "string");
                json.WriteEndObject();
            }
        }

        json.WriteEndArray();
    }
}
