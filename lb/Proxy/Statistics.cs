using System.Globalization;
using System.Net;
using System.Text;
using Declarative.Lb.Marathon;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Proxy;

/// <summary>What tools of marathon-lb read: statistics in HAProxy's columns (its management guide, section 9.1), and its maps.</summary>
internal static class Statistics
{
    private const string Columns =
        "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,"
        + "tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,"
        + "comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,";

    private static readonly string[] Names = Columns[2..].Split(',');

    public static string Csv(RouteTable table, ListenerSockets sockets)
    {
        var text = new StringBuilder(4096).Append(Columns).Append('\n');
        foreach (var row in Rows(table, sockets))
        {
            foreach (var name in Names[..^1]) text.Append(row.GetValueOrDefault(name)).Append(',');
            text.Append('\n');
        }
        return text.ToString();
    }

    public static string Html(RouteTable table, ListenerSockets sockets)
    {
        string[] shown = ["pxname", "svname", "status", "weight", "scur", "stot", "econ", "wretr", "dreq", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx"];
        var text = new StringBuilder("<!DOCTYPE html><html><head><title>Statistics</title><style>td,th{padding:.2em .6em;text-align:right}</style></head><body><table><tr>");
        foreach (var name in shown) text.Append("<th>").Append(name).Append("</th>");
        foreach (var row in Rows(table, sockets))
        {
            text.Append("</tr>\n<tr>");
            foreach (var name in shown) text.Append("<td>").Append(WebUtility.HtmlEncode(row.GetValueOrDefault(name))).Append("</td>");
        }
        return text.Append("</tr></table></body></html>\n").ToString();
    }

    /// <summary>Lines of host and backend, as in HAProxy's map file.</summary>
    public static string HostMap(RouteTable table)
    {
        var text = new StringBuilder();
        foreach (var (host, rules) in table.Hosts.ByHost)
        {
            if (host.Length == 0) continue;
            foreach (var rule in rules)
            {
                if (table.Cluster(rule.Service, rule.Port, rule.PortName) is { } cluster) text.Append(host).Append(rule.Path).Append(' ').Append(MarathonLabels.BackendName(cluster.Service, cluster.Number)).Append('\n');
            }
        }
        return text.ToString();
    }

    /// <summary>Lines of app id and backend; the first port that speaks HTTP.</summary>
    public static string AppMap(RouteTable table)
    {
        var text = new StringBuilder();
        foreach (var service in table.Services)
        {
            if (AppCluster(table, service) is { } cluster) text.Append(MarathonLabels.AppId(service)).Append(' ').Append(MarathonLabels.BackendName(service, cluster.Number)).Append('\n');
        }
        return text.ToString();
    }

    private static Cluster? AppCluster(RouteTable table, ServiceKey service) => table.Routes(service)!.Ports.Where(x => x.Mode is not PortMode.Tcp && x.Protocol == "TCP").Select(x => table.Cluster(service, x.Number)).FirstOrDefault();

    /// <summary>In the order of the configuration that marathon-lb would have written: shared ports, ports of Services, endpoints.</summary>
    private static IEnumerable<Dictionary<string, string>> Rows(RouteTable table, ListenerSockets sockets)
    {
        var id = 0;
        var now = Environment.TickCount64;
        foreach (var (listener, name) in sockets.Listeners.Select(x => (Listener: x, Name: sockets.NameOf(x))).Where(x => x.Name.Length > 0).OrderBy(x => x.Name, StringComparer.Ordinal))
        {
            yield return Front(name, listener.Sessions.Read(now), ++id, listener.Refusals);
        }
        var open = sockets.Listeners.Select(x => x.Cluster).ToHashSet();
        foreach (var cluster in table.Clusters.Where(open.Contains)) yield return Front(MarathonLabels.BackendName(cluster.Service, cluster.Number), cluster.Sessions.Read(now), ++id, null);
        foreach (var cluster in table.Clusters)
        {
            id++;
            var name = MarathonLabels.BackendName(cluster.Service, cluster.Number);
            var takers = cluster.Ready.ToHashSet();
            var server = 0;
            long total = 0;
            foreach (var destination in cluster.Destinations)
            {
                var (status, weight) = destination.IsClosed ? ("DRAIN", 0) : !takers.Contains(destination) ? ("DOWN", 1) : cluster.Settings.Health is not null && destination.Health.IsDown ? ("DOWN", 1) : ("UP", cluster.WeightOf(destination));
                if (status == "UP" && weight == 0) status = "DRAIN";
                total += destination.InFlight;
                yield return Row(name, $"{destination.Address.Replace('.', '_').Replace(':', '_')}_{destination.Port}", status,
                    ("qcur", 0), ("qmax", 0), ("scur", destination.InFlight), ("smax", destination.InFlightPeak), ("stot", destination.Total), ("lbtot", destination.Total), ("slim", cluster.Settings.InFlightMax == 0 ? null : cluster.Settings.InFlightMax),
                    ("weight", weight), ("act", 1), ("bck", 0), ("type", 2), ("pid", 1), ("iid", id), ("sid", ++server));
            }
            var counts = cluster.Counts;
            yield return Row(name, "BACKEND", takers.Count > 0 ? "UP" : "DOWN",
                ("qcur", 0), ("qmax", 0), ("scur", total), ("stot", counts.Requests + counts.Connections), ("lbtot", counts.Requests + counts.Connections), ("req_tot", counts.Requests), ("dreq", counts.Refusals), ("econ", counts.Failures + counts.NoEndpoint),
                ("wretr", counts.Retries), ("wredis", counts.Retries), ("weight", takers.Count), ("act", takers.Count), ("bck", 0), ("type", 1), ("pid", 1), ("iid", id), ("sid", 0),
                ("hrsp_1xx", counts.Answers(1)), ("hrsp_2xx", counts.Answers(2)), ("hrsp_3xx", counts.Answers(3)), ("hrsp_4xx", counts.Answers(4)), ("hrsp_5xx", counts.Answers(5)), ("hrsp_other", counts.Answers(0)));
        }
    }

    /// <param name="refusals">Requests that were none; null = they are not counted here.</param>
    private static Dictionary<string, string> Front(string name, SessionNumbers sessions, int id, long? refusals) => Row(name, "FRONTEND", "OPEN",
        ("scur", sessions.Current), ("smax", sessions.Max), ("stot", sessions.Total), ("rate", sessions.Rate), ("rate_max", sessions.RateMax), ("ereq", refusals), ("type", 0), ("pid", 1), ("iid", id), ("sid", 0));

    private static Dictionary<string, string> Row(string proxy, string server, string status, params (string Column, long? Value)[] numbers)
    {
        var row = new Dictionary<string, string>(StringComparer.Ordinal) { ["pxname"] = proxy, ["svname"] = server, ["status"] = status };
        foreach (var (column, value) in numbers)
        {
            if (value is { } number) row[column] = number.ToString(CultureInfo.InvariantCulture);
        }
        return row;
    }
}
