using System.Globalization;
using System.Text.Json;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The load and the memory (in bytes) of the machine: GET /system/stats.json of masters and agents, and their metrics.</summary>
internal static class SystemStatistics
{
    public static void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach (var (name, value) in Loads())
            json.WriteDouble($"avg_load_{name}", value);
        json.WriteNumber("cpus_total", Environment.ProcessorCount);
        json.WriteNumber("mem_free_bytes", Memory("MemFree:"));
        json.WriteNumber("mem_total_bytes", Memory("MemTotal:"));
        json.WriteEndObject();
    }

    public static IEnumerable<(string Name, double Value)> Metrics() =>
        [
            .. Loads().Select(load => ($"system/load_{load.Name}", load.Value)),
            ("system/cpus_total", Environment.ProcessorCount),
            ("system/mem_free_bytes", Memory("MemFree:")),
            ("system/mem_total_bytes", Memory("MemTotal:")),
        ];

    private static (string Name, double Value)[] Loads()
    {
        var load = File.ReadAllText("/proc/loadavg").Split(' ');
        return [("15min", Number(load[2])), ("1min", Number(load[0])), ("5min", Number(load[1]))];
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    // /proc/meminfo counts in KiB.
    private static long Memory(string name) =>
        File.ReadLines("/proc/meminfo").First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var kilobytes, ..]
            ? long.Parse(kilobytes, CultureInfo.InvariantCulture) * 1024
            : 0;
}
