using System.Text;
using System.Text.Json;

namespace Declarative.Api.Schema;

/// <summary>A step from an object to a value in it, kept cheap because a path is rendered only for an error.</summary>
internal readonly record struct PathPart
{
    private readonly object? _name;
    private readonly int _number;
    private readonly int _length;

    public PathPart(SchemaField field) => _name = field;

    public PathPart(string name) => _name = name;

    public PathPart(int index) => _number = index;

    /// <summary>A key of a map, which stands, quoted, in the output.</summary>
    public PathPart(int start, int length) => (_number, _length) = (start, length);

    public static string Render(List<PathPart> path, JsonBuffer output)
    {
        var text = new StringBuilder();
        foreach (var part in path)
        {
            part.Append(text, output);
        }

        return text.ToString();
    }

    private void Append(StringBuilder text, JsonBuffer output)
    {
        if (_name is null && _length == 0)
        {
            text.Append('[').Append(_number).Append(']');
            return;
        }

        var name = _name switch
        {
            SchemaField field => field.Name,
            string unknown => unknown,
            _ => Unquote(output.Written.Slice(_number, _length)),
        };
        if (name.AsSpan().ContainsAny('.', '/', '['))
        {
            text.Append('[').Append(name).Append(']');
        }
        else
        {
            text.Append(text.Length == 0 ? "" : ".").Append(name);
        }
    }

    private static string Unquote(ReadOnlySpan<byte> quoted)
    {
        var reader = new Utf8JsonReader(quoted);
        reader.Read();
        return reader.GetString()!;
    }
}
