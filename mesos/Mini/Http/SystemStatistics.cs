using System.Globalization;
using System.Text.Json;

namespace Declarative.Mesos.Mini.Http;

/// <summary>GET /system/stats.json of masters and agents: the load and the memory (in bytes) of the machine.</summary>
internal static class SystemStatistics
{
    public static void Write(Utf8JsonWriter json)
    {
        var load = File.ReadAllText("/proc/loadavg").Split(' ');
        json.WriteStartObject();
        json.WriteDouble("avg_load_15min", Number(load[2]));
        json.WriteDouble("avg_load_1min", Number(load[0]));
        json.WriteDouble("avg_load_5min", Number(load[1]));
        json.WriteNumber("cpus_total", Environment.ProcessorCount);
        json.WriteNumber("mem_free_bytes", Memory("MemFree:"));
        json.WriteNumber("mem_total_bytes", Memory("MemTotal:"));
        json.WriteEndObject();
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    // /proc/meminfo counts in KiB.
    private static long Memory(string name) =>
        File.ReadLines("/proc/meminfo").First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var kilobytes, ..]
            ? long.Parse(kilobytes, CultureInfo.InvariantCulture) * 1024
            : 0;
}
