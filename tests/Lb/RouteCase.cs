using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Lb;
using Declarative.Lb.Drain;
using Declarative.Lb.Routes;
using Declarative.Lb.Status;
using Declarative.Tests.Dns;

namespace Declarative.Tests.Lb;

/// <summary>A route table out of YAML documents, and what it says as JSON.</summary>
internal static class RouteCase
{
    public static LbOptions Options { get; } = new() { PlatformPorts = new Dictionary<int, string> { [6443] = "API server" } };

    public static string Text(string yaml)
    {
        var stored = new ZoneCase().Read(yaml).ToList();
        var slices = stored.Where(x => x.Key.Kind.Equals(Kind.EndpointSlice)).Select(x => EndpointSlice.Read(x.Json)).ToList();
        var leaving = new LeavingPods();
        foreach (var slice in slices) leaving.Apply(new(null, slice, 1));
        var table = RouteTable.Empty;
        foreach (var one in stored)
        {
            var key = new ServiceKey(one.Key.Namespace, one.Key.Name);
            if (one.Key.Kind.Equals(Kind.Ingress)) table = table.With(table.Hosts.With(key, HostRules.Read(Ingress.Read(one.Json))));
            else if (one.Key.Kind.Equals(Kind.Service))
            {
                var own = slices.Where(x => x.Namespace == key.Namespace && x.ServiceName == key.Name).ToList();
                table = table.With(RouteBuilder.Build(Service.Read(one.Json), own, Options, leaving.Contains), new RouteChanges(_ => { }));
            }
        }
        return Text(table);
    }

    public static string Text(RouteTable table)
    {
        var json = new JsonObject();
        Section("listeners", table.Listeners.Select(x => (x.Key.ToString(), (JsonNode)$"{x.Value.Cluster} {x.Value.Holder.Purpose}")));
        Section("clusters", table.Clusters.Select(x => (x.ToString(), (JsonNode)new JsonObject
        {
            ["mode"] = x.Mode.ToString(),
            ["endpoints"] = new JsonArray([.. x.Destinations.Select(y => JsonValue.Create($"{y} {(y.IsClosed ? "terminating" : x.Ready.Contains(y) ? "ready" : "not ready")}"))]),
        })));
        Section("unavailable", table.Services.Select(x => (x.ToString(), (JsonNode)new JsonArray([.. Standing.Of(table.Routes(x)!, table, new Dictionary<ListenerKey, BindFailure>()).Ports
            .Where(y => y.Reason.Length > 0).Select(y => JsonValue.Create($"{y.Purpose} {y.Port}/{y.Protocol}: {y.Reason}: {y.Message}"))]))).Where(x => x.Item2.AsArray().Count > 0));
        Section("hosts", table.Hosts.ByHost.Select(x => (x.Key.Length == 0 ? "(any)" : x.Key, (JsonNode)new JsonArray([.. x.Value.Select(y =>
            JsonValue.Create($"{(y.Exact ? "exact" : y.IsText ? "text" : "prefix")} {(y.Path.Length == 0 ? "/" : y.Path)} {y.Service}:{(y.Port == 0 ? y.PortName : y.Port)}"))]))));
        return json.ToJsonString(new JsonSerializerOptions { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }) + "\n";

        void Section(string name, IEnumerable<(string Key, JsonNode Value)> lines)
        {
            var section = new JsonObject(lines.Select(x => KeyValuePair.Create(x.Key, (JsonNode?)x.Value)));
            if (section.Count > 0) json[name] = section;
        }
    }
}
