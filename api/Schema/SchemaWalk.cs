using System.Text;
using System.Text.Json;

namespace Declarative.Api.Schema;

/// <summary>One pass of <see cref="SchemaCheck"/>: reads, judges and writes at once.</summary>
internal ref struct SchemaWalk
{
    // Up to here keys of a map are compared one by one; above, a set is made.
    private const int FewKeys = 16;

    private readonly JsonBuffer _output;
    private readonly FieldValidation _mode;
    private readonly List<FieldError> _errors = [];
    private readonly List<FieldError> _warnings = [];
    private readonly List<(int Start, int Length)> _keys = [];
    private readonly List<PathPart> _path = [];
    private Utf8JsonReader _reader;
    private HashSet<string>? _manyUnknown;

    public SchemaWalk(ReadOnlySpan<byte> json, JsonBuffer output, FieldValidation mode)
    {
        _reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = Limits.JsonDepthMax });
        _output = output;
        _mode = mode;
    }

    public readonly List<FieldError> Errors => _errors;

    public readonly List<FieldError> Warnings => _warnings;

    /// <summary>There were duplicates, and the mode lets the last of them count: what was written is not to be used.</summary>
    public bool HasDuplicates { get; private set; }

    public readonly string Path => PathPart.Render(_path, _output);

    /// <summary>Returns the canonical object; its value has no meaning when there are errors or duplicates.</summary>
    public byte[]? Root(SchemaType type)
    {
        _reader.Read();
        if (_reader.TokenType != JsonTokenType.StartObject)
        {
            WrongType("an object");
            return null;
        }

        Span<(int Start, int End)> head = stackalloc (int, int)[3];
        var bodyStart = _output.Length;
        var parts = new List<(int Start, int End)>(8);
        ulong seen = 0;
        while (_reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            var start = _output.Length;
            var field = Member(type, ref seen);
            if (_output.Length == start)
            {
                continue;
            }

            var rank = field?.Name switch { "apiVersion" => 0, "kind" => 1, "metadata" => 2, _ => 3 };
            if (rank < 3)
            {
                head[rank] = (start, _output.Length);
            }
            else
            {
                parts.Add((start, _output.Length));
            }
        }

        _reader.Read(); // Throws when more text follows.
        return Assemble(bodyStart, head, parts);
    }

    private readonly byte[] Assemble(int bodyStart, ReadOnlySpan<(int Start, int End)> head, List<(int Start, int End)> parts)
    {
        var members = parts.Count;
        foreach (var (start, end) in head)
        {
            members += end > start ? 1 : 0;
        }

        var result = new byte[_output.Length - bodyStart + Math.Max(members - 1, 0) + 2];
        var written = _output.Written;
        var at = 0;
        result[at++] = (byte)'{';
        foreach (var part in head)
        {
            at = Append(written, part, result, at);
        }

        foreach (var part in parts)
        {
            at = Append(written, part, result, at);
        }

        result[at] = (byte)'}';
        return result;
    }

    private static int Append(ReadOnlySpan<byte> written, (int Start, int End) part, byte[] result, int at)
    {
        if (part.End == part.Start)
        {
            return at;
        }

        if (at > 1)
        {
            result[at++] = (byte)',';
        }

        written[part.Start..part.End].CopyTo(result.AsSpan(at));
        return at + part.End - part.Start;
    }

    // On a property name. Writes `"name":value` without a comma before it, or nothing.
    private SchemaField? Member(SchemaType type, ref ulong seen)
    {
        var field = Field(type);
        if (field is null)
        {
            UnknownMember(type);
            return null;
        }

        if ((seen & (1UL << field.Index)) != 0)
        {
            _path.Add(new PathPart(field));
            Finding(FieldErrorKind.Duplicate, "");
            Pop();
            HasDuplicates = true;
            _reader.Read();
            _reader.Skip();
            return null;
        }

        seen |= 1UL << field.Index;
        _reader.Read();
        if (_reader.TokenType == JsonTokenType.Null)
        {
            return null;
        }

        var start = _output.Length;
        _output.Raw(field.Prefix);
        _path.Add(new PathPart(field));
        Value(field.Type);
        Pop();
        if (type.OmitsEmpty && !field.Required && (field.Type.Shape is Shape.List or Shape.Map) && _output.Length == start + field.Prefix.Length + 2)
        {
            _output.Length = start;
        }

        return field;
    }

    private readonly SchemaField? Field(SchemaType type)
    {
        if (!_reader.ValueIsEscaped)
        {
            return type.Find(_reader.ValueSpan);
        }

        return type.Find(_reader.GetString()!);
    }

    private void UnknownMember(SchemaType type)
    {
        if (type.KeepsUnknown)
        {
            var start = _output.Length;
            _output.String(ref _reader);
            _path.Add(new PathPart(start, _output.Length - start));
            Key(0, start, ref _manyUnknown);
            _output.Raw((byte)':');
            _reader.Read();
            Opaque();
            Pop();
            return;
        }

        if (_mode != FieldValidation.Ignore)
        {
            var name = _reader.GetString()!;
            _path.Add(new PathPart(name));
            Finding(FieldErrorKind.Unknown, Nearest.Hint(name, type));
            Pop();
        }

        _reader.Read();
        _reader.Skip();
    }

    private void Value(TypeRef type)
    {
        switch (type.Shape)
        {
            case Shape.String:
                if (Expect(JsonTokenType.String, "a string"))
                {
                    _output.String(ref _reader);
                }

                break;
            case Shape.Object:
                if (Expect(JsonTokenType.StartObject, "an object"))
                {
                    Object(type.Type);
                }

                break;
            case Shape.List:
                if (Expect(JsonTokenType.StartArray, "a list"))
                {
                    List(type.Item!);
                }

                break;
            case Shape.Map:
                if (Expect(JsonTokenType.StartObject, "an object"))
                {
                    Map(type.Item!);
                }

                break;
            case Shape.Any:
                Opaque();
                break;
            case Shape.OneOf:
                Alternative(type.Type);
                break;
            default:
                if (!ScalarForms.Write(ref _reader, type.Shape, _output))
                {
                    WrongType(Expected.Of(type.Shape));
                }

                break;
        }
    }

    private void Object(SchemaType type)
    {
        _output.Raw((byte)'{');
        ulong seen = 0;
        while (_reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            var before = _output.Length;
            _output.Separate();
            var start = _output.Length;
            Member(type, ref seen);
            if (_output.Length == start)
            {
                _output.Length = before;
            }
        }

        _output.Raw((byte)'}');
    }

    private void List(TypeRef item)
    {
        _output.Raw((byte)'[');
        for (var index = 0; _reader.Read() && _reader.TokenType != JsonTokenType.EndArray; index++)
        {
            _output.Separate();
            _path.Add(new PathPart(index));
            ValueOrZero(item);
            Pop();
        }

        _output.Raw((byte)']');
    }

    private void Map(TypeRef item)
    {
        var first = _keys.Count;
        HashSet<string>? many = null;
        _output.Raw((byte)'{');
        while (_reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            _output.Separate();
            var start = _output.Length;
            _output.String(ref _reader);
            _path.Add(new PathPart(start, _output.Length - start));
            Key(first, start, ref many);
            _output.Raw((byte)':');
            _reader.Read();
            ValueOrZero(item);
            Pop();
        }

        _output.Raw((byte)'}');
        _keys.RemoveRange(first, _keys.Count - first);
    }

    // The key stands in the output from `start` to the end.
    private void Key(int first, int start, ref HashSet<string>? many)
    {
        var written = _output.Written;
        var key = written[start..];
        var duplicate = false;
        if (_keys.Count - first < FewKeys)
        {
            for (var i = first; i < _keys.Count && !duplicate; i++)
            {
                duplicate = written.Slice(_keys[i].Start, _keys[i].Length).SequenceEqual(key);
            }

            _keys.Add((start, key.Length));
        }
        else
        {
            if (many is null)
            {
                many = new HashSet<string>(StringComparer.Ordinal);
                for (var i = first; i < _keys.Count; i++)
                {
                    many.Add(Encoding.UTF8.GetString(written.Slice(_keys[i].Start, _keys[i].Length)));
                }
            }

            duplicate = !many.Add(Encoding.UTF8.GetString(key));
        }

        if (duplicate)
        {
            Finding(FieldErrorKind.Duplicate, "");
            HasDuplicates = true;
        }
    }

    // A null in a list or map stands for the zero value of its type, as it does for every reader of typed objects.
    private void ValueOrZero(TypeRef type)
    {
        if (_reader.TokenType != JsonTokenType.Null)
        {
            Value(type);
            return;
        }

        _output.Raw(type.Shape switch
        {
            Shape.Object or Shape.Map => "{}"u8,
            Shape.List => "[]"u8,
            Shape.Bool => "false"u8,
            Shape.Int32 or Shape.Int64 or Shape.Float64 or Shape.IntOrString => "0"u8,
            Shape.Quantity => "\"0\""u8,
            Shape.String or Shape.Bytes or Shape.Duration => "\"\""u8,
            _ => "null"u8,
        });
    }

    private void Alternative(SchemaType type)
    {
        foreach (var field in type.Fields)
        {
            var fits = field.Type.Shape switch
            {
                Shape.Object => _reader.TokenType == JsonTokenType.StartObject,
                Shape.List => _reader.TokenType == JsonTokenType.StartArray,
                Shape.Bool => _reader.TokenType is JsonTokenType.True or JsonTokenType.False,
                _ => false,
            };
            if (fits)
            {
                Value(field.Type);
                return;
            }
        }

        WrongType(string.Join(" or ", type.Fields.Select(field => Expected.Of(field.Type.Shape))));
    }

    // Copies whatever stands there.
    private void Opaque()
    {
        switch (_reader.TokenType)
        {
            case JsonTokenType.StartObject:
                Map(TypeRef.Any);
                break;
            case JsonTokenType.StartArray:
                List(TypeRef.Any);
                break;
            case JsonTokenType.String:
                _output.String(ref _reader);
                break;
            default:
                _output.Raw(_reader.ValueSpan);
                break;
        }
    }

    private bool Expect(JsonTokenType token, string expected)
    {
        if (_reader.TokenType == token)
        {
            return true;
        }

        WrongType(expected);
        return false;
    }

    private void WrongType(string expected)
    {
        if (_errors.Count < SchemaCheck.FindingsMax)
        {
            _errors.Add(new FieldError(Path, FieldErrorKind.WrongType, $"expected {expected}, found {Expected.Found(ref _reader)}"));
        }

        _reader.Skip();
    }

    private readonly void Finding(FieldErrorKind kind, string message)
    {
        var list = _mode == FieldValidation.Strict ? _errors : _warnings;
        if (_mode != FieldValidation.Ignore && list.Count < SchemaCheck.FindingsMax)
        {
            list.Add(new FieldError(Path, kind, message));
        }
    }

    private readonly void Pop() => _path.RemoveAt(_path.Count - 1);
}
