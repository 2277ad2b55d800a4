using System.Text.Json;

namespace Declarative.ApiServer.Tables;

/// <summary>One cell: a text, a number, or a moment that is shown as the time since it.</summary>
internal readonly struct Cell
{
    private readonly string? _text;
    private readonly long _number;
    private readonly bool _isAge;
    private readonly bool _isAbsent;

    private Cell(string? text, long number, bool isAge, bool isAbsent = false) => (_text, _number, _isAge, _isAbsent) = (text, number, isAge, isAbsent);

    /// <summary>A custom column whose path leads nowhere.</summary>
    public static Cell Absent { get; } = new(null, 0, false, true);

    public static implicit operator Cell(string text) => new(text, 0, false);

    public static implicit operator Cell(long number) => new(null, number, false);

    public static implicit operator Cell(int number) => new(null, number, false);

    /// <summary>The time since a moment; <c>&lt;unknown&gt;</c> where there is none.</summary>
    public static Cell Since(DateTimeOffset? moment) => moment is { } at ? new Cell(null, at.UtcTicks, true) : "<unknown>";

    public void Write(Utf8JsonWriter json, DateTimeOffset now)
    {
        if (_isAbsent) json.WriteNullValue();
        else if (_text is not null) json.WriteStringValue(_text);
        else if (_isAge) json.WriteStringValue(Age.Of(now.UtcTicks - _number));
        else json.WriteNumberValue(_number);
    }
}
