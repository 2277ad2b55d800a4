using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Registry.Strategies;

namespace Declarative.ApiServer.CustomResources;

/// <summary>CustomResourceDefinitions: their rules, and their status at the moment of the write, so that a kind is served at once.</summary>
internal sealed class DefinitionStrategy : Strategy
{
    public DefinitionStrategy() => HasStatus = true;

    public override void Default(JsonObject json)
    {
        var spec = json.Need("spec");
        var names = spec.Need("names");
        var kind = names.Text("kind");
        if (kind.Length > 0)
        {
            names.Default("singular", kind.ToLowerInvariant());
            names.Default("listKind", kind + "List");
        }
        var conversion = spec.Need("conversion");
        conversion.Default("strategy", "None");
        if (conversion.Object("webhook")?.Object("clientConfig")?.Object("service") is { } service) service.Default("port", 443);
        foreach (var version in spec.List("versions")?.OfType<JsonObject>() ?? [])
        {
            if (version.Object("subresources") is not { } subresources) continue;
            // An empty object is how "status" is asked for; clients may write null.
            if (subresources.ContainsKey("status") && subresources["status"] is null) subresources["status"] = new JsonObject();
        }
    }

    public override void PrepareForCreate(JsonObject json, WriteContext context) => DefinitionStatus.Set(json, context.Custom.Definitions, context.Time.GetUtcNow());

    public override void PrepareForUpdate(JsonObject json, JsonObject old, WriteContext context) => DefinitionStatus.Set(json, context.Custom.Definitions, context.Time.GetUtcNow());

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes) => DefinitionRules.Check(json, old, causes);

    /// <summary>A definition goes after its objects.</summary>
    public override void Marked(JsonObject json)
    {
        var metadata = Metadata.Of(json);
        if (metadata.List("finalizers") is not { } finalizers) metadata["finalizers"] = finalizers = [];
        if (!finalizers.Any(x => x!.GetValue<string>() == CustomDefinition.CleanupFinalizer)) finalizers.Add(CustomDefinition.CleanupFinalizer);
    }
}
