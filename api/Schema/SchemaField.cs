using System.Text;

namespace Declarative.Api.Schema;

/// <summary>One field of a type: a row of the table.</summary>
public sealed class SchemaField
{
    internal SchemaField(string name, TypeRef type)
    {
        Name = name;
        Type = type;
        NameUtf8 = Encoding.UTF8.GetBytes(name);
        Prefix = Encoding.UTF8.GetBytes($"\"{name}\":");
    }

    /// <summary>A field of a custom kind, with what server-side apply needs to know of it.</summary>
    /// <param name="byDefault">JSON text, or null.</param>
    public static SchemaField Custom(string name, TypeRef type, ListType listType, IReadOnlyList<string> mapKeys, string? byDefault) =>
        new(name, type) { ListType = listType, MapKeys = mapKeys, Default = byDefault };

    /// <summary>The name in JSON; empty for an alternative of a <see cref="Shape.OneOf"/> type.</summary>
    public string Name { get; }

    public TypeRef Type { get; }

    /// <summary>Kubernetes always writes the field. It is shown by <c>explain</c>; absence is judged by each kind's own rules.</summary>
    public bool Required { get; internal init; }

    public ListType ListType { get; internal init; }

    /// <summary>The fields that together identify an element of a list of type map; empty for others.</summary>
    public IReadOnlyList<string> MapKeys { get; internal init; } = [];

    /// <summary>Strategic merge joins the elements instead of replacing the list.</summary>
    public bool PatchMerge { get; internal init; }

    /// <summary>Strategic merge replaces the object or map instead of joining it.</summary>
    public bool PatchReplace { get; internal init; }

    /// <summary>As written in the table, for OpenAPI: <c>merge</c>, <c>merge,retainKeys</c>, <c>retainKeys</c>, <c>replace</c> or empty.</summary>
    public string PatchStrategy { get; internal init; } = "";

    /// <summary>The field by which strategic merge finds an element; null for lists of scalars.</summary>
    public string? MergeKey { get; internal init; }

    /// <summary>Protobuf field numbers from the outside in: more than one where JSON inlines a message. Empty: not in protobuf.</summary>
    public IReadOnlyList<int> Protobuf { get; internal init; } = [];

    /// <summary>The default as JSON text, or null.</summary>
    public string? Default { get; internal init; }

    /// <summary>The position in <see cref="SchemaType.Fields"/>.</summary>
    public int Index { get; internal set; }

    internal byte[] NameUtf8 { get; }

    /// <summary><c>"name":</c>, ready to be copied.</summary>
    internal byte[] Prefix { get; }

    public override string ToString() => $"{Name} {Type}";
}
