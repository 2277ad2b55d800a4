using Declarative.Api.Schema;

namespace Declarative.ApiServer.Tables;

/// <summary>One cell: a text, a number, a boolean, a moment that is shown as the time since it, or a text with such times in it.</summary>
internal readonly struct Cell
{
    private readonly string? _text;
    private readonly long _number;
    private readonly Cell[]? _parts;
    private readonly bool _isAge;
    private readonly bool _isLiteral;

    private Cell(string? text, long number, bool isAge, bool isLiteral = false, Cell[]? parts = null) =>
        (_text, _number, _isAge, _isLiteral, _parts) = (text, number, isAge, isLiteral, parts);

    /// <summary>A custom column whose path leads nowhere.</summary>
    public static Cell Absent { get; } = Literal("null");

    public static implicit operator Cell(string text) => new(text, 0, false);

    public static implicit operator Cell(long number) => new(null, number, false);

    public static implicit operator Cell(int number) => new(null, number, false);

    public static implicit operator Cell(bool value) => Literal(value ? "true" : "false");

    /// <summary>A JSON number or word as it is written.</summary>
    public static Cell Literal(string json) => new(json, 0, false, isLiteral: true);

    /// <summary>The time since a moment; <c>&lt;unknown&gt;</c> where there is none.</summary>
    public static Cell Since(DateTimeOffset? moment) => moment is { } at ? new Cell(null, at.UtcTicks, true) : "<unknown>";

    /// <summary>Texts and times as one text.</summary>
    public static Cell Joined(params Cell[] parts) => new(null, 0, false, parts: parts);

    /// <param name="ages">Gets the places of the times, which are left out.</param>
    public void Write(JsonBuffer json, List<AgeMark> ages)
    {
        if (_isLiteral) json.Raw(System.Text.Encoding.UTF8.GetBytes(_text!));
        else if (_text is null && _parts is null && !_isAge) json.Number(_number);
        else
        {
            json.Raw((byte)'"');
            foreach (var part in _parts ?? [this])
            {
                if (part._isAge) ages.Add(new(json.Length, part._number));
                else json.Inside(part._text!);
            }
            json.Raw((byte)'"');
        }
    }
}

/// <summary>Where a row shows the time since a moment.</summary>
/// <param name="At">In the bytes of the row's cells.</param>
/// <param name="UtcTicks">The moment.</param>
internal readonly record struct AgeMark(int At, long UtcTicks);
