using System.Net;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Microsoft.AspNetCore.Http;

namespace Declarative.Lb.Proxy;

/// <summary>Which Service a request goes to where its traffic is split.</summary>
internal static class Splits
{
    /// <summary>
    /// The next hop: the first header or cookie that fits, else one draw over the shares. A Service that has no ready endpoint gets nothing
    /// of its share; it stays here.
    /// </summary>
    /// <param name="context">null = a connection that is not HTTP: the shares alone.</param>
    public static Cluster Next(HttpContext? context, Cluster here, EdgeSettings edge, RouteTable table)
    {
        foreach (var rule in edge.Split)
        {
            if (rule.Percent > 0 || context is null || !Fits(rule, context.Request)) continue;
            return Target(rule, here, table);
        }
        var draw = Random.Shared.NextDouble() * 100;
        foreach (var rule in edge.Split)
        {
            draw -= rule.Percent;
            if (draw < 0 && rule.Percent > 0) return Target(rule, here, table);
        }
        return here;
    }

    private static bool Fits(SplitRule rule, HttpRequest request)
    {
        if (rule.Header.Length > 0) return request.Headers.TryGetValue(rule.Header, out var values) && (rule.Value.Length == 0 || values.Contains(rule.Value));
        return rule.Cookie.Length > 0 && request.Cookies.TryGetValue(rule.Cookie, out var value) && (rule.Value.Length == 0 || value == rule.Value);
    }

    /// <summary>The port of the same number, else of the same name, else the only one.</summary>
    private static Cluster Target(SplitRule rule, Cluster here, RouteTable table)
    {
        var target = table.Cluster(rule.Service, here.Number) ?? table.Cluster(rule.Service, 0, here.Name) ?? table.OnlyCluster(rule.Service);
        return target is { ReadyCount: > 0 } ? target : here;
    }
}
