namespace Declarative.ApiServer.Tables;

/// <summary>One column of a table (meta.k8s.io/v1 TableColumnDefinition).</summary>
/// <param name="Priority">0 = always shown, 1 = with <c>-o wide</c>.</param>
internal sealed record Column(string Name, string Type, string Format, int Priority)
{
    /// <summary>Columns in one line, parted by <c>|</c>: <c>#</c> before a name makes it a number, <c>*</c> shows it with -o wide only.</summary>
    public static IReadOnlyList<Column> Parse(string line, bool named = true)
    {
        var columns = new List<Column>();
        if (named) columns.Add(new("Name", "string", "name", 0));
        foreach (var word in line.Split('|', StringSplitOptions.RemoveEmptyEntries))
        {
            var wide = word[0] == '*';
            var name = wide ? word[1..] : word;
            var number = name[0] == '#';
            columns.Add(new(number ? name[1..] : name, number ? "integer" : "string", "", wide ? 1 : 0));
        }
        return columns;
    }
}
