namespace Declarative.ApiServer.Tables;

/// <summary>One column of a table (meta.k8s.io/v1 TableColumnDefinition).</summary>
/// <param name="Priority">0 = always shown, 1 = with <c>-o wide</c>.</param>
internal sealed record Column(string Name, string Type, string Format, int Priority)
{
    /// <summary>
    /// Columns in one line, parted by <c>|</c>: <c>#</c> before a name makes it an integer, <c>?</c> a boolean, <c>*</c> shows it with -o wide only.
    /// Where Kubernetes calls a column of numbers a string, so does this table; its cells are numbers there and here.
    /// </summary>
    public static IReadOnlyList<Column> Parse(string line, bool named = true)
    {
        var columns = new List<Column>();
        if (named) columns.Add(new("Name", "string", "name", 0));
        foreach (var word in line.Split('|', StringSplitOptions.RemoveEmptyEntries))
        {
            var wide = word[0] == '*';
            var name = wide ? word[1..] : word;
            var type = name[0] switch { '#' => "integer", '?' => "boolean", _ => "string" };
            if (type != "string") name = name[1..];
            columns.Add(new(name, type, name == "Name" ? "name" : "", wide ? 1 : 0));
        }
        return columns;
    }
}
