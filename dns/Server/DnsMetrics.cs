using System.Globalization;
using System.Text;
using Declarative.Dns.Wire;

namespace Declarative.Dns.Server;

/// <summary>The server's counts at one moment, as Prometheus reads them.</summary>
internal sealed record DnsMetrics(Counters Udp, Counters Tcp, int TcpConnections, long TcpRefused, DnsZones Zones, Forwarder? Forwarder)
{
    private static readonly ResponseCode[] Codes =
        [ResponseCode.NoError, ResponseCode.FormErr, ResponseCode.ServFail, ResponseCode.NxDomain, ResponseCode.NotImp, ResponseCode.Refused];

    public string Text()
    {
        var text = new StringBuilder();
        Head("queries_total", "counter", "Queries answered.");
        Line("queries_total", Udp.Queries, "transport=\"udp\"");
        Line("queries_total", Tcp.Queries, "transport=\"tcp\"");
        Head("responses_total", "counter", "Answers by response code.");
        foreach (var code in Codes)
            Line("responses_total", Udp.Of(code) + Tcp.Of(code), $"code=\"{code.ToString().ToUpperInvariant()}\"");
        One("truncated_total", "counter", "Answers with TC set.", Udp.Truncated + Tcp.Truncated);
        One("dropped_total", "counter", "Packets that deserved no answer.", Udp.Dropped + Tcp.Dropped);
        One("unsent_total", "counter", "Answers that the kernel refused.", Udp.Unsent);
        One("failures_total", "counter", "Queries that met a bug.", Udp.Failures + Tcp.Failures);
        One("limited_total", "counter", "Answers withheld or cut because of the limit per network.", Udp.Limited);
        One("tcp_connections", "gauge", "TCP connections open.", TcpConnections);
        One("tcp_refused_total", "counter", "TCP connections turned away because of a limit.", TcpRefused);
        One("names", "gauge", "Names served.", Zones.Cell.Current.Names.Count);
        One("snapshot_version", "counter", "Versions of the zones made since the start.", Zones.Cell.Current.Version);
        One("synced", "gauge", "1 when the zones are complete.", Zones.Synced.IsCompleted ? 1 : 0);
        if (Zones.MesosAge is { } age)
        {
            One("mesos_age_seconds", "gauge", "Seconds since a Mesos master last told something.", age);
            One("mesos_stale", "gauge", "1 when that is too long ago.", Zones.IsStale ? 1 : 0);
        }
        if (Forwarder is { } forwarder)
        {
            One("forwarded_total", "counter", "Questions asked of other servers.", forwarder.Forwarded);
            One("forward_failed_total", "counter", "Of those, without an answer.", forwarder.Failed);
            One("cache_hits_total", "counter", "Questions answered with what another server said before.", forwarder.Hits);
            One("cache_entries", "gauge", "Answers of other servers that are kept.", forwarder.Cached);
        }
        return text.ToString();

        void One(string name, string type, string help, long value)
        {
            Head(name, type, help);
            Line(name, value, "");
        }

        void Head(string name, string type, string help) =>
            text.Append("# HELP declarative_dns_").Append(name).Append(' ').Append(help).Append("\n# TYPE declarative_dns_").Append(name).Append(' ').Append(type).Append('\n');

        void Line(string name, long value, string labels) =>
            text.Append("declarative_dns_").Append(name).Append(labels.Length > 0 ? "{" + labels + "}" : "").Append(' ')
                .Append(value.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }
}
