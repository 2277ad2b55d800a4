using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Registry.Strategies;

namespace Declarative.ApiServer.CustomResources;

/// <summary>Objects of a custom kind on the generic paths: pruning, defaults and validation by their version's schema.</summary>
internal sealed class CustomStrategy : Strategy
{
    private readonly CustomKind _kind;

    public CustomStrategy(CustomKind kind)
    {
        _kind = kind;
        HasStatus = kind.HasStatus;
    }

    public override bool HasGeneration => true;
    public override bool ValidatesSubresources => true;
    public override IReadOnlyList<string> SelectableFields => _kind.Selectable;

    /// <summary>A body as an object without the fields that the schema does not know.</summary>
    public static JsonObject Decode(CustomKind kind, ReadOnlyMemory<byte> json, WriteOptions write)
    {
        var found = SchemaCheck.Check(TypeTable.Unknown, json.Span, write.FieldValidation);
        var accepted = found.Accepted(kind.ApiVersion, kind.Name);
        var decoded = Canonical.Parse(accepted);
        Canonical.CheckKind(decoded, kind);
        var pruned = new List<string>();
        StructuralValues.Prune(decoded, kind.Schema, "", isObject: true, pruned);
        List<FieldError> unknown = [.. pruned.Take(SchemaCheck.FindingsMax).Select(x => new FieldError(x, FieldErrorKind.Unknown, ""))];
        if (unknown.Count > 0 && write.FieldValidation == FieldValidation.Strict) new Checked(null, unknown, []).Accepted(kind.ApiVersion, kind.Name);
        if (write.Warnings is not { } warnings) return decoded;
        if (write.FieldValidation == FieldValidation.Ignore) return decoded;
        foreach (var warning in found.Warnings.Concat(unknown).Take(Limits.WarningsMax)) warnings.Add(warning.ToString());
        return decoded;
    }

    public override void Default(JsonObject json) => StructuralValues.Default(json, _kind.Schema);

    public override void PrepareForCreate(JsonObject json, WriteContext context)
    {
        if (_kind.Definition.IsTerminating) throw Status.MethodNotAllowed("create not allowed while custom resource definition is terminating");
    }

    public override void PrepareSubresource(string subresource, JsonObject json, JsonObject old, WriteContext context)
    {
        base.PrepareSubresource(subresource, json, old, context);
        Default(json);
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var before = causes.Count;
        StructuralValidation.Check(json, _kind.Schema, "", causes);
        if (causes.Count == before) _kind.Rules.Check(json, old, causes);
    }
}
