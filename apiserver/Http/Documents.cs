using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Declarative.Api.Kinds;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary>One answer that is the same for everybody, with the hash that clients revalidate by.</summary>
internal sealed class Document(byte[] body, string contentType)
{
    public byte[] Body => body;
    public string ContentType => contentType;
    public string ETag { get; } = $"\"{Convert.ToHexString(SHA256.HashData(body))}\"";
}

/// <summary>Discovery, <c>/version</c> and the list of paths.</summary>
internal sealed class Documents
{
    private readonly Dictionary<string, Document> _plain = [];
    private readonly Dictionary<(string Path, string Version), Document> _aggregated = [];

    public Documents(string version, IReadOnlyList<Kind> kinds)
    {
        var discovery = new Discovery(kinds);
        Add("/version", Version(version));
        Add("/api", discovery.ApiVersions());
        Add("/apis", discovery.ApiGroupList());
        foreach (var group in discovery.Groups)
        {
            if (group.Length > 0) Add($"/apis/{group}", discovery.ApiGroup(group));
            foreach (var each in discovery.Versions(group))
            {
                Add(group.Length == 0 ? $"/api/{each}" : $"/apis/{group}/{each}", discovery.ApiResourceList(group, each));
            }
        }
        foreach (var form in (string[])["v2", "v2beta1"])
        {
            var type = $"application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList";
            _aggregated.Add(("/api", form), new(discovery.Aggregated(core: true, form), type));
            _aggregated.Add(("/apis", form), new(discovery.Aggregated(core: false, form), type));
        }
        Add("/", Paths([.. _plain.Keys, "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz"]));
    }

    /// <summary>False where there is no document at this path.</summary>
    public async Task<bool> Answer(HttpContext context, string path)
    {
        if (path.Length > 1 && path.EndsWith('/')) path = path[..^1];
        if (!_plain.TryGetValue(path, out var document)) return false;
        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            throw Api.Objects.Status.MethodNotAllowed($"the server does not allow the method {context.Request.Method} on {path}");
        }
        if (path is "/api" or "/apis")
        {
            context.Response.Headers.Vary = "Accept";
            if (AggregatedForm(context.Request.Headers.Accept.ToString()) is { } form) document = _aggregated[(path, form)];
        }
        await Answer(context, document.ETag, document.ContentType, document.Body);
        return true;
    }

    /// <summary>The document, or 304 for a client that has it already.</summary>
    public static Task Answer(HttpContext context, string etag, string contentType, ReadOnlyMemory<byte> body)
    {
        context.Response.Headers.ETag = etag;
        context.Response.Headers.CacheControl = "public";
        if (context.Request.Headers.IfNoneMatch.ToString().Contains(etag, StringComparison.Ordinal))
        {
            context.Response.StatusCode = 304;
            return Task.CompletedTask;
        }
        return Answers.Bytes(context, 200, contentType, body);
    }

    /// <summary>v2, v2beta1, or null for the old form: whichever the client names first.</summary>
    internal static string? AggregatedForm(string accept)
    {
        foreach (var range in accept.Split(','))
        {
            var parts = range.Split(';', StringSplitOptions.TrimEntries);
            if (parts[0] != "application/json") continue;
            if (parts.Length == 1) return null;
            if (!parts.Contains("g=apidiscovery.k8s.io") || !parts.Contains("as=APIGroupDiscoveryList")) continue;
            if (parts.Contains("v=v2")) return "v2";
            if (parts.Contains("v=v2beta1")) return "v2beta1";
        }
        return null;
    }

    private void Add(string path, byte[] body) => _plain.Add(path, new(body, Answers.JsonType));

    private static byte[] Version(string version) => Build(json =>
    {
        json.WriteString("major"u8, "1"u8);
        json.WriteString("minor"u8, "33"u8);
        json.WriteString("gitVersion"u8, $"v1.33.0+declarative.{version}");
        json.WriteString("gitCommit"u8, ""u8);
        json.WriteString("gitTreeState"u8, ""u8);
        json.WriteString("buildDate"u8, "1970-01-01T00:00:00Z"u8);
        json.WriteString("goVersion"u8, ""u8);
        json.WriteString("compiler"u8, RuntimeInformation.FrameworkDescription);
        json.WriteString("platform"u8, "linux/" + RuntimeInformation.ProcessArchitecture switch { Architecture.X64 => "amd64", var other => other.ToString().ToLowerInvariant() });
    });

    private static byte[] Paths(IEnumerable<string> paths) => Build(json =>
    {
        json.WriteStartArray("paths"u8);
        foreach (var path in paths.Order(StringComparer.Ordinal)) json.WriteStringValue(path);
        json.WriteEndArray();
    });

    private static byte[] Build(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
