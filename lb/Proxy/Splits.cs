using System.Net;
using Declarative.Lb.Marathon;
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
    /// <param name="from">The hop before; null = this is the first.</param>
    public static Cluster Next(HttpContext? context, Cluster here, EdgeSettings edge, RouteTable table, Cluster? from)
    {
        foreach (var rule in edge.Split)
        {
            if (rule.Percent > 0 || context is null || !Fits(rule, context.Request)) continue;
            return Target(rule, here, table);
        }
        // Which colour it is has been drawn where the request came from.
        if (edge.Group is { } group && from?.Edge?.Group != group && Colour(here, group, table) is var colour && colour != here) return colour;
        var draw = Random.Shared.NextDouble() * 100;
        foreach (var rule in edge.Split)
        {
            draw -= rule.Percent;
            if (draw < 0 && rule.Percent > 0) return Target(rule, here, table);
        }
        return here;
    }

    /// <summary>The colour of a blue/green deployment that the next request is for.</summary>
    private static Cluster Colour(Cluster here, ServiceKey group, RouteTable table)
    {
        if (!table.Groups.TryGetValue(group, out var members) || members.Count < 2) return here;
        var (old, next) = (members[^2], members[^1]);
        if (Other(old.Service, here, table) is not { } before || Other(next.Service, here, table) is not { } after) return here;
        return Random.Shared.NextDouble() < DeploymentMember.ShareOfNew(before.ReadyCount, after.ReadyCount, next.Target, next.New) ? after : before;
    }

    private static bool Fits(SplitRule rule, HttpRequest request)
    {
        if (rule.Header.Length > 0) return request.Headers.TryGetValue(rule.Header, out var values) && (rule.Value.Length == 0 || values.Contains(rule.Value));
        return rule.Cookie.Length > 0 && request.Cookies.TryGetValue(rule.Cookie, out var value) && (rule.Value.Length == 0 || value == rule.Value);
    }

    /// <summary>The port of the same number, else of the same name, else the only one.</summary>
    private static Cluster Target(SplitRule rule, Cluster here, RouteTable table)
    {
        return Other(rule.Service, here, table) is { ReadyCount: > 0 } target ? target : here;
    }

    private static Cluster? Other(ServiceKey service, Cluster here, RouteTable table) =>
        service == here.Service ? here : table.Cluster(service, here.Number) ?? table.Cluster(service, 0, here.Name) ?? table.OnlyCluster(service);
}
