using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Declarative.ApiServer.OpenApi;

/// <summary>A document as it is served.</summary>
/// <param name="Hash">Changes with the content: the ETag, and <c>?hash=</c> of the index.</param>
internal sealed record OpenApiDocument(ReadOnlyMemory<byte> Bytes, string Hash)
{
    /// <summary>The content is a pure function of the built-in tables and this code, so their build identifies it before it is made.</summary>
    public static string HashOf(string name)
    {
        var builds = $"{typeof(OpenApiDocument).Module.ModuleVersionId} {typeof(Api.Schema.TypeTable).Module.ModuleVersionId} {name}";
        return Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(builds)));
    }

    public static ReadOnlyMemory<byte> Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(256 * 1024);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true }))
        {
            write(json);
        }

        return buffer.WrittenSpan.ToArray();
    }
}
