using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.Streams;

/// <summary>Nodes and pods as Placement leaves them: bound, with the intent of an attempt, running.</summary>
internal static class RunningPod
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <param name="agentPort">Of the agent's API.</param>
    public static async Task MakeNode(RunningFace server, string name, int agentPort)
    {
        await server.Admin.Create(new(Kind.Node, "", name), Bytes($$$"""{"apiVersion":"v1","kind":"Node","metadata":{"name":"{{{name}}}"}}"""), stop: Stop);
        await server.Admin.Patch(new(Kind.Node, "", name), PatchKind.Merge,
            Bytes("""{"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":PORT}}}}""".Replace("PORT", $"{agentPort}", StringComparison.Ordinal)), new() { Subresource = "status" }, Stop);
    }

    /// <summary>A pod of one container <c>c</c>, running as attempt 0 on a node; returns its uid.</summary>
    /// <param name="container">Further fields of the container, as JSON members.</param>
    /// <param name="ports">Host port by declared port.</param>
    public static async Task<string> Make(RunningFace server, string name, string node, string container = "\"command\":[\"x\"]", params (int Declared, int Host)[] ports)
    {
        var declared = string.Join(',', ports.Select(x => $$"""{"containerPort":{{x.Declared}},"name":"p{{x.Declared}}"}"""));
        var made = await server.Admin.Create(new(Kind.Pod, "default", ""),
            Bytes($$$"""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}","labels":{"app":"{{{name}}}"}},"spec":{"containers":[{"name":"c",{{{container}}},"ports":[{{{declared}}}]}]}}"""), stop: Stop);
        var task = new TaskAnnotation
        {
            Id = $"{made.Uid}.0",
            Agent = "S-1",
            Ports = ports.ToDictionary(x => "c/" + x.Declared.ToString(CultureInfo.InvariantCulture), x => x.Host),
        }.ToJson().Replace("\"", "\\\"", StringComparison.Ordinal);
        await server.Admin.Create(made.Key, Bytes($$$"""{"apiVersion":"v1","kind":"Binding","metadata":{"name":"{{{name}}}","annotations":{"{{{TaskAnnotation.Key}}}":"{{{task}}}"}},"target":{"kind":"Node","name":"{{{node}}}"}}"""),
            new() { Subresource = "binding" }, Stop);
        await server.Admin.Patch(made.Key, PatchKind.Merge,
            Bytes("""{"status":{"phase":"Running","containerStatuses":[{"name":"c","ready":true,"restartCount":0,"image":"","imageID":"","state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}"""),
            new() { Subresource = "status" }, Stop);
        return made.Uid;
    }

    private static byte[] Bytes(string json) => Encoding.UTF8.GetBytes(json);
}
