using Declarative.ApiServer.Cel;

namespace Declarative.ApiServer.CustomResources;

/// <summary>Structural schemas as types of CEL. Fields that a schema does not name are not seen.</summary>
internal static class CustomTypes
{
    private static readonly CelType Metadata = CelType.ObjectOf(static name => name is "name" or "generateName" ? CelType.String.Bounded(Api.Limits.SubdomainCharsMax) : null);

    /// <param name="isResource">A whole object: apiVersion, kind, metadata.name and metadata.generateName are there whatever the schema says.</param>
    public static CelType Of(Structural schema, bool isResource)
    {
        if (schema.IntOrString) return CelType.Dyn;
        switch (schema.Type)
        {
            case "array":
                return CelType.ListOf(schema.Items is { } items ? Of(items, items.EmbeddedResource) : CelType.Dyn).Bounded(RuleCosts.SizeMax(schema));
            case "object" when schema.Additional is { } additional:
                return CelType.MapOf(CelType.String, Of(additional, additional.EmbeddedResource)).Bounded(RuleCosts.SizeMax(schema));
            case "object" when isResource || schema.Properties.Count > 0:
                var fields = schema.Properties.ToDictionary(x => x.Key, x => Of(x.Value, x.Value.EmbeddedResource));
                return CelType.ObjectOf(name => isResource && name is "apiVersion" or "kind" ? CelType.String
                    : isResource && name == "metadata" ? Metadata
                    : fields.GetValueOrDefault(CelNames.Unescape(name)));
            case "object":
                return schema.PreservesUnknown ? CelType.Dyn : CelType.ObjectOf(static _ => null);
            case "string":
                return schema.Format switch { "date-time" or "date" => CelType.Timestamp, "duration" => CelType.Duration, "byte" => CelType.Bytes.Bounded(RuleCosts.SizeMax(schema)), _ => CelType.String.Bounded(RuleCosts.SizeMax(schema)) };
            case "boolean":
                return CelType.Bool;
            case "integer":
                return CelType.Int;
            case "number":
                return CelType.Double;
            default:
                return CelType.Dyn;
        }
    }
}
