using System.Globalization;
using System.Text;
using Declarative.Lb.Routes;
using Microsoft.AspNetCore.Http;

namespace Declarative.Lb.Proxy;

/// <summary>The admin port: <c>/readyz</c>, <c>/metrics</c> (Prometheus text format 0.0.4), and what marathon-lb has there.</summary>
internal static class Admin
{
    public static Task Answer(HttpContext context, LbRoutes routes, ListenerSockets sockets)
    {
        switch (context.Request.Path.Value)
        {
            case "/readyz" or "/healthz" or "/livez" or "/_haproxy_health_check":
                return routes.IsServing ? Answers.Text(context, 200, "ok\n") : Answers.Text(context, 503, "not ready: services and endpoints have not been read yet, or the balancer is stopping\n");
            case "/metrics":
                return Answers.Text(context, 200, Metrics(routes.Table, routes.Applied, sockets), "text/plain; version=0.0.4; charset=utf-8");
            case "/haproxy" when context.Request.QueryString.Value is "?stats;csv":
                return Answers.Text(context, 200, Statistics.Csv(routes.Table, sockets), "text/csv; charset=utf-8");
            case "/haproxy" when context.Request.QueryString.Value is "?stats":
                return Answers.Text(context, 200, Statistics.Html(routes.Table, sockets), "text/html; charset=utf-8");
            case "/_haproxy_getvhostmap":
                return Answers.Text(context, 200, Statistics.HostMap(routes.Table));
            case "/_haproxy_getappmap":
                return Answers.Text(context, 200, Statistics.AppMap(routes.Table));
            default:
                return Answers.Text(context, 404, "here are /readyz, /metrics, /haproxy?stats, /haproxy?stats;csv, /_haproxy_health_check, /_haproxy_getvhostmap and /_haproxy_getappmap\n");
        }
    }

    internal static string Metrics(RouteTable table, long revision, ListenerSockets sockets)
    {
        var text = new StringBuilder(4096);
        Head("declarative_lb_listeners", "gauge", "Addresses listened on.");
        text.Append(CultureInfo.InvariantCulture, $"declarative_lb_listeners {sockets.Count}\n");
        Head("declarative_lb_connections_open", "gauge", "Client connections that are not HTTP, or whose protocol is not known yet.");
        text.Append(CultureInfo.InvariantCulture, $"declarative_lb_connections_open {sockets.OpenConnections}\n");
        Head("declarative_lb_revision", "gauge", "Highest revision of a Service or an Ingress that stands in the table.");
        text.Append(CultureInfo.InvariantCulture, $"declarative_lb_revision {revision}\n");
        Head("declarative_lb_udp_flows", "gauge", "UDP flows in use.");
        text.Append(CultureInfo.InvariantCulture, $"declarative_lb_udp_flows {sockets.Flows}\n");
        Head("declarative_lb_listener_refusals_total", "counter", "Requests refused by their head alone, before a Service was known.");
        foreach (var listener in sockets.Listeners) text.Append(CultureInfo.InvariantCulture, $"declarative_lb_listener_refusals_total{{listener=\"{listener.Key}\"}} {listener.Refusals}\n");
        var clusters = table.Clusters.ToList();
        Series("declarative_lb_requests_total", "counter", "HTTP requests routed.", x => x.Counts.Requests);
        Series("declarative_lb_tcp_connections_total", "counter", "TCP connections passed through.", x => x.Counts.Connections);
        Series("declarative_lb_retries_total", "counter", "Requests and connections sent to a second endpoint.", x => x.Counts.Retries);
        Series("declarative_lb_no_endpoint_total", "counter", "Requests and connections refused because no endpoint was ready.", x => x.Counts.NoEndpoint);
        Series("declarative_lb_failures_total", "counter", "Requests and connections that an endpoint did not answer.", x => x.Counts.Failures);
        Series("declarative_lb_refusals_total", "counter", "Requests and connections answered by the balancer itself: not allowed, too many, too large, not authenticated, redirected.", x => x.Counts.Refusals);
        Series("declarative_lb_ejections_total", "counter", "Times that an endpoint was left out because it failed again and again.", x => x.Counts.Ejections);
        Head("declarative_lb_answers_total", "counter", "HTTP answers by the first digit of their status.");
        foreach (var cluster in clusters)
        {
            for (var digit = 1; digit < 6; digit++)
            {
                if (cluster.Counts.Answers(digit) is > 0 and var count) text.Append("declarative_lb_answers_total{").Append(Labels(cluster)).Append(CultureInfo.InvariantCulture, $",code=\"{digit}xx\"}} {count}\n");
            }
        }
        Series("declarative_lb_endpoints_ready", "gauge", "Endpoints that take new requests.", x => x.ReadyCount);
        Head("declarative_lb_in_flight", "gauge", "Requests and connections in flight by endpoint.");
        foreach (var cluster in clusters)
        {
            foreach (var destination in cluster.Destinations)
            {
                text.Append("declarative_lb_in_flight{").Append(Labels(cluster)).Append(CultureInfo.InvariantCulture, $",pod=\"{destination.PodName}\",endpoint=\"{destination.EndPoint}\"}} {destination.InFlight}\n");
            }
        }
        return text.ToString();

        void Head(string name, string type, string help) => text.Append("# HELP ").Append(name).Append(' ').Append(help).Append("\n# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

        void Series(string name, string type, string help, Func<Cluster, long> value)
        {
            Head(name, type, help);
            foreach (var cluster in clusters) text.Append(name).Append('{').Append(Labels(cluster)).Append(CultureInfo.InvariantCulture, $"}} {value(cluster)}\n");
        }
    }

    private static string Labels(Cluster cluster) => $"namespace=\"{cluster.Service.Namespace}\",service=\"{cluster.Service.Name}\",port=\"{cluster.Number}\"";
}
