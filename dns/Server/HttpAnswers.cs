using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;

namespace Declarative.Dns.Server;

/// <summary>
/// The bodies of Mesos-DNS' HTTP API, as it answers: an unknown host or service is one record of empty strings, ports are strings, names end
/// in a dot. Its configuration is shown without its secrets, of which this server has none.
/// </summary>
internal sealed class HttpAnswers(DnsZones zones, DnsOptions options, Func<DnsMetrics> metrics)
{
    private const string Json = "application/json";

    public (int Status, string Type, byte[] Body) Of(string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries).Select(Uri.UnescapeDataString).ToArray();
        return parts switch
        {
            ["v1", "version"] => (200, Json, Write(Version)),
            ["v1", "config"] => (200, Json, Write(Config)),
            ["v1", "hosts", var host] => (200, Json, Write(json => Hosts(json, host))),
            ["v1", "hosts", _, "ports"] => (501, "text/plain", "To be implemented...\n"u8.ToArray()),
            ["v1", "services", var service] => (200, Json, Write(json => Services(json, service))),
            ["v1", "enumerate"] when options.Enumeration => (200, Json, Write(Enumerate)),
            ["v1", "axfr"] => (200, Json, Write(Axfr)),
            ["metrics"] => (200, "text/plain; version=0.0.4", Encoding.UTF8.GetBytes(metrics().Text())),
            _ => (404, "text/plain", "not found; there are /v1/version, config, hosts/{host}, services/{service}, enumerate, axfr, watch, and /metrics\n"u8.ToArray()),
        };
    }

    private static void Version(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("Service", "Mesos-DNS");
        json.WriteString("Version", $"declarative {typeof(HttpAnswers).Assembly.GetName().Version?.ToString(3)}");
        json.WriteString("URL", "");
        json.WriteEndObject();
    }

    private void Config(Utf8JsonWriter json)
    {
        if (options.Source is { } source)
        {
            source.Write(json);
            return;
        }
        json.WriteStartObject();
        json.WriteString("Domain", options.MesosDomain);
        json.WriteString("Listener", options.Listen.Address.ToString());
        json.WriteNumber("Port", options.Listen.Port);
        json.WriteString("HTTPListener", options.Http?.Address.ToString());
        json.WriteNumber("HTTPPort", options.Http?.Port ?? 0);
        json.WriteBoolean("DNSOn", options.AnswersDns);
        json.WriteBoolean("HTTPOn", options.Http is not null);
        json.WriteBoolean("ExternalOn", options.Forward.Any);
        json.WriteBoolean("RecurseOn", false);
        json.WriteBoolean("EnforceRFC952", options.Rfc952);
        json.WriteBoolean("EnumerationOn", options.Enumeration);
        json.WriteBoolean("SetTruncateBit", true);
        json.WriteNumber("TTL", options.Times.Ttl);
        json.WriteNumber("SRVRecordDefaultWeight", options.SrvWeight);
        json.WriteString("SOAMname", options.SoaServer ?? $"ns1.{zones.Names.Mesos}");
        json.WriteString("SOARname", options.SoaMailbox ?? $"root.ns1.{zones.Names.Mesos}");
        json.WriteNumber("SOARefresh", options.Times.Refresh);
        json.WriteNumber("SOARetry", options.Times.Retry);
        json.WriteNumber("SOAExpire", options.Times.Expire);
        json.WriteNumber("SOAMinttl", options.Times.NegativeTtl);
        json.WriteEndObject();
    }

    private void Hosts(Utf8JsonWriter json, string host)
    {
        json.WriteStartArray();
        var records = Addresses(host).ToList();
        foreach (var (name, address) in records.Count > 0 ? records.Select(r => (r.Name.ToString(), r.Address.ToString())) : [("", "")])
        {
            json.WriteStartObject();
            json.WriteString("host", name);
            json.WriteString("ip", address);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private void Services(Utf8JsonWriter json, string service)
    {
        json.WriteStartArray();
        var any = false;
        foreach (var record in Find(service)?.Records.Where(r => r.Type == RecordType.Srv) ?? [])
        {
            // The first address of each family per target.
            foreach (var address in record.Targets.GroupBy(t => t.Type).Select(g => g.First().Address.ToString()).DefaultIfEmpty(""))
            {
                Service(json, record.Name.ToString(), record.Target.ToString(), address, record.Port.ToString(CultureInfo.InvariantCulture));
                any = true;
            }
        }
        if (!any)
            Service(json, "", "", "", "");
        json.WriteEndArray();
    }

    private static void Service(Utf8JsonWriter json, string service, string host, string ip, string port)
    {
        json.WriteStartObject();
        json.WriteString("service", service);
        json.WriteString("host", host);
        json.WriteString("ip", ip);
        json.WriteString("port", port);
        json.WriteEndObject();
    }

    private void Enumerate(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteStartArray("frameworks");
        foreach (var framework in zones.Frameworks())
        {
            json.WriteStartObject();
            json.WriteStartArray("tasks");
            foreach (var task in framework.Tasks)
            {
                json.WriteStartObject();
                json.WriteString("name", task.Name);
                json.WriteString("id", task.Id);
                json.WriteStartArray("records");
                foreach (var record in task.Records.Distinct())
                {
                    json.WriteStartObject();
                    json.WriteString("name", record.Name.ToString());
                    json.WriteString("host", Host(record));
                    json.WriteString("rtype", record.Type.ToString().ToUpperInvariant());
                    json.WriteEndObject();
                }
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteString("name", framework.Name);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void Axfr(Utf8JsonWriter json)
    {
        var snapshot = zones.Cell.Current;
        var zone = snapshot.Zones.FirstOrDefault(z => z.Apex.Equals(zones.Names.Mesos));
        json.WriteStartObject();
        json.WriteNumber("TTL", options.Times.Ttl);
        json.WriteNumber("Serial", zone?.Serial ?? 0);
        json.WriteNumber("RefreshSeconds", (int)(options.Mesos?.Refresh.TotalSeconds ?? 0));
        json.WriteString("Mname", zone?.Authority.Server.ToString());
        json.WriteString("Rname", zone?.Authority.Mailbox.ToString());
        json.WriteString("Domain", options.MesosDomain);
        json.WriteStartObject("Records");
        var entries = snapshot.Names.Sorted().Where(e => snapshot.ZoneOf(e.Wire) == zone).ToList();
        foreach (var (key, type) in new[] { ("As", RecordType.A), ("AAAAs", RecordType.Aaaa), ("SRVs", RecordType.Srv) })
        {
            json.WriteStartObject(key);
            foreach (var entry in entries)
            {
                if (entry.Find(type) is not { } set)
                    continue;
                json.WriteStartArray(entry.Name.ToString());
                foreach (var record in set.Records(entry.Name))
                    json.WriteStringValue(Host(record));
                json.WriteEndArray();
            }
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static string Host(Record record) => record.Type == RecordType.Srv ? $"{record.Target}:{record.Port}" : record.Address.ToString();

    private IEnumerable<Record> Addresses(string name) =>
        Find(name)?.Records.Where(r => r.Type is RecordType.A or RecordType.Aaaa) ?? [];

    private NameEntry? Find(string name) => DnsName.TryParse(name, out var parsed) ? zones.Cell.Current.Names.Find(parsed.Wire) : null;

    private static byte[] Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
            write(json);
        return buffer.WrittenSpan.ToArray();
    }
}
