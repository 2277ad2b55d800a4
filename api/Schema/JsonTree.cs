using System.Text;
using System.Text.Json;

namespace Declarative.Api.Schema;

/// <summary>
/// A small mutable tree over JSON bytes for patches. Scalars keep the bytes they were read from; objects keep the order of their members,
/// and of duplicate members the last counts. Not thread-safe.
/// </summary>
public sealed class JsonTree
{
    private readonly ReadOnlyMemory<byte> _scalar;

    private JsonTree(JsonValueKind kind, ReadOnlyMemory<byte> scalar = default)
    {
        Kind = kind;
        _scalar = scalar;
        Members = kind == JsonValueKind.Object ? new OrderedDictionary<string, JsonTree>(StringComparer.Ordinal) : null;
        Items = kind == JsonValueKind.Array ? [] : null;
    }

    public JsonValueKind Kind { get; }

    /// <summary>The members of an object, else null.</summary>
    public OrderedDictionary<string, JsonTree>? Members { get; }

    /// <summary>The elements of a list, else null.</summary>
    public List<JsonTree>? Items { get; }

    /// <summary>The canonical bytes of a scalar; a string with its quotation marks.</summary>
    public ReadOnlySpan<byte> Scalar => _scalar.Span;

    public JsonTree? this[string name] => Members is not null && Members.TryGetValue(name, out var value) ? value : null;

    public static JsonTree Object() => new(JsonValueKind.Object);

    public static JsonTree List() => new(JsonValueKind.Array);

    /// <summary>Canonical JSON that was written by our own code and is written out as it is; the tree does not show its parts.</summary>
    public static JsonTree Verbatim(byte[] json) => new(JsonValueKind.Undefined, json);

    public static JsonTree Null() => new(JsonValueKind.Null, "null"u8.ToArray());

    public static JsonTree String(string value)
    {
        using var buffer = new JsonBuffer(value.Length + 2);
        buffer.String(value);
        return new JsonTree(JsonValueKind.String, buffer.ToArray());
    }

    public static JsonTree Number(long value)
    {
        using var buffer = new JsonBuffer();
        buffer.Number(value);
        return new JsonTree(JsonValueKind.Number, buffer.ToArray());
    }

    /// <summary>The tree refers to <paramref name="json"/>: it must not be changed while the tree is in use.</summary>
    /// <exception cref="JsonException">No JSON, or nested deeper than <see cref="Limits.JsonDepthMax"/>.</exception>
    public static JsonTree Parse(ReadOnlyMemory<byte> json)
    {
        if (!System.Text.Unicode.Utf8.IsValid(json.Span))
        {
            throw new JsonException("The text is not UTF-8.", null, 0, 0);
        }

        var reader = new Utf8JsonReader(json.Span, new JsonReaderOptions { MaxDepth = Limits.JsonDepthMax });
        reader.Read();
        try
        {
            var tree = Read(ref reader, json);
            reader.Read(); // Throws when more text follows.
            return tree;
        }
        catch (InvalidOperationException e) when (SchemaCheck.IsReaders(e))
        {
            throw new JsonException("An escape in a string stands for half a surrogate pair.", null, 0, reader.TokenStartIndex, e);
        }
    }

    /// <summary>The text of a string; throws for other kinds.</summary>
    public string Text()
    {
        var reader = new Utf8JsonReader(Scalar);
        reader.Read();
        return reader.GetString() ?? throw new InvalidOperationException("null is no string");
    }

    public byte[] ToBytes()
    {
        using var buffer = new JsonBuffer();
        Write(buffer);
        return buffer.ToArray();
    }

    public void Write(JsonBuffer output)
    {
        if (Members is not null)
        {
            output.Raw((byte)'{');
            foreach (var (name, value) in Members)
            {
                output.Separate();
                output.String(name);
                output.Raw((byte)':');
                value.Write(output);
            }

            output.Raw((byte)'}');
        }
        else if (Items is not null)
        {
            output.Raw((byte)'[');
            foreach (var item in Items)
            {
                output.Separate();
                item.Write(output);
            }

            output.Raw((byte)']');
        }
        else
        {
            output.Raw(Scalar);
        }
    }

    public JsonTree Clone()
    {
        if (Members is null && Items is null)
        {
            return this;
        }

        var clone = new JsonTree(Kind);
        if (Members is not null)
        {
            foreach (var (name, value) in Members)
            {
                clone.Members!.Add(name, value.Clone());
            }
        }
        else
        {
            foreach (var item in Items!)
            {
                clone.Items!.Add(item.Clone());
            }
        }

        return clone;
    }

    /// <summary>Equality of RFC 6902, section 4.6: members in any order, numbers by value.</summary>
    public static bool Same(JsonTree a, JsonTree b)
    {
        if (a.Kind != b.Kind)
        {
            return false;
        }

        if (a.Members is not null)
        {
            return a.Members.Count == b.Members!.Count
                && a.Members.All(member => b.Members.TryGetValue(member.Key, out var other) && Same(member.Value, other));
        }

        if (a.Items is not null)
        {
            return a.Items.Count == b.Items!.Count && a.Items.Zip(b.Items).All(pair => Same(pair.First, pair.Second));
        }

        return a.Scalar.SequenceEqual(b.Scalar) || (a.Kind == JsonValueKind.Number && SameNumber(a.Scalar, b.Scalar));
    }

    private static bool SameNumber(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b) =>
        decimal.TryParse(a, System.Globalization.NumberStyles.Float, System.Globalization.CultureInfo.InvariantCulture, out var x)
        && decimal.TryParse(b, System.Globalization.NumberStyles.Float, System.Globalization.CultureInfo.InvariantCulture, out var y)
            ? x == y
            : double.Parse(a, System.Globalization.CultureInfo.InvariantCulture).Equals(double.Parse(b, System.Globalization.CultureInfo.InvariantCulture));

    private static JsonTree Read(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                var made = Object();
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    var name = reader.GetString()!;
                    reader.Read();
                    made.Members![name] = Read(ref reader, json);
                }

                return made;
            case JsonTokenType.StartArray:
                var list = List();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    list.Items!.Add(Read(ref reader, json));
                }

                return list;
            case JsonTokenType.String when reader.ValueIsEscaped:
                return String(reader.GetString()!);
            case var token:
                var kind = token switch
                {
                    JsonTokenType.String => JsonValueKind.String,
                    JsonTokenType.Number => JsonValueKind.Number,
                    JsonTokenType.True => JsonValueKind.True,
                    JsonTokenType.False => JsonValueKind.False,
                    _ => JsonValueKind.Null,
                };
                var start = (int)reader.TokenStartIndex;
                return new JsonTree(kind, json[start..(int)reader.BytesConsumed]);
        }
    }
}
