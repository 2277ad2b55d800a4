using System.Text;
using System.Text.Json;

namespace Declarative.Cli.Verbs;

/// <summary>
/// The server's Table (meta.k8s.io/v1) as aligned text with kubectl's columns. One instance prints one table; rows that come later (a watch) stand
/// under the same columns as long as they fit.
/// </summary>
/// <param name="wide">Columns of priority above 0 too.</param>
/// <param name="withNamespace">A first column for it.</param>
/// <param name="withKind">Names are written KIND/NAME; null where they are not.</param>
internal sealed class TableText(bool wide, bool withNamespace, string? withKind)
{
    public const string Accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    private const int Gap = 3;

    private readonly List<int> _widths = [];
    private List<int>? _columns;

    /// <summary>The rows' text; the first call writes the header too. "" where there are no rows.</summary>
    public string Print(JsonElement table, string prefix = "")
    {
        if (!table.TryGetProperty("rows", out var rows) || rows.ValueKind != JsonValueKind.Array || rows.GetArrayLength() == 0) return "";
        var lines = new List<List<string>>();
        if (_columns is null)
        {
            var definitions = table.GetProperty("columnDefinitions").EnumerateArray().ToList();
            _columns = [.. Enumerable.Range(0, definitions.Count).Where(x => wide || definitions[x].GetProperty("priority").GetInt32() == 0)];
            var header = _columns.Select(x => definitions[x].GetProperty("name").GetString()!.ToUpperInvariant());
            lines.Add([.. withNamespace ? header.Prepend("NAMESPACE") : header]);
        }
        foreach (var row in rows.EnumerateArray())
        {
            var cells = row.GetProperty("cells").EnumerateArray().Select(Cell).ToList();
            var shown = _columns.Select(x => x == 0 && withKind is not null ? $"{withKind}/{cells[x]}" : cells[x]);
            lines.Add([.. withNamespace ? shown.Prepend(row.GetProperty("object").GetProperty("metadata").GetProperty("namespace").GetString()!) : shown]);
        }
        return Align(lines, prefix);
    }

    private string Align(List<List<string>> lines, string prefix)
    {
        foreach (var line in lines)
        {
            for (var i = 0; i < line.Count; i++)
            {
                if (_widths.Count <= i) _widths.Add(0);
                _widths[i] = Math.Max(_widths[i], line[i].Length);
            }
        }
        var text = new StringBuilder();
        foreach (var line in lines)
        {
            text.Append(prefix);
            for (var i = 0; i < line.Count; i++) text.Append(i == line.Count - 1 ? line[i] : line[i].PadRight(_widths[i] + Gap));
            text.Append('\n');
        }
        return text.ToString();
    }

    private static string Cell(JsonElement cell)
    {
        var text = cell.ValueKind switch { JsonValueKind.String => cell.GetString()!, JsonValueKind.Null => "<none>", _ => cell.GetRawText() };
        var end = text.AsSpan().IndexOfAny('\n', '\r', '\f');
        return end < 0 ? text : text[..end] + "...";
    }
}
