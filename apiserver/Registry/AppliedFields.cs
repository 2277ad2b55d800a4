using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.ApiServer.CustomResources;

namespace Declarative.ApiServer.Registry;

/// <summary>
/// Server-side apply knows by the schema alone whose a field is: a configuration with a field that is not in it is refused, whatever
/// fieldValidation says (kube-apiserver: typed.ParseableType, "field not declared in schema").
/// </summary>
internal static class AppliedFields
{
    /// <exception cref="ApiException">500 without a reason, as kube-apiserver answers.</exception>
    public static void Check(ResourceKey key, ReadOnlyMemory<byte> json)
    {
        if (Unknown(key.Kind, json) is not { } path) return;
        var place = key.Namespace.Length > 0 ? $"{key.Namespace}/{key.Name}" : $"/{key.Name}";
        throw new ApiException(new Status(500, "", $"failed to create typed patch object ({place}; {key.Kind.Group}/{key.Kind.Version}, Kind={key.Kind.Name}): .{path}: field not declared in schema"));
    }

    private static string? Unknown(Kind kind, ReadOnlyMemory<byte> json)
    {
        var custom = kind as CustomKind;
        var found = SchemaCheck.Check(custom is null ? TypeTable.Kind(kind.Group, kind.Version, kind.Name) : TypeTable.Unknown, json.Span, FieldValidation.Warn);
        var unknown = found.Warnings.Where(x => x.Kind == FieldErrorKind.Unknown).Select(x => x.Path).FirstOrDefault();
        if (unknown is not null || custom is null || found.Json is null) return unknown;
        var pruned = new List<string>();
        StructuralValues.Prune(Canonical.Parse(found.Json), custom.Schema, "", isObject: true, pruned);
        return pruned.FirstOrDefault();
    }
}
