using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry;

/// <summary>The stored form of an object: compact, apiVersion, kind and metadata first, no resourceVersion.</summary>
internal static class Canonical
{
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true, MaxDepth = Limits.JsonDepthMax };

    /// <summary>Each thread has one for all the objects that it writes.</summary>
    [ThreadStatic] private static Desk? Kept;
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = Limits.JsonDepthMax };

    /// <summary>Throws 400 where the bytes are no JSON object.</summary>
    public static JsonObject Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            return JsonNode.Parse(json.Span, documentOptions: Reading) as JsonObject ?? throw Status.BadRequest("expected a JSON object");
        }
        catch (JsonException e)
        {
            throw Status.BadRequest($"the body is no JSON: {e.Message}");
        }
    }

    public static byte[] Bytes(JsonObject json, Kind kind) => Bytes(json, kind.ApiVersion, kind.Name);

    public static byte[] Bytes(JsonObject json, string apiVersion, string kind)
    {
        var desk = Kept ?? new();
        Kept = null;
        Write(json, apiVersion, kind, desk.Writer);
        var bytes = desk.Take();
        if (desk.IsSmall) Kept = desk;
        return bytes;
    }

    private static void Write(JsonObject json, string apiVersion, string kind, Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("apiVersion"u8, apiVersion);
        writer.WriteString("kind"u8, kind);
        writer.WriteStartObject("metadata"u8);
        foreach (var (name, value) in Metadata.Of(json))
        {
            if (name == "resourceVersion" || value is null) continue;
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
        writer.WriteEndObject();
        foreach (var (name, value) in json)
        {
            if (name is "apiVersion" or "kind" or "metadata" || value is null) continue;
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
        writer.WriteEndObject();
    }

    /// <summary>Throws 400 where the object says to be of another kind than the URL.</summary>
    public static void CheckKind(JsonObject json, Kind kind)
    {
        var (apiVersion, name) = (json.Text("apiVersion"), json.Text("kind"));
        if (apiVersion.Length > 0 && apiVersion != kind.ApiVersion)
        {
            throw Status.BadRequest($"the API version in the data ({apiVersion}) does not match the expected API version ({kind.ApiVersion})");
        }
        if (name.Length > 0 && name != kind.Name) throw Status.BadRequest($"the kind in the data ({name}) does not match the expected kind ({kind.Name})");
    }

    public static void CopyMember(JsonObject from, JsonObject to, string name)
    {
        if (from[name] is { } value) to[name] = value.DeepClone();
        else to.Remove(name);
    }

    /// <summary>A member's text; "" where it is absent or no string.</summary>
    public static string Text(this JsonObject json, string name) =>
        json.TryGetPropertyValue(name, out var node) && node is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    public static long? Number(this JsonObject json, string name)
    {
        if (!json.TryGetPropertyValue(name, out var node) || node is not JsonValue value) return null;
        if (value.TryGetValue<long>(out var number)) return number;
        // A default that was set in this process is an int, and is not handed out as anything else.
        return value.TryGetValue<int>(out var small) ? small : null;
    }

    public static bool Flag(this JsonObject json, string name) =>
        json.TryGetPropertyValue(name, out var node) && node is JsonValue value && value.TryGetValue<bool>(out var flag) && flag;

    public static JsonObject? Object(this JsonObject json, string name) => json.TryGetPropertyValue(name, out var node) ? node as JsonObject : null;

    public static JsonArray? List(this JsonObject json, string name) => json.TryGetPropertyValue(name, out var node) ? node as JsonArray : null;

    /// <summary>The member, made empty where it is absent.</summary>
    public static JsonObject Need(this JsonObject json, string name)
    {
        if (json.Object(name) is { } present) return present;
        var made = new JsonObject();
        json[name] = made;
        return made;
    }

    /// <summary>Sets a default where the member is absent.</summary>
    public static void Default(this JsonObject json, string name, JsonNode value)
    {
        if (json[name] is null) json[name] = value;
    }

    private sealed class Desk
    {
        private const int Bytes = 8 * 1024;
        private const int BytesKept = 256 * 1024;
        private readonly ArrayBufferWriter<byte> _buffer = new(Bytes);

        public Desk() => Writer = new(_buffer, Writing);

        public Utf8JsonWriter Writer { get; }

        /// <summary>Worth to be kept.</summary>
        public bool IsSmall => _buffer.Capacity <= BytesKept;

        /// <summary>A copy of what was written; what comes next begins anew. Throws 413 where it is too large for an object.</summary>
        public byte[] Take()
        {
            Writer.Flush();
            if (_buffer.WrittenCount > Limits.ObjectBytesMax) throw Status.TooLarge($"the object has {_buffer.WrittenCount} bytes, more than {Limits.ObjectBytesMax}");
            var bytes = _buffer.WrittenSpan.ToArray();
            _buffer.ResetWrittenCount();
            Writer.Reset();
            return bytes;
        }
    }
}
