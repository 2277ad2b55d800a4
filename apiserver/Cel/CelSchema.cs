using Declarative.Api.Schema;

namespace Declarative.ApiServer.Cel;

/// <summary>Types of the table, and of custom kinds, as types of expressions (Kubernetes: apiserver/pkg/cel/openapi, SchemaDeclType).</summary>
internal static class CelSchema
{
    /// <summary>An object with the fields of the type and no other.</summary>
    public static CelType Of(SchemaType type)
    {
        if (type.KeepsUnknown || type.Fields.Any(x => x.Name.Length == 0)) return CelType.Dyn;
        // Read when a field is asked for: types refer to themselves.
        return CelType.ObjectOf(name => type.Find(CelNames.Unescape(name)) is { } field ? Of(field.Type) : null);
    }

    private static CelType Of(TypeRef type) => type.Shape switch
    {
        Shape.String => CelType.String,
        Shape.Duration => CelType.Duration,
        Shape.Bool => CelType.Bool,
        Shape.Int32 or Shape.Int64 => CelType.Int,
        Shape.Float64 => CelType.Double,
        Shape.Bytes => CelType.Bytes,
        Shape.Time or Shape.MicroTime => CelType.Timestamp,
        Shape.List => CelType.ListOf(Of(type.Item!)),
        Shape.Map => CelType.MapOf(CelType.String, Of(type.Item!)),
        Shape.Object => Of(type.Type),
        _ => CelType.Dyn, // an amount, a number or text, anything
    };
}
