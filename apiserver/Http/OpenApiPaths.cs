using Declarative.ApiServer.OpenApi;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary><c>/openapi/v2</c>, <c>/openapi/v3</c> and <c>/openapi/v3/apis/GROUP/VERSION</c>, made when first asked for.</summary>
internal static class OpenApiPaths
{
    private const string V3 = "/openapi/v3";

    /// <summary>False where there is no document at this path.</summary>
    public static async Task<bool> Answer(HttpContext context, string path, CustomOpenApi documents)
    {
        var (document, type) = Find(context, path, documents);
        if (document is null) return false;
        await Documents.Answer(context, $"\"{document.Hash}\"", type, document.Bytes);
        return true;
    }

    private static (OpenApiDocument?, string Type) Find(HttpContext context, string path, CustomOpenApi documents)
    {
        if (path == "/openapi/v2")
        {
            var protobuf = context.Request.Headers.Accept.ToString().Contains("proto-openapi.spec.v2", StringComparison.Ordinal);
            context.Response.Headers.Vary = "Accept";
            return protobuf ? (documents.V2Protobuf(), OpenApiV2.ProtobufContentType) : (documents.V2(), Answers.JsonType);
        }
        if (path == V3) return (documents.Index(), Answers.JsonType);
        if (!path.StartsWith(V3 + "/", StringComparison.Ordinal)) return default;
        return path[(V3.Length + 1)..].Split('/') switch
        {
            ["api", var version] => (documents.Document("", version), Answers.JsonType),
            ["apis", var group, var version] => (documents.Document(group, version), Answers.JsonType),
            _ => default,
        };
    }
}
