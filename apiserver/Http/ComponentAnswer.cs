using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Http;

/// <summary>
/// ComponentStatus: the parts that <c>/readyz</c> asks, asked when somebody looks. Nothing of it is stored, and as in Kubernetes it is only got and
/// listed.
/// </summary>
internal sealed class ComponentAnswer(IReadOnlyList<HealthCheck> parts)
{
    public async Task Answer(Exchange exchange)
    {
        if (exchange.Verb is not ("get" or "list")) throw Status.MethodNotAllowed($"componentstatuses are only read; the server does not allow {exchange.Verb}");
        var (kind, name) = (exchange.Path.Kind, exchange.Path.Name);
        var asked = parts.Where(x => name.Length == 0 || x.Name == name).ToList();
        if (name.Length > 0 && asked.Count == 0) throw Status.NotFound(kind, name);
        var request = Reads.Request(exchange);
        // None of them has a label.
        if (name.Length == 0) asked.RemoveAll(x => !request.Labels.Matches(new Dictionary<string, string>()));
        var failures = await Task.WhenAll(asked.Select(x => x.Failure(exchange.Aborted).AsTask()));
        List<Stored> items = [.. asked.Zip(failures).Select(x => new Stored(ResourceKey.Of(kind, "", x.First.Name), "", 0, Json(x.First.Name, x.Second)))];
        if (name.Length > 0) await Forms.Object(exchange, 200, items[0], exchange.Accept);
        else await Forms.List(exchange, new(items, 0, "", null), exchange.Accept);
    }

    private static byte[] Json(string name, string? failure) => System.Text.Encoding.UTF8.GetBytes(new JsonObject
    {
        ["kind"] = "ComponentStatus",
        ["apiVersion"] = "v1",
        ["metadata"] = new JsonObject { ["name"] = name, ["creationTimestamp"] = null },
        ["conditions"] = new JsonArray(new JsonObject { ["type"] = "Healthy", ["status"] = failure is null ? "True" : "False", [failure is null ? "message" : "error"] = failure ?? "ok" }),
    }.ToJsonString());
}
