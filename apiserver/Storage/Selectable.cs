using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Storage;

/// <summary>A stored object with what selectors ask of it, read from its bytes when first asked.</summary>
internal sealed class Selectable(Stored stored)
{
    private IReadOnlyDictionary<string, string>? _labels;
    private Stored? _left;

    public Stored Stored { get; } = stored;
    public long Revision => Stored.Revision;

    public IReadOnlyDictionary<string, string> Labels => _labels ??= ReadLabels(Stored.Json.Span);

    /// <summary>This state, at the revision of the change that took its place; made once for all watchers whose selection it leaves.</summary>
    public Stored AsItLeft(long revision) => _left is { } made && made.Revision == revision ? made : _left = Stored with { Revision = revision, Json = StoredJson.AtRevision(Stored.Json.Span, revision) };

    private static IReadOnlyDictionary<string, string> ReadLabels(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = Limits.JsonDepthMax });
        if (!Enter(ref reader, "metadata"u8) || !Enter(ref reader, "labels"u8)) return ObjectMeta.NoStrings;
        var labels = new Dictionary<string, string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            labels[key] = reader.TokenType == JsonTokenType.String ? reader.GetString()! : "";
        }
        return labels;
    }

    /// <summary>The text at a dotted path ("status.phase"); "" where it is absent; numbers and booleans as they are written.</summary>
    public string Field(string path)
    {
        var reader = new Utf8JsonReader(Stored.Json.Span, new JsonReaderOptions { MaxDepth = Limits.JsonDepthMax });
        var rest = path.AsSpan();
        Span<byte> name = new byte[path.Length * 3];
        while (true)
        {
            var dot = rest.IndexOf('.');
            var part = dot < 0 ? rest : rest[..dot];
            if (!System.Text.Encoding.UTF8.TryGetBytes(part, name, out var length)) return "";
            if (dot < 0) return Value(ref reader, name[..length]);
            if (!Enter(ref reader, name[..length])) return "";
            rest = rest[(dot + 1)..];
        }
    }

    private static string Value(ref Utf8JsonReader reader, ReadOnlySpan<byte> name)
    {
        if (!Find(ref reader, name)) return "";
        return reader.TokenType switch
        {
            JsonTokenType.String => reader.GetString()!,
            JsonTokenType.Number => System.Text.Encoding.UTF8.GetString(reader.ValueSpan),
            JsonTokenType.True => "true",
            JsonTokenType.False => "false",
            _ => "",
        };
    }

    private static bool Enter(ref Utf8JsonReader reader, ReadOnlySpan<byte> name) => Find(ref reader, name) && reader.TokenType == JsonTokenType.StartObject;

    /// <summary>From before or at the start of an object to the value of one of its members.</summary>
    private static bool Find(ref Utf8JsonReader reader, ReadOnlySpan<byte> name)
    {
        if (reader.TokenType == JsonTokenType.None) reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var found = reader.ValueTextEquals(name);
            reader.Read();
            if (found) return true;
            reader.Skip();
        }
        return false;
    }
}
