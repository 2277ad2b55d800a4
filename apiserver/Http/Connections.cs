using System.Text.Json.Nodes;
using Declarative.ApiServer.Admission;
using Declarative.ApiServer.Streams;

namespace Declarative.ApiServer.Http;

/// <summary>Connections to pods, services and nodes as admission sees them: operation CONNECT with the parameters as an object (core/v1).</summary>
internal static class Connections
{
    /// <exception cref="Declarative.Api.ApiException">A webhook or policy denies it.</exception>
    public static async Task Admit(Exchange exchange, AdmitConnection? admit)
    {
        if (admit is null) return;
        var warnings = new List<string>();
        var (path, query) = (exchange.Path, exchange.Query);
        var options = new JsonObject { ["kind"] = AdmissionRequest.ConnectOptions(path.Kind, path.Subresource), ["apiVersion"] = "v1" };
        switch (path.Subresource)
        {
            case "exec" or "attach":
                foreach (var flag in (ReadOnlySpan<string>)["stdin", "stdout", "stderr", "tty"])
                {
                    if (query.Flag(flag)) options[flag] = true;
                }
                if (query.Text("container") is { Length: > 0 } container) options["container"] = container;
                if (path.Subresource == "exec") options["command"] = new JsonArray([.. query.All("command").Select(x => (JsonNode)x)]);
                break;
            case "portforward":
                options["ports"] = new JsonArray([.. query.All("ports").SelectMany(x => x.Split(',')).Where(x => int.TryParse(x, out _)).Select(x => (JsonNode)int.Parse(x, System.Globalization.CultureInfo.InvariantCulture))]);
                break;
            default:
                options["path"] = exchange.Context.Request.Path.Value;
                break;
        }
        // A port or scheme beside the name (https:web:443) is not the object's name.
        var key = path.Subresource == "proxy" ? exchange.Key with { Name = ProxyTarget.NameOf(path.Name) } : exchange.Key;
        await admit(exchange.User, key, options, new() { Subresource = path.Subresource, Warnings = warnings, AuditAnnotations = Audit.AuditedRequest.Of(exchange.Context)?.Annotations }, exchange.Aborted);
        Answers.Warn(exchange.Context, warnings);
    }
}
