using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Wire;

namespace Declarative.Cli.Verbs;

/// <summary>Objects as they are, for <c>-o json</c> and <c>-o yaml</c>.</summary>
internal static class Output
{
    public static readonly string[] Forms = ["json", "yaml", "name", "wide"];

    /// <summary>Without managedFields, which only field managers read.</summary>
    public static JsonObject Shown(Stored stored)
    {
        var json = JsonNode.Parse(stored.Json.Span)!.AsObject();
        (json["metadata"] as JsonObject)?.Remove("managedFields");
        return json;
    }

    public static JsonObject List(IEnumerable<Stored> objects) => new()
    {
        ["apiVersion"] = "v1",
        ["items"] = new JsonArray([.. objects.Select(Shown)]),
        ["kind"] = "List",
        ["metadata"] = new JsonObject { ["resourceVersion"] = "" },
    };

    public static string Write(string form, JsonObject json) => form == "json" ? GoJson.Write(json, indent: 4) + "\n" : YamlText.Write(json);
}
