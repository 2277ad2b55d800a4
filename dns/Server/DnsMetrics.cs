using System.Globalization;
using System.Text;
using Declarative.Dns.Wire;

namespace Declarative.Dns.Server;

/// <summary>The server's counts at one moment, as Prometheus reads them.</summary>
internal sealed record DnsMetrics(Counters Udp, Counters Tcp, int TcpConnections, long TcpRefused, int Names, long Version, bool Synced, long? MesosAge, bool Stale)
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
        One("tcp_connections", "gauge", "TCP connections open.", TcpConnections);
        One("tcp_refused_total", "counter", "TCP connections turned away because of a limit.", TcpRefused);
        One("names", "gauge", "Names served.", Names);
        One("snapshot_version", "counter", "Versions of the zones made since the start.", Version);
        One("synced", "gauge", "1 when the zones are complete.", Synced ? 1 : 0);
        if (MesosAge is { } age)
        {
            One("mesos_age_seconds", "gauge", "Seconds since a Mesos master last told something.", age);
            One("mesos_stale", "gauge", "1 when that is too long ago.", Stale ? 1 : 0);
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
