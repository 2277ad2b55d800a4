using System.Diagnostics;
using System.Globalization;

namespace Declarative.Bench.Api;

/// <summary>Start and memory of the product's API server, empty and with many pods, and the list of all of them.</summary>
internal static class LargeLoad
{
    private const int Some = 10_000;
    private const int Many = 50_000;

    public static async Task Run(Func<string, string> pod, string accept)
    {
        var directory = Directory.CreateTempSubdirectory("declarative-bench-large-").FullName;
        try
        {
            // What the first start of a build compiles, later ones compile ahead of its need: it is told, and is not the measure.
            using (var first = await ProductServer.Start(Path.Combine(directory, "first")))
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  a start before: {first.ReadySeconds:F3} s{Cpu(first)}"));
            }
            using (var server = await ProductServer.Start(directory))
            {
                Console.WriteLine(Bar.AtMost("start to ready, empty", server.ReadySeconds, 1.2, "s") + Cpu(server));
                using var target = Target.Read(server.Kubeconfig);
                await target.Send(HttpMethod.Post, "/api/v1/namespaces", """{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"bench-pods"}}""");
                await Task.Delay(2000);
                Console.WriteLine(Bar.AtMost("memory, idle", server.ResidentMiB, 120, "MiB"));
                await Fill(target, "a", Some);
                Console.WriteLine(Bar.AtMost($"memory with {Some} pods", server.ResidentMiB, 250, "MiB"));
                Lists(server, target, Some, 0.0594, accept: "application/json", "JSON");
                Lists(server, target, Some, 0.0392, accept, "Table");
                await Fill(target, "b", Many - Some);
                Console.WriteLine(Bar.AtMost($"memory with {Many} pods", server.ResidentMiB, 700, "MiB"));
                Lists(server, target, Many, 0.43, accept: "application/json", "JSON");
                Console.WriteLine(Bar.AtMost($"memory with {Many} pods after the lists", server.ResidentMiB, 700, "MiB"));
            }
            using (var again = await ProductServer.Start(directory))
            {
                Console.WriteLine(Bar.AtMost($"start to ready, {Many} pods", again.ReadySeconds, 2.5, "s") + Cpu(again));
                await Task.Delay(2000);
                Console.WriteLine(Bar.AtMost($"memory after a start with {Many} pods", again.ResidentMiB, 700, "MiB"));
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }

        Task Fill(Target target, string prefix, int count) => ApiLoad.Run(target, "fill", 32, 3600, 201,
            (client, i) => ApiConnection.Request("POST", "/api/v1/namespaces/bench-pods/pods", pod($"{prefix}-{client}-{i}")), count);
    }

    private static string Cpu(ProductServer server) => string.Create(CultureInfo.InvariantCulture, $", {server.ReadyCpuSeconds:F2} s of CPU");

    private static void Lists(ProductServer server, Target target, int pods, double bar, string accept, string form)
    {
        using var connection = ApiConnection.Open(target);
        var request = ApiConnection.Request("GET", "/api/v1/namespaces/bench-pods/pods", accept: accept);
        var times = new List<double>();
        var (length, before) = (0L, server.ResidentMiB);
        server.ForgetPeak();
        for (var i = 0; i < 5; i++)
        {
            var sent = Stopwatch.GetTimestamp();
            length = connection.Send(request).Length;
            times.Add(Stopwatch.GetElapsedTime(sent).TotalSeconds);
        }
        var growth = server.PeakMiB - before;
        var first = times[0];
        times.Sort();
        Console.WriteLine(Bar.AtMost(string.Create(CultureInfo.InvariantCulture, $"list of {pods} pods as {form}, {length / 1e6:F1} MB, median"), times[2], bar, "s")
            + string.Create(CultureInfo.InvariantCulture, $", best {times[0]:F3}, first {first:F3}"));
        Console.WriteLine(Bar.AtMost("  memory more at the peak of five", growth, 50, "MiB"));
    }
}
