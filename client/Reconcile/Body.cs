using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Client.Reconcile;

/// <summary>Builds the JSON of patches and new objects with a writer; nothing is read and written back.</summary>
public static class Body
{
    /// <summary>Larger ones are not kept for the next body.</summary>
    private const int BufferBytesKept = 64 * 1024;

    /// <summary>What this thread wrote its last body with; a body within a body has its own.</summary>
    [ThreadStatic]
    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json)? Spare;

    /// <summary>An object with the fields that the function writes.</summary>
    public static byte[] Of(Action<Utf8JsonWriter> fields)
    {
        var (buffer, json) = Spare ?? Made();
        Spare = null;
        json.WriteStartObject();
        fields(json);
        json.WriteEndObject();
        json.Flush();
        var body = buffer.WrittenSpan.ToArray();
        if (buffer.Capacity > BufferBytesKept) return body;
        buffer.ResetWrittenCount();
        json.Reset();
        Spare = (buffer, json);
        return body;

        static (ArrayBufferWriter<byte>, Utf8JsonWriter) Made()
        {
            var buffer = new ArrayBufferWriter<byte>(2 * 1024);
            return (buffer, new(buffer, new() { SkipValidation = true }));
        }
    }

    /// <summary>A merge patch of the status alone: <c>{"status":{…}}</c>.</summary>
    public static byte[] Status(Action<Utf8JsonWriter> fields) => Of(json => json.Object("status", fields));

    public static void Object(this Utf8JsonWriter json, string name, Action<Utf8JsonWriter> fields)
    {
        json.WriteStartObject(name);
        fields(json);
        json.WriteEndObject();
    }

    public static void Array<T>(this Utf8JsonWriter json, string name, IEnumerable<T> items, Action<T> item)
    {
        json.WriteStartArray(name);
        foreach (var x in items) item(x);
        json.WriteEndArray();
    }

    /// <summary>A count that Kubernetes leaves out where it is 0: in a merge patch that is null.</summary>
    public static void NumberOrNull(this Utf8JsonWriter json, string name, int value)
    {
        if (value == 0) json.WriteNull(name);
        else json.WriteNumber(name, value);
    }

    public static void Strings(this Utf8JsonWriter json, string name, IEnumerable<string> values) => json.Array(name, values, json.WriteStringValue);

    /// <summary>A map, in ordinal order of its keys.</summary>
    public static void Map(this Utf8JsonWriter json, string name, IEnumerable<KeyValuePair<string, string>> values)
    {
        json.WriteStartObject(name);
        foreach (var (key, value) in values.OrderBy(x => x.Key, StringComparer.Ordinal)) json.WriteString(key, value);
        json.WriteEndObject();
    }

    /// <summary>meta.v1.Time: RFC 3339 in UTC with whole seconds.</summary>
    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>meta.v1.MicroTime: RFC 3339 in UTC with microseconds.</summary>
    public static string MicroTime(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

    public static void TypeMeta(this Utf8JsonWriter json, Kind kind)
    {
        json.WriteString("apiVersion"u8, kind.ApiVersion);
        json.WriteString("kind"u8, kind.Name);
    }

    /// <summary>metadata.ownerReferences with the one controller.</summary>
    public static void Owner(this Utf8JsonWriter json, Kind kind, ApiObject owner)
    {
        json.WriteStartArray("ownerReferences"u8);
        json.WriteStartObject();
        json.TypeMeta(kind);
        json.WriteString("name"u8, owner.Name);
        json.WriteString("uid"u8, owner.Uid);
        json.WriteBoolean("controller"u8, true);
        json.WriteBoolean("blockOwnerDeletion"u8, true);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    public static void Conditions(this Utf8JsonWriter json, IEnumerable<Condition> conditions) => json.Array("conditions", conditions, x =>
    {
        json.WriteStartObject();
        json.WriteString("type"u8, x.Type);
        json.WriteString("status"u8, x.Status);
        if (x.LastUpdateTime is { } updated) json.WriteString("lastUpdateTime"u8, Time(updated));
        if (x.LastTransitionTime is { } changed) json.WriteString("lastTransitionTime"u8, Time(changed));
        if (x.Reason.Length > 0) json.WriteString("reason"u8, x.Reason);
        if (x.Message.Length > 0) json.WriteString("message"u8, x.Message);
        json.WriteEndObject();
    });

    /// <summary>What an event or a target reference says about an object.</summary>
    public static ObjectReference Reference(Kind kind, ApiObject x) =>
        new() { ApiVersion = kind.ApiVersion, Kind = kind.Name, Namespace = x.Namespace, Name = x.Name, Uid = x.Uid };
}
