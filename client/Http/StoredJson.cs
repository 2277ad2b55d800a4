using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Client.Http;

/// <summary>Finds in an object's bytes what <see cref="Stored"/> says about it, in one pass and without a document.</summary>
internal static class StoredJson
{
    /// <summary>The object of a request to <paramref name="asked"/>; a Status (of a deletion) keeps the asked key and has revision 0.</summary>
    public static Stored Read(ResourceKey asked, ReadOnlyMemory<byte> json)
    {
        var (name, ns, uid, revision) = Metadata(json.Span);
        return new(name.Length == 0 ? asked : ResourceKey.Of(asked.Kind, ns, name), uid, revision, json);
    }

    public static StoredList ReadList(Kind kind, ReadOnlyMemory<byte> body)
    {
        var items = new List<Stored>();
        var (revision, more, remaining) = (0L, "", (long?)null);
        var reader = new Utf8JsonReader(body.Span);
        Begin(ref reader);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("metadata"u8))
            {
                reader.Read();
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    if (reader.ValueTextEquals("resourceVersion"u8)) revision = Number(ref reader);
                    else if (reader.ValueTextEquals("continue"u8)) more = Text(ref reader);
                    else if (reader.ValueTextEquals("remainingItemCount"u8))
                    {
                        reader.Read();
                        remaining = reader.GetInt64();
                    }
                    else reader.Skip();
                }
            }
            else if (reader.ValueTextEquals("items"u8))
            {
                reader.Read();
                while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
                {
                    var start = (int)reader.TokenStartIndex;
                    reader.Skip();
                    // A copy of its own, so that one kept object does not keep the whole page.
                    items.Add(Read(new(kind, "", ""), body[start..(int)reader.BytesConsumed].ToArray()));
                }
            }
            else
            {
                reader.Skip();
            }
        }
        return new(items, revision, more, remaining);
    }

    /// <summary>One line of a watch: <c>{"type":"ADDED","object":{…}}</c>. An ERROR is thrown as the Status that it carries.</summary>
    public static WatchEvent ReadEvent(Kind kind, ReadOnlySpan<byte> line)
    {
        WatchEventType? type = null;
        var (start, end) = (0, 0);
        var reader = new Utf8JsonReader(line);
        Begin(ref reader);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("type"u8))
            {
                reader.Read();
                type = reader.ValueTextEquals("ADDED"u8) ? WatchEventType.Added
                    : reader.ValueTextEquals("MODIFIED"u8) ? WatchEventType.Modified
                    : reader.ValueTextEquals("DELETED"u8) ? WatchEventType.Deleted
                    : reader.ValueTextEquals("BOOKMARK"u8) ? WatchEventType.Bookmark : null;
            }
            else if (reader.ValueTextEquals("object"u8))
            {
                reader.Read();
                start = (int)reader.TokenStartIndex;
                reader.Skip();
                end = (int)reader.BytesConsumed;
            }
            else
            {
                reader.Skip();
            }
        }
        var json = line[start..end];
        if (type is null) throw new ApiException(Api.Objects.Status.Read(500, json));
        if (type == WatchEventType.Bookmark) return new(WatchEventType.Bookmark, Metadata(json).Revision, null, json.IndexOf("k8s.io/initial-events-end"u8) >= 0);
        var stored = Read(new(kind, "", ""), json.ToArray());
        return new(type.Value, stored.Revision, stored);
    }

    private static (string Name, string Namespace, string Uid, long Revision) Metadata(ReadOnlySpan<byte> json)
    {
        var (name, ns, uid, revision) = ("", "", "", 0L);
        var reader = new Utf8JsonReader(json);
        Begin(ref reader);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!reader.ValueTextEquals("metadata"u8))
            {
                reader.Skip();
                continue;
            }
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("name"u8)) name = Text(ref reader);
                else if (reader.ValueTextEquals("namespace"u8)) ns = Text(ref reader);
                else if (reader.ValueTextEquals("uid"u8)) uid = Text(ref reader);
                else if (reader.ValueTextEquals("resourceVersion"u8)) revision = Number(ref reader);
                else reader.Skip();
            }
            break;
        }
        return (name, ns, uid, revision);
    }

    private static void Begin(ref Utf8JsonReader reader)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw new JsonException("expected an object");
    }

    private static string Text(ref Utf8JsonReader reader)
    {
        reader.Read();
        return reader.GetString() ?? "";
    }

    private static long Number(ref Utf8JsonReader reader)
    {
        reader.Read();
        return reader.TokenType == JsonTokenType.String && long.TryParse(reader.GetString(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
    }
}
