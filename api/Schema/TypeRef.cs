namespace Declarative.Api.Schema;

/// <summary>The type of a field: a shape, and what it is a list or map or object of.</summary>
public sealed class TypeRef
{
    internal static readonly TypeRef Any = new(Shape.Any, "object");
    internal static readonly TypeRef String = new(Shape.String, "string");

    private readonly string _text;
    private SchemaType? _type;

    private TypeRef(Shape shape, string text, TypeRef? item = null)
    {
        Shape = shape;
        _text = text;
        Item = item;
    }

    public Shape Shape { get; }

    /// <summary>The type of the elements of a list or of the values of a map, else null.</summary>
    public TypeRef? Item { get; }

    /// <summary>The type of an <see cref="Shape.Object"/> or <see cref="Shape.OneOf"/>; throws for other shapes.</summary>
    public SchemaType Type => _type ??= TypeTable.Type(_text)
        ?? throw new InvalidOperationException($"{_text} is no object type");

    /// <summary>As the table writes it, for example <c>[]core.v1.Container</c>.</summary>
    public override string ToString() => _text;

    /// <summary>The type of that name in the table, for example <c>meta.v1.ObjectMeta</c> or <c>string</c>.</summary>
    public static TypeRef Named(string text) => Parse(text);

    public static TypeRef Of(SchemaType type) => new(Shape.Object, type.Name) { _type = type };

    public static TypeRef ListOf(TypeRef item) => new(Shape.List, "[]" + item, item);

    public static TypeRef MapOf(TypeRef item) => new(Shape.Map, "map[string]" + item, item);

    /// <summary>Any JSON value.</summary>
    public static TypeRef Anything => Any;

    internal static TypeRef Parse(string text)
    {
        if (text.StartsWith("[]", StringComparison.Ordinal))
        {
            return new TypeRef(Shape.List, text, Parse(text[2..]));
        }

        if (text.StartsWith("map[string]", StringComparison.Ordinal))
        {
            return new TypeRef(Shape.Map, text, Parse(text["map[string]".Length..]));
        }

        return text switch
        {
            "string" => String,
            "bool" => new TypeRef(Shape.Bool, text),
            "int32" => new TypeRef(Shape.Int32, text),
            "int64" => new TypeRef(Shape.Int64, text),
            "float64" => new TypeRef(Shape.Float64, text),
            "bytes" => new TypeRef(Shape.Bytes, text),
            "resource.Quantity" => new TypeRef(Shape.Quantity, text),
            "intstr.IntOrString" => new TypeRef(Shape.IntOrString, text),
            "Time" => new TypeRef(Shape.Time, text),
            "MicroTime" => new TypeRef(Shape.MicroTime, text),
            "Duration" => new TypeRef(Shape.Duration, text),
            _ => new TypeRef(TypeTable.ShapeOf(text), text),
        };
    }
}
