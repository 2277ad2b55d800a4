namespace Declarative.Bench.Api;

/// <summary>The three writes that every pod takes on its way to a task: it is created, bound to a node with its annotation, and gets its status.</summary>
internal static class PodWrites
{
    public const string Namespace = "bench-writes";
    private const string Pods = $"/api/v1/namespaces/{Namespace}/pods";
    private const int Clients = 32;
    private const string Annotation = """{\"id\":\"3c1dc2f5-5d0a-4f0e-9d52-0d3a0c7a8f11.0\",\"agent\":\"agent-7\",\"ports\":{\"web/http\":31002}}""";

    /// <param name="count">Pods; each row is as many requests.</param>
    /// <param name="warmUpSeconds">Of each kind of request, before any is measured.</param>
    /// <param name="pod">The object of a name.</param>
    public static async Task Run(Target target, string run, int count, double warmUpSeconds, Func<string, string> pod)
    {
        (string Name, int Code, Func<string, byte[]> Request)[] writes =
        [
            ("create Pod", 201, name => ApiConnection.Request("POST", Pods, pod(name))),
            ("bind Pod", 201, name => ApiConnection.Request("POST", $"{Pods}/{name}/binding", Binding(name))),
            ("patch status of Pod", 200, name => ApiConnection.Request("PATCH", $"{Pods}/{name}/status", Status, type: "application/merge-patch+json")),
        ];
        var made = int.MaxValue;
        // As many are bound and patched as the first of them has made meanwhile.
        foreach (var write in writes) made = await Row(write, "w", warmUpSeconds, made, told: false);
        await target.Quiet();
        foreach (var write in writes) await Row(write, "p", double.MaxValue, count, told: true);

        async Task<int> Row((string Name, int Code, Func<string, byte[]> Request) write, string prefix, double seconds, int most, bool told)
        {
            var sent = 0;
            var line = await ApiLoad.Run(target, $"{write.Name}, {Clients} clients", Clients, seconds, write.Code, (_, _) => write.Request($"{prefix}-{run}-{Interlocked.Increment(ref sent)}"), most);
            if (told) Console.WriteLine(line);
            return sent;
        }
    }

    private static string Binding(string name) => $$$"""
        {"apiVersion":"v1","kind":"Binding","metadata":{"name":"{{{name}}}","namespace":"{{{Namespace}}}","annotations":{"declarative.mesos/task":"{{{Annotation}}}"}},
        "target":{"apiVersion":"v1","kind":"Node","name":"agent-7"}}
        """;

    private const string Status = """
        {"status":{"phase":"Running","hostIP":"127.0.0.1","hostIPs":[{"ip":"127.0.0.1"}],"podIP":"127.0.0.1","podIPs":[{"ip":"127.0.0.1"}],"startTime":"2026-01-02T03:04:05Z",
        "conditions":[{"type":"PodScheduled","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z"},{"type":"Initialized","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z"},
        {"type":"ContainersReady","status":"True","lastTransitionTime":"2026-01-02T03:04:06Z"},{"type":"Ready","status":"True","lastTransitionTime":"2026-01-02T03:04:06Z"}],
        "containerStatuses":[{"name":"web","ready":true,"started":true,"restartCount":0,"image":"registry.example/web:1.2.3","imageID":"","containerID":"mesos://7b7c2f5e-5d0a-4f0e-9d52-0d3a0c7a8f11",
        "state":{"running":{"startedAt":"2026-01-02T03:04:06Z"}},"lastState":{}}]}}
        """;
}
