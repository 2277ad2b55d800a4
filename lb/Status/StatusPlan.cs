using System.Net;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Status;

/// <summary>What <c>status</c> of a Service or an Ingress has to say, and the patch that makes it say so. Pure.</summary>
internal static class StatusPlan
{
    private const string PortAvailable = "PortAvailable";
    private const string SettingsValid = "SettingsValid";

    public static Plan Compute(Service service, Standing standing, LbOptions options, DateTimeOffset now)
    {
        var ingress = Wanted(service, standing);
        var condition = Wanted(service, standing, now);
        var before = service.Status.Conditions.FirstOrDefault(x => x.Type == PortAvailable);
        var settings = Settings(service, standing, now);
        var settingsBefore = service.Status.Conditions.FirstOrDefault(x => x.Type == SettingsValid);
        var sameIngress = Same(service.Status.LoadBalancer, ingress);
        var sameConditions = condition == before && settings == settingsBefore;
        if (sameIngress && sameConditions) return Plan.Nothing;

        var events = new List<EventNote>();
        var about = Body.Reference(Kind.Service, service);
        // That a cluster IP cannot be listened on is the rule where the process may not open low ports: a condition tells it, no alarm.
        var alarming = standing.Ports.Any(x => x.Reason.Length > 0 && x.Purpose != ListenerPurpose.ClusterIp);
        if (alarming && condition is { IsTrue: false } && before?.Message != condition.Message) events.Add(EventNote.Warning(about, "PortUnavailable", condition.Message));
        if (settings is { IsTrue: false } && settings.Message != settingsBefore?.Message) events.Add(EventNote.Warning(about, settings.Reason, settings.Message));
        if (!sameIngress && ingress.Count > 0)
        {
            events.Add(EventNote.Normal(about, "EnsuredLoadBalancer", "Listening on " + string.Join(", ", ingress.SelectMany(x => x.Ports.Where(port => port.Error.Length == 0).Select(port => $"{x.Ip}:{port.Port}")))));
        }
        var patch = Body.Status(json =>
        {
            if (!sameIngress) json.Object("loadBalancer", x => WriteIngress(x, ingress));
            if (sameConditions) return;
            json.Conditions([.. service.Status.Conditions.Where(x => x.Type is not (PortAvailable or SettingsValid)), .. new[] { condition, settings }.OfType<Condition>()]);
        });
        return new() { Changes = [Change.Merge(ResourceKey.Of(Kind.Service, service.Namespace, service.Name), patch, "status")], Events = events };
    }

    /// <param name="ports">Where it is served, empty = nowhere.</param>
    public static Plan Compute(Ingress ingress, IReadOnlyList<int> ports, LbOptions options)
    {
        LoadBalancerIngress[] wanted = ports.Count == 0 ? [] : [new() { Ip = Advertised(options.Address.ToString()), Ports = [.. ports.Select(x => new LoadBalancerPort { Port = x })] }];
        if (Same(ingress.Status.LoadBalancer, wanted)) return Plan.Nothing;
        var patch = Body.Status(json => json.Object("loadBalancer", x => WriteIngress(x, wanted)));
        return new() { Changes = [Change.Merge(ResourceKey.Of(Kind.Ingress, ingress.Namespace, ingress.Name), patch, "status")] };
    }

    /// <summary>One for each address, empty where none is listened on.</summary>
    private static List<LoadBalancerIngress> Wanted(Service service, Standing standing)
    {
        if (!RouteBuilder.IsOurs(service)) return [];
        var ports = standing.Ports.Where(x => x.Purpose == ListenerPurpose.LoadBalancer).ToList();
        if (ports.TrueForAll(x => x.Reason.Length > 0)) return [];
        return
        [
            .. ports.GroupBy(x => Advertised(x.Address)).Select(address => new LoadBalancerIngress
            {
                Ip = address.Key,
                Ports = [.. address.Select(x => new LoadBalancerPort { Port = x.Port, Protocol = x.Protocol, Error = x.Reason.Length == 0 ? "" : "declarative.mesos/" + x.Reason })],
            }),
        ];
    }

    private static Condition? Wanted(Service service, Standing standing, DateTimeOffset now)
    {
        var before = service.Status.Conditions.FirstOrDefault(x => x.Type == PortAvailable);
        var problems = standing.Ports.Where(x => x.Reason.Length > 0).ToList();
        var (status, reason, message) = problems.Count > 0 ? ("False", problems[0].Reason, string.Join("; ", problems.Select(x => x.Message))) : ("True", "Listening", "");
        // A Service that nobody expects to be published says nothing while all is well.
        if (problems.Count == 0 && !RouteBuilder.IsOurs(service)) return null;
        if (before is not null && before.Status == status && before.Reason == reason && before.Message == message) return before;
        return new() { Type = PortAvailable, Status = status, Reason = reason, Message = message, LastTransitionTime = before?.Status == status ? before.LastTransitionTime : now };
    }

    /// <summary>Nothing is said of a Service whose annotations were always right.</summary>
    private static Condition? Settings(Service service, Standing standing, DateTimeOffset now)
    {
        var before = service.Status.Conditions.FirstOrDefault(x => x.Type == SettingsValid);
        if (standing.Problems.IsEmpty && before is null) return null;
        var (status, reason, message) = standing.Problems.IsEmpty ? ("True", "AllRead", "") : ("False", "InvalidSetting", string.Join("; ", standing.Problems));
        if (before is not null && before.Status == status && before.Message == message) return before;
        return new() { Type = SettingsValid, Status = status, Reason = reason, Message = message, LastTransitionTime = before?.Status == status ? before.LastTransitionTime : now };
    }

    private static string Advertised(string address) => address == IPAddress.Any.ToString() || address == IPAddress.IPv6Any.ToString() ? IPAddress.Loopback.ToString() : address;

    private static bool Same(LoadBalancerStatus status, IReadOnlyList<LoadBalancerIngress> wanted) =>
        status.Ingress.Count == wanted.Count && status.Ingress.Zip(wanted).All(x => x.First.Ip == x.Second.Ip && x.First.Hostname.Length == 0 && x.First.Ports.SequenceEqual(x.Second.Ports));

    private static void WriteIngress(Utf8JsonWriter json, IReadOnlyList<LoadBalancerIngress> ingress)
    {
        if (ingress.Count == 0)
        {
            json.WriteNull("ingress"u8);
            return;
        }
        json.Array("ingress", ingress, x =>
        {
            json.WriteStartObject();
            json.WriteString("ip"u8, x.Ip);
            json.Array("ports", x.Ports, port =>
            {
                json.WriteStartObject();
                json.WriteNumber("port"u8, port.Port);
                json.WriteString("protocol"u8, port.Protocol);
                if (port.Error.Length > 0) json.WriteString("error"u8, port.Error);
                json.WriteEndObject();
            });
            json.WriteEndObject();
        });
    }
}
