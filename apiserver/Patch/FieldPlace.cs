using System.Text;
using System.Text.Json;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>How a value is owned: as a whole, or by its parts.</summary>
internal enum FieldForm : byte
{
    Whole,
    Members,
    KeyedList,
    SetList,
}

/// <summary>
/// Where a value stands: what the table says about it. With neither type nor object nothing is known (a kind that is in no table): then
/// objects are owned by members and lists as a whole.
/// </summary>
internal readonly record struct FieldPlace(SchemaType? Object, SchemaField? Field, TypeRef? Type)
{
    public static FieldPlace Root(SchemaType type) => new(type, null, null);

    /// <summary>The members have free names: each is owned by itself, not only its parts.</summary>
    public bool HasFreeNames => Object is null && Type?.Shape is null or Shape.Map;

    public FieldForm Of(JsonTree value)
    {
        if (value.Members is not null)
        {
            var whole = Field?.ListType == ListType.Atomic
                || (Object is { IsAtomic: true } && Field?.ListType != ListType.Granular)
                || Type?.Shape is not (null or Shape.Object or Shape.Map);
            return whole ? FieldForm.Whole : FieldForm.Members;
        }

        if (value.Items is null || Field is null || Type?.Shape != Shape.List)
        {
            return FieldForm.Whole;
        }

        return Field.ListType switch
        {
            ListType.Map => FieldForm.KeyedList,
            ListType.Set => FieldForm.SetList,
            ListType.Unset when Field.PatchMerge => Field.MergeKey is null ? FieldForm.SetList : FieldForm.KeyedList,
            _ => FieldForm.Whole,
        };
    }

    public FieldPlace Member(string name)
    {
        if (Object is not null)
        {
            return Object.Find(name) is { } field ? new FieldPlace(ObjectOf(field.Type), field, field.Type) : default;
        }

        return Type is { Shape: Shape.Map, Item: { } item } ? new FieldPlace(ObjectOf(item), null, item) : default;
    }

    public FieldPlace Element() => Type?.Item is { } item ? new FieldPlace(ObjectOf(item), null, item) : default;

    /// <summary>The path element of a list element, or null when it lacks a key that has no default.</summary>
    public string? ElementOf(JsonTree item)
    {
        if (item.Members is null)
        {
            return item.Items is null ? "v:" + Encoding.UTF8.GetString(item.Scalar) : null;
        }

        var keys = Field!.MapKeys.Count > 0 ? Field.MapKeys : Field.MergeKey is { } key ? [key] : [];
        using var output = new JsonBuffer();
        output.Raw((byte)'{');
        foreach (var name in keys.Order(StringComparer.Ordinal))
        {
            var value = item[name]?.Scalar.ToArray();
            value ??= Element().Object?.Find(name)?.Default is { } text ? Encoding.UTF8.GetBytes(text) : null;
            if (value is null)
            {
                return null;
            }

            output.Separate();
            output.String(name);
            output.Raw((byte)':');
            output.Raw(value);
        }

        output.Raw((byte)'}');
        return "k:" + Encoding.UTF8.GetString(output.Written);
    }

    private static SchemaType? ObjectOf(TypeRef type) => type.Shape == Shape.Object ? type.Type : null;
}
