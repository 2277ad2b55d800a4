using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.CustomResources;

/// <summary>The <c>x-kubernetes-validations</c> of a schema.</summary>
internal sealed class CustomRules
{
    public static CustomRules Compile(Structural schema) => new();

    public static void CheckDefinition(Structural schema, string path, List<StatusCause> causes)
    {
        if (schema.HasRules) causes.Add(new("FieldValueForbidden", "Forbidden: x-kubernetes-validations is not supported", path));
    }

    public void Check(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
    }
}
