using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

/// <summary>
/// <c>GET …/NAME/history</c>: who changed an object when, and what it was. A list of kind <c>ObjectHistory</c>, the latest change first, each with
/// revision, time, user, manager, verb (create, update, delete) and the object after it (of a deletion: its last state). Who may read the object
/// may read what it was. Parameters: <c>limit</c>, and <c>before</c> for changes of a lower revision.
/// </summary>
internal static class HistoryAnswer
{
    public static async Task Answer(Exchange exchange, ReadHistory? history)
    {
        if (exchange.Verb != "get") throw Status.MethodNotAllowed($"a history is read only; the server does not allow {exchange.Verb}");
        if (history is null) throw Status.MethodNotAllowed("this API server keeps no history");
        var limit = exchange.Query.Number("limit") is { } asked and > 0 ? (int)Math.Min(asked, Limits.HistoryChangesMax) : Limits.HistoryChangesMax;
        var before = exchange.Query.Number("before") ?? 0;
        var records = await history(exchange.User, exchange.Key, limit, before, exchange.Aborted);
        if (records.Count == 0 && before == 0) await exchange.Api.Get(exchange.Key, "", exchange.Aborted); // 404 for what never was

        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }))
        {
            json.WriteStartObject();
            json.WriteString("apiVersion"u8, "declarative.mesos/v1"u8);
            json.WriteString("kind"u8, "ObjectHistory"u8);
            json.WriteStartArray("items"u8);
            foreach (var record in records)
            {
                json.WriteStartObject();
                json.WriteNumber("revision"u8, record.Revision);
                json.WriteString("time"u8, record.Origin.At.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
                json.WriteString("user"u8, record.Origin.User);
                json.WriteString("manager"u8, record.Origin.Manager);
                json.WriteString("verb"u8, record.Origin.Verb);
                json.WritePropertyName("object"u8);
                json.WriteRawValue(record.Json.Span, skipInputValidation: true);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        await Answers.Json(exchange.Context, 200, buffer.WrittenMemory);
    }
}
