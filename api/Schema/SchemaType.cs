namespace Declarative.Api.Schema;

/// <summary>An object type with its fields, found by UTF-8 name without making a string.</summary>
public sealed class SchemaType
{
    /// <summary>A set of seen fields is one <see cref="ulong"/>. The widest type has 44 fields.</summary>
    internal const int FieldsMax = 64;

    /// <summary>Types of which Kubernetes writes no empty list or map (its Go tags say omitempty for every one that is not required).</summary>
    private static readonly HashSet<string> WithoutEmpty = ["meta.v1.ObjectMeta", "core.v1.PodSpec", "core.v1.Container", "core.v1.ServiceSpec", "core.v1.ConfigMap", "core.v1.Secret"];

    private readonly SchemaField[] _fields;
    private readonly short[] _slots;

    internal SchemaType(string name, SchemaField[] fields)
    {
        Name = name;
        OmitsEmpty = WithoutEmpty.Contains(name);
        _fields = fields;
        var size = 4;
        while (size < fields.Length * 2)
        {
            size *= 2;
        }

        _slots = new short[size];
        for (var i = 0; i < fields.Length; i++)
        {
            fields[i].Index = i;
            var slot = Hash(fields[i].NameUtf8) & (size - 1);
            while (_slots[slot] != 0)
            {
                slot = (slot + 1) & (size - 1);
            }

            _slots[slot] = (short)(i + 1);
        }
    }

    /// <summary>A type made at run time from the schema of a custom kind: for <c>server-side apply</c>, not for <see cref="SchemaCheck"/>.</summary>
    public static SchemaType Custom(string name, IEnumerable<SchemaField> fields, bool isKind, bool isAtomic) =>
        new(name, [.. fields]) { IsKind = isKind, IsAtomic = isAtomic };

    /// <summary>As in the table, for example <c>apps.v1.Deployment</c>; empty for the type of objects that are in no table.</summary>
    public string Name { get; }

    public IReadOnlyList<SchemaField> Fields => _fields;

    /// <summary>A whole object with <c>apiVersion</c>, <c>kind</c> and <c>metadata</c>.</summary>
    public bool IsKind { get; internal init; }

    /// <summary>Server-side apply owns an object of this type as a whole.</summary>
    public bool IsAtomic { get; internal init; }

    /// <summary>A list or map that has become empty is as if it was never there.</summary>
    public bool OmitsEmpty { get; }

    /// <summary>Fields that the type does not name are kept.</summary>
    public bool KeepsUnknown { get; internal init; }

    public SchemaField? Find(ReadOnlySpan<byte> name)
    {
        var mask = _slots.Length - 1;
        for (var slot = Hash(name) & mask; _slots[slot] != 0; slot = (slot + 1) & mask)
        {
            var field = _fields[_slots[slot] - 1];
            if (name.SequenceEqual(field.NameUtf8))
            {
                return field;
            }
        }

        return null;
    }

    public SchemaField? Find(string name)
    {
        foreach (var field in _fields)
        {
            if (string.Equals(field.Name, name, StringComparison.Ordinal))
            {
                return field;
            }
        }

        return null;
    }

    public override string ToString() => Name;

    // Length, ends and middle tell almost all field names of one type apart.
    private static int Hash(ReadOnlySpan<byte> name) => name.IsEmpty
        ? 0
        : (name.Length * 7) + (name[0] * 31) + (name[name.Length >> 1] * 17) + name[^1];
}
