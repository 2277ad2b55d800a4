using System.Globalization;

namespace Declarative.Api.Objects;

/// <summary>A number or a word: a port by number or name, a count or a percentage (util.intstr.IntOrString).</summary>
public readonly record struct IntOrString(int Int, string? Text)
{
    public static implicit operator IntOrString(int value) => new(value, null);

    public static implicit operator IntOrString(string text) => new(0, text);

    public bool IsText => Text is not null;

    /// <summary>A count, or the percentage of a total, rounded up or down. An unreadable text counts 0.</summary>
    public int Of(int total, bool roundUp)
    {
        if (Text is null) return Int;
        if (!Text.EndsWith('%') || !int.TryParse(Text.AsSpan(0, Text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var percent)) return 0;
        return roundUp ? (int)Math.Ceiling(total * (percent / 100.0)) : (int)Math.Floor(total * (percent / 100.0));
    }

    public override string ToString() => Text ?? Int.ToString(CultureInfo.InvariantCulture);
}
