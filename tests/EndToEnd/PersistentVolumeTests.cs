using System.Text.Json.Nodes;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>A claim and what is written to it outlive the pods, with real kubectl and real processes on the embedded cluster.</summary>
[Collection(EndToEndTests.Name)]
public sealed class PersistentVolumeTests
{
    private const string Manifest = """
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata: {name: data}
        spec:
          accessModes: [ReadWriteOnce]
          resources: {requests: {storage: 64Mi}}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: db}
        spec:
          replicas: 1
          strategy: {type: Recreate}
          selector: {matchLabels: {app: db}}
          template:
            metadata: {labels: {app: db}}
            spec:
              terminationGracePeriodSeconds: 2
              containers:
              - name: main
                command: [sh, -c, "cat data/file; echo line >> data/file; exec sleep 1000"]
                volumeMounts: [{name: v, mountPath: /data}]
                resources: {requests: {cpu: 100m, memory: 32Mi}}
              volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]
        """;

    // Each says its name in the volume, and ends when it does not see those of all.
    private const string Shared = """
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata: {name: pool}
        spec:
          accessModes: [ReadWriteMany]
          resources: {requests: {storage: 64Mi}}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: many}
        spec:
          replicas: 3
          selector: {matchLabels: {app: many}}
          template:
            metadata: {labels: {app: many}}
            spec:
              terminationGracePeriodSeconds: 2
              containers:
              - name: main
                command: [sh, -c, "echo here > pool/$NAME; until [ $(ls pool | wc -l) -ge 3 ]; do sleep 0.1; done; echo all; exec sleep 1000"]
                env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
                volumeMounts: [{name: v, mountPath: /pool}]
                resources: {requests: {cpu: 100m, memory: 32Mi}}
              volumes: [{name: v, persistentVolumeClaim: {claimName: pool}}]
        """;

    [Fact]
    public Task What_is_written_is_there_for_the_next_pod_and_goes_with_the_claim() => RunningPlatform.With(async platform =>
    {
        await platform.Up();
        (await platform.Apply(Manifest)).Succeeds();
        (await platform.RolledOut("db")).Succeeds();
        var first = (await platform.Pods("app=db")).Single();
        Assert.Contains("Bound", (await platform.Kubectl("get", "pvc", "data")).Succeeds().Output, StringComparison.Ordinal);

        (await platform.Kubectl("delete", "pod", (string)first["metadata"]!["name"]!)).Succeeds();
        (await platform.RolledOut("db")).Succeeds();
        var second = (await platform.Pods("app=db")).Single(x => x["metadata"]!["deletionTimestamp"] is null);
        Assert.NotEqual((string)first["metadata"]!["uid"]!, (string)second["metadata"]!["uid"]!);
        Assert.Equal((string)first["spec"]!["nodeName"]!, (string)second["spec"]!["nodeName"]!);
        await RunningPlatform.Until(async () => (await platform.Kubectl("logs", "deployment/db")).Output == "line\n", "the second pod reads what the first wrote");

        // It grows while no pod has it.
        (await platform.Kubectl("patch", "pvc", "data", "-p", """{"spec":{"resources":{"requests":{"storage":"96Mi"}}}}""")).Succeeds();
        (await platform.Kubectl("scale", "deployment/db", "--replicas=0")).Succeeds();
        (await platform.Kubectl("wait", "pvc/data", "--for=jsonpath={.status.capacity.storage}=96Mi", "--timeout=60s")).Succeeds();
        (await platform.Kubectl("scale", "deployment/db", "--replicas=1")).Succeeds();
        (await platform.RolledOut("db")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Kubectl("logs", "deployment/db")).Output == "line\nline\n", "the third pod reads what both wrote");

        // One of its own that several pods use at the same time.
        (await platform.Apply(Shared)).Succeeds();
        (await platform.RolledOut("many")).Succeeds();
        foreach (var pod in await platform.Pods("app=many"))
            await RunningPlatform.Until(async () => (await platform.Kubectl("logs", (string)pod["metadata"]!["name"]!)).Output == "all\n", "each pod sees what all wrote");
        (await platform.Kubectl("delete", "deployment/many", "pvc/pool", "--timeout=60s")).Succeeds();

        (await platform.Kubectl("delete", "deployment/db", "pvc/data", "--timeout=60s")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Get("pv"))["items"] is not JsonArray { Count: > 0 }, "the volume is gone");
        Assert.Empty(Directory.Exists(Path.Combine(platform.Data, "mesos")) ? Directory.EnumerateDirectories(Path.Combine(platform.Data, "mesos"), "pvc-*", SearchOption.AllDirectories) : []);
    });
}
