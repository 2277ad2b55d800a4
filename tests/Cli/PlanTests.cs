using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary><c>declarative plan</c> of manifests with claims, on two nodes with 10 GiB of disk each; nothing of it is stored.</summary>
public sealed class PlanTests(VerbWorld world) : IClassFixture<VerbWorld>
{
    private const string Class = """{"metadata":{"name":"mesos","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"declarative.mesos/persistent-volume"}""";

    private static string Pod(string name, string claim) => $$$"""
        apiVersion: v1
        kind: Pod
        metadata: {name: {{{name}}} }
        spec:
          volumes: [{name: data, persistentVolumeClaim: {claimName: {{{claim}}} }}]
          containers: [{name: main, command: [serve], volumeMounts: [{name: data, mountPath: /data}], resources: {requests: {cpu: "1"} } }]
        """;

    private static string Claim(string name, string size) => $$$"""
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata: {name: {{{name}}} }
        spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: {{{size}}} } } }
        """;

    private const string Set = """
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: db}
        spec:
          replicas: 3
          serviceName: db
          selector: {matchLabels: {app: db}}
          template:
            metadata: {labels: {app: db}}
            spec: {containers: [{name: main, command: [serve], volumeMounts: [{name: data, mountPath: /data}], resources: {requests: {cpu: "1"}}}]}
          volumeClaimTemplates:
          - metadata: {name: data}
            spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 6Gi}}}
        """;

    [Fact]
    public async Task Claims_of_the_manifests_take_their_disk_from_the_room_and_those_of_a_set_are_its_own()
    {
        var verbs = await Nodes();
        var claims = verbs.File(string.Join("\n---\n", Claim("one", "6Gi"), Pod("first", "one"), Claim("two", "6Gi"), Pod("second", "two"), Claim("three", "6Gi"), Pod("third", "three")), "claims.yaml");
        var planned = await verbs.Run("plan", "-f", claims, "-o", "json");
        Assert.Equal((1, ""), (planned.Code, planned.Errors));
        var rows = JsonNode.Parse(planned.Output)!["items"]!.AsArray();
        Assert.Equal(["pod/first", "pod/second", "pod/third"], rows.Select(x => (string)x!["object"]!));
        Assert.Equal(["a", "b"], rows.Take(2).Select(x => (string)x!["placed"]!.AsArray().Single()!["node"]!).Order(StringComparer.Ordinal));
        Assert.Equal(1, (int)rows[2]!["refused"]!);
        Assert.All(rows[2]!["agents"]!.AsArray(), x => Assert.Contains("disk", (string)x!["reasons"]!.AsArray().Single()!["reason"]!, StringComparison.Ordinal));

        var set = await verbs.Run("plan", "-f", verbs.File(Set, "set.yaml"));
        Assert.Equal(1, set.Code);
        Assert.StartsWith("statefulset.apps/db: 3 pods\n  1 on a\n  1 on b\n  1 does not fit: ", set.Output, StringComparison.Ordinal);
        Assert.EndsWith("nothing was changed\n", set.Output, StringComparison.Ordinal);
        Assert.Empty((await world.Server.Admin.List(new(Kind.PersistentVolumeClaim, verbs.Namespace), TestContext.Current.CancellationToken)).Items);
        Assert.Empty((await world.Server.Admin.List(new(Kind.Pod, verbs.Namespace), TestContext.Current.CancellationToken)).Items);
    }

    [Fact]
    public async Task A_stored_claim_draws_its_pod_to_its_volume_and_a_missing_one_refuses_it()
    {
        var verbs = await Nodes();
        await Create(Kind.PersistentVolumeClaim, verbs.Namespace, "kept", """{"metadata":{"name":"kept"},"spec":{"storageClassName":"mesos","volumeName":"kept","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}""", """{"status":{"phase":"Bound"}}""");
        await Create(Kind.PersistentVolume, "", "kept", """
            {"metadata":{"name":"kept","annotations":{"declarative.mesos/volume":"created"}},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"storageClassName":"mesos",
             "csi":{"driver":"declarative.mesos","volumeHandle":"kept","volumeAttributes":{"agent":"S1","node":"b"}}}}
            """);
        var there = await verbs.Run("plan", "-f", verbs.File(Pod("there", "kept")));
        Assert.Equal((0, "pod/there: 1 pod\n  1 on b\nnothing was changed\n", ""), (there.Code, there.Output, there.Errors));

        var nowhere = await verbs.Run("plan", "-f", verbs.File(Pod("nowhere", "nope")));
        Assert.Equal(1, nowhere.Code);
        Assert.Contains("persistentvolumeclaim \"nope\" not found", nowhere.Output, StringComparison.Ordinal);

        // A Lost claim has nothing to go to any more.
        await world.Server.Admin.Patch(ResourceKey.Of(Kind.PersistentVolumeClaim, verbs.Namespace, "kept"), PatchKind.Merge, """{"status":{"phase":"Lost"}}"""u8.ToArray(), new() { Subresource = "status" }, TestContext.Current.CancellationToken);
        Assert.Contains("persistentvolumeclaim \"kept\" has lost its volume kept", (await verbs.Run("plan", "-f", verbs.File(Pod("there", "kept")))).Output, StringComparison.Ordinal);
    }

    private async Task<VerbRunner> Nodes()
    {
        await Create(Kind.StorageClass, "", "mesos", Class);
        foreach (var (node, agent) in ((string, string)[])[("a", "S0"), ("b", "S1")])
        {
            await Create(Kind.Node, "", node, $$$"""{"metadata":{"name":"{{{node}}}","labels":{"kubernetes.io/hostname":"{{{node}}}"} },"spec":{"providerID":"mesos://{{{agent}}}"} }""",
                """{"status":{"capacity":{"cpu":"8","memory":"8Gi","ephemeral-storage":"10Gi"},"conditions":[{"type":"Ready","status":"True"}]}}""");
        }
        return await world.InNamespace("plan");
    }

    /// <summary>Once for all tests of the class where it has no namespace.</summary>
    private async Task Create(Kind kind, string ns, string name, string json, string status = "")
    {
        var key = ResourceKey.Of(kind, ns, name);
        try
        {
            await world.Server.Admin.Create(key, Encoding.UTF8.GetBytes(json));
        }
        catch (ApiException e) when (e.Status.Code == 409)
        {
            return;
        }
        if (status.Length > 0) await world.Server.Admin.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes(status), new() { Subresource = "status" });
    }
}
