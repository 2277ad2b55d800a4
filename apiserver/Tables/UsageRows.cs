using System.Globalization;
using System.Text.Json;

namespace Declarative.ApiServer.Tables;

/// <summary>Rows of metrics.k8s.io, as Kubernetes' metrics-server shows them: what all containers use together, and over which time.</summary>
internal static class UsageRows
{
    public static IReadOnlyList<Column> Columns { get; } =
    [
        new("Name", "string", "name", 0), new("cpu", "string", "quantity", 0), new("memory", "string", "quantity", 0), new("Window", "string", "duration", 0),
    ];

    public static Cell[] Node(JsonElement o) => Cells(o, [o.At("usage")]);

    public static Cell[] Pod(JsonElement o) => Cells(o, o.Items("containers").Select(x => x.At("usage")));

    private static Cell[] Cells(JsonElement o, IEnumerable<JsonElement> usages)
    {
        var (cpu, memory) = (0L, 0L);
        foreach (var usage in usages)
        {
            cpu += Count(usage.Text("cpu"), "n");
            memory += Count(usage.Text("memory"), "Ki");
        }
        return [string.Create(CultureInfo.InvariantCulture, $"{cpu}n"), string.Create(CultureInfo.InvariantCulture, $"{memory}Ki"), o.Text("window")];
    }

    // The server has written these itself, in these units.
    private static long Count(string amount, string unit) => long.TryParse(amount.AsSpan(0, Math.Max(0, amount.Length - unit.Length)), CultureInfo.InvariantCulture, out var count) ? count : 0;
}
