using System.Globalization;
using Declarative.Api.Objects;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>What is more important gets the place, over real sockets and with kubectl; and the plan says so before.</summary>
[Collection(EndToEndTests.Name)]
public sealed class PriorityTests
{
    private static string Pod(string name, long milli, string more = "") => $"""
        apiVersion: v1
        kind: Pod
        metadata:
          name: {name}
        spec:
          terminationGracePeriodSeconds: 3
          {more}
          containers:
          - name: main
            command: [sleep, "1000"]
            resources:
              requests:
                cpu: {milli}m
                memory: 32Mi
        """;

    private const string High = """
        apiVersion: scheduling.k8s.io/v1
        kind: PriorityClass
        metadata: {name: high}
        value: 1000
        """;

    [Fact]
    public Task A_pod_of_higher_priority_takes_the_place_that_the_plan_has_named() => RunningPlatform.With(async platform =>
    {
        await platform.Up();
        var node = await platform.Get("node", "agent-0");
        var most = Quantity.Parse((string)node["status"]!["capacity"]!["cpu"]!).Milli * 6 / 10;
        (await platform.Apply(Pod("low", most))).Succeeds();
        (await platform.Kubectl("wait", "--for=condition=Ready", "pod/low", "--timeout=60s")).Succeeds();

        // The class is made by the same file.
        var file = Path.Combine(platform.Data, "vip.yaml");
        await File.WriteAllTextAsync(file, High + "\n---\n" + Pod("vip", most, "priorityClassName: high"));
        var plan = await RunningPlatform.Run("plan", "-f", file, "--data", platform.Data);
        Assert.Equal("pod/vip: 1 pod\n  1 on agent-0, in the place of default/low\nnothing was changed\n", plan.Succeeds().Output);
        await File.WriteAllTextAsync(file + ".big", Pod("big", most * 2));
        var big = await RunningPlatform.Run("plan", "-f", file + ".big", "-o", "json", "--data", platform.Data);
        Assert.Equal(1, big.Code);
        var row = System.Text.Json.Nodes.JsonNode.Parse(big.Output)!["items"]![0]!;
        Assert.Equal((1, 0), ((int)row["refused"]!, row["placed"]!.AsArray().Count));
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"needs {most * 2 / 1000m:0.###} cpus"), (string)row["agents"]![0]!["reasons"]![0]!["reason"]!, StringComparison.Ordinal);
        Assert.Equal("pod/low\n", (await platform.Kubectl("get", "pods", "-o", "name")).Succeeds().Output);

        (await platform.Kubectl("apply", "-f", file)).Succeeds();
        (await platform.Kubectl("wait", "--for=condition=Ready", "pod/vip", "--timeout=60s")).Succeeds();
        Assert.Empty((await platform.Kubectl("get", "pod", "low", "--ignore-not-found", "-o", "name")).Succeeds().Output);
        Assert.Contains("makes room on agent-0 for pod default/vip of priority 1000", (await platform.Kubectl("get", "events", "--field-selector", "reason=Preempted")).Succeeds().Output, StringComparison.Ordinal);
    });
}
