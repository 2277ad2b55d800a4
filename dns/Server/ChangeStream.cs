using System.Text;
using System.Text.Json;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using Microsoft.AspNetCore.Http;

namespace Declarative.Dns.Server;

/// <summary>
/// <c>/v1/watch</c>: changes of names as server-sent events. <c>?name=N</c> (repeatable) picks names; their records come first. Without it
/// the zones' serial comes with each version, which tells a client when to ask again.
/// </summary>
internal sealed class ChangeStream(DnsZones zones)
{
    private readonly CancellationTokenSource _stopping = new();
    private int _open;

    public async Task Serve(HttpContext context)
    {
        if (Interlocked.Increment(ref _open) > DnsLimits.WatchersMax)
        {
            Interlocked.Decrement(ref _open);
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return;
        }
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _stopping.Token);
        try
        {
            context.Response.ContentType = "text/event-stream";
            context.Response.Headers.CacheControl = "no-store";
            var names = context.Request.Query["name"].Take(DnsLimits.WatchedNamesMax)
                .Select(n => DnsName.TryParse(n ?? "", out var name) ? name : null).OfType<DnsName>().ToArray();
            var seen = new NameEntry?[names.Length];
            var version = -1L;
            while (true)
            {
                await zones.NextVersion(version, either.Token);
                var snapshot = zones.Cell.Current;
                var text = new StringBuilder();
                for (var i = 0; i < names.Length; i++)
                {
                    var entry = snapshot.Names.Find(names[i].Wire);
                    if (version < 0 || !ReferenceEquals(entry, seen[i]))
                        Add(text, snapshot, names[i], entry);
                    seen[i] = entry;
                }
                if (names.Length == 0)
                    Add(text, snapshot);
                version = snapshot.Version;
                if (text.Length == 0)
                    continue;
                await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text.ToString()), either.Token);
                await context.Response.Body.FlushAsync(either.Token);
            }
        }
        catch (OperationCanceledException)
        {
            return; // the client is gone, or we are stopping
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    public Task Stop() => _stopping.CancelAsync();

    private static void Add(StringBuilder text, ZoneSnapshot snapshot, DnsName name, NameEntry? entry) =>
        Add(text, "name", snapshot.Version, json =>
        {
            json.WriteString("name", name.ToString());
            json.WriteStartArray("records");
            foreach (var record in entry?.Records ?? [])
                json.WriteStringValue(record.ToString());
            json.WriteEndArray();
        });

    private static void Add(StringBuilder text, ZoneSnapshot snapshot) =>
        Add(text, "zones", snapshot.Version, json =>
        {
            foreach (var zone in snapshot.Zones)
                json.WriteNumber(zone.Apex.ToString(), zone.Serial);
        });

    private static void Add(StringBuilder text, string name, long version, Action<Utf8JsonWriter> fill)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            fill(json);
            json.WriteEndObject();
        }
        text.Append("event: ").Append(name).Append("\nid: ").Append(version).Append("\ndata: ").Append(Encoding.UTF8.GetString(bytes.ToArray())).Append("\n\n");
    }
}
