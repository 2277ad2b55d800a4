using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.DaemonSets;
using Declarative.Controllers.StatefulSets;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>StatefulSets and DaemonSets on an API server in this process.</summary>
public sealed class SetsTests
{
    private static string Set(int replicas, string more = "") => $$$"""
        {"metadata":{"name":"db"},"spec":{"replicas":{{{replicas}}},"serviceName":"db","selector":{"matchLabels":{"app":"db"}}{{{more}}},
         "template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"c","command":["serve"],"env":[{"name":"VERSION","value":"1"}]}]} } } }
        """;

    private const string Version2 = """{"spec":{"template":{"spec":{"containers":[{"name":"c","command":["serve"],"env":[{"name":"VERSION","value":"2"}]}]}}}}""";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static string[] Names(Cluster cluster) => [.. cluster.Pods.Select(x => x.Name)];

    private static string Version(Pod pod) => pod.Spec.Containers[0].Env[0].Value;

    private static async Task<StatefulSet> Db(Cluster cluster) => (await cluster.Find(Kind.StatefulSet, "db", StatefulSet.Read))!;

    [Fact]
    public async Task The_next_ordinal_waits_until_those_before_are_ready_and_the_last_goes_first()
    {
        await using var cluster = await Cluster.Start(StatefulSetController.Run);
        cluster.Kubelet.BecomesReady = x => x.Name != "db-1";
        await cluster.Apply(Kind.StatefulSet, "db", Set(3));
        await cluster.Until(() => cluster.Pods.Any(x => x is { Name: "db-1", Status.Phase: "Running" }), "db-1 runs, unready");
        Assert.Equal(["db-0", "db-1"], Names(cluster));
        cluster.Kubelet.BecomesReady = _ => true;
        cluster.Kubelet.Again();
        await Eventually.Async(async () => await Db(cluster) is { Status: { ReadyReplicas: 3, CurrentReplicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3 } }, "three ready");
        var pod = cluster.Pods[2];
        Assert.Equal(("db-2", "db", "db-2", "2"), (pod.Spec.Hostname, pod.Spec.Subdomain, pod.Metadata.Labels[StatefulSet.PodNameLabel], pod.Metadata.Labels[StatefulSet.PodIndexLabel]));
        // While the last is going no other goes.
        cluster.Kubelet.Ends = x => x.Name != "db-2";
        await cluster.Merge(Kind.StatefulSet, "db", """{"spec":{"replicas":1}}""");
        await cluster.Until(() => cluster.Pods.Any(x => x.Metadata.IsDeleting), "db-2 is going");
        Assert.Equal(["db-2"], cluster.Pods.Where(x => x.Metadata.IsDeleting).Select(x => x.Name));
        cluster.Kubelet.Ends = _ => true;
        cluster.Kubelet.Again();
        await cluster.Until(() => Names(cluster) is ["db-0"], "db-0 is left");
    }

    [Fact]
    public async Task A_partition_keeps_the_lower_ordinals_and_history_leads_back()
    {
        await using var cluster = await Cluster.Start(StatefulSetController.Run);
        await cluster.Apply(Kind.StatefulSet, "db", Set(3, ""","podManagementPolicy":"Parallel","ordinals":{"start":5},"updateStrategy":{"rollingUpdate":{"partition":2}}"""));
        await Eventually.Async(async () => (await Db(cluster)).Status.ReadyReplicas == 3, "three ready");
        Assert.Equal(["db-5", "db-6", "db-7"], Names(cluster));
        var first = (await Db(cluster)).Status.CurrentRevision;
        await cluster.Merge(Kind.StatefulSet, "db", Version2);
        await Eventually.Async(async () => (await Db(cluster)).Status is { UpdatedReplicas: 1, ReadyReplicas: 3 }, "one is updated");
        Assert.Equal(["1", "1", "2"], cluster.Pods.Select(Version));
        // Made again below the partition, it is what it was.
        await cluster.Delete(Kind.Pod, "db-5");
        var gone = cluster.Pods[0].Uid;
        await cluster.Until(() => cluster.Pods.Count == 3 && cluster.Pods[0] is { IsReady: true } pod && pod.Uid != gone, "db-5 is there again");
        Assert.Equal("1", Version(cluster.Pods[0]));
        await cluster.Merge(Kind.StatefulSet, "db", """{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}""");
        await Eventually.Async(async () => (await Db(cluster)).Status is { UpdatedReplicas: 3, ReadyReplicas: 3 } status && status.CurrentRevision == status.UpdateRevision, "all are updated");
        var revisions = (await cluster.Api.List(new(Kind.ControllerRevision, "default"), Stop)).Items.Select(x => JsonNode.Parse(x.Json.Span)!).ToList();
        Assert.Equal(2, revisions.Count);
        var data = revisions.Single(x => (string)x["metadata"]!["name"]! == first)["data"]!;
        await cluster.Api.Patch(ResourceKey.Of(Kind.StatefulSet, "default", "db"), PatchKind.Strategic, System.Text.Encoding.UTF8.GetBytes(data.ToJsonString()), stop: Stop);
        await Eventually.Async(async () => (await Db(cluster)).Status is { UpdatedReplicas: 3, ReadyReplicas: 3 } status && status.CurrentRevision == first, "the first revision is back");
        Assert.All(cluster.Pods, x => Assert.Equal("1", Version(x)));
        Assert.Equal(2, (await cluster.Api.List(new(Kind.ControllerRevision, "default"), Stop)).Items.Count);
    }

    [Fact]
    public async Task Claims_are_made_once_and_go_only_where_that_is_asked_for()
    {
        const string Claims = ""","volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}],"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete"}""";
        await using var cluster = await Cluster.Start(StatefulSetController.Run);
        await cluster.Apply(Kind.StatefulSet, "db", Set(2, Claims));
        await Eventually.Async(async () => (await Db(cluster)).Status.ReadyReplicas == 2, "two ready");
        Assert.Equal("data-db-1", (string?)JsonNode.Parse((await cluster.Api.Get(ResourceKey.Of(Kind.Pod, "default", "db-1"), stop: Stop)).Json.Span)!["spec"]!["volumes"]![0]!["persistentVolumeClaim"]!["claimName"]);
        var uid = cluster.Pods[1].Uid;
        await cluster.Merge(Kind.StatefulSet, "db", """{"spec":{"replicas":1}}""");
        await cluster.Until(() => Names(cluster) is ["db-0"], "one is left");
        Assert.Equal(uid, (await cluster.Find(Kind.PersistentVolumeClaim, "data-db-1", ApiObject.Read))!.Metadata.OwnerReferences.Single().Uid);
        Assert.Empty((await cluster.Find(Kind.PersistentVolumeClaim, "data-db-0", ApiObject.Read))!.Metadata.OwnerReferences);
    }

    [Fact]
    public async Task Daemons_follow_nodes_and_taints_and_are_replaced_one_by_one()
    {
        await using var cluster = await Cluster.Start(DaemonSetController.Run);
        foreach (var name in (string[])["a", "b"]) await cluster.Apply(Kind.Node, name, "{\"metadata\":{\"name\":\"" + name + "\"}}", "");
        await cluster.Apply(Kind.Node, "c", """{"metadata":{"name":"c"},"spec":{"taints":[{"key":"only","value":"others","effect":"NoSchedule"}]}}""", "");
        await cluster.Apply(Kind.DaemonSet, "db", Set(1).Replace("\"replicas\":1,\"serviceName\":\"db\",", "", StringComparison.Ordinal));
        await Status(x => x is { DesiredNumberScheduled: 2, NumberAvailable: 2, UpdatedNumberScheduled: 2 }, "two run");
        Assert.Equal(["a", "b"], cluster.Pods.Select(Target).Order(StringComparer.Ordinal));
        Assert.All(cluster.Pods, x => Assert.Contains(x.Spec.Tolerations, y => y.Key == "node.kubernetes.io/unschedulable"));
        // Cordoned nodes keep theirs, new nodes get one.
        await cluster.Merge(Kind.Node, "a", """{"spec":{"unschedulable":true}}""", "");
        await cluster.Apply(Kind.Node, "d", """{"metadata":{"name":"d"}}""", "");
        await Status(x => x is { DesiredNumberScheduled: 3, NumberAvailable: 3 }, "three run");
        // One at a time: with a new one that does not become ready the others stay.
        cluster.Kubelet.BecomesReady = x => Version(x) == "1";
        await cluster.Merge(Kind.DaemonSet, "db", Version2);
        await Status(x => x is { UpdatedNumberScheduled: 1, NumberUnavailable: 1 }, "one is being updated");
        Assert.Equal(2, cluster.Pods.Count(x => Version(x) == "1" && x.IsReady));
        cluster.Kubelet.BecomesReady = _ => true;
        cluster.Kubelet.Again();
        await Status(x => x is { UpdatedNumberScheduled: 3, NumberAvailable: 3 }, "all are updated");
        await cluster.Merge(Kind.Node, "b", """{"spec":{"taints":[{"key":"sick","effect":"NoExecute"}]}}""", "");
        await Status(x => x is { DesiredNumberScheduled: 2, NumberAvailable: 2, NumberMisscheduled: 0 }, "b is left");
        Assert.Equal(["a", "d"], cluster.Pods.Select(Target).Order(StringComparer.Ordinal));

        Task Status(Func<DaemonSetStatus, bool> condition, string what) =>
            Eventually.Async(async () => await cluster.Find(Kind.DaemonSet, "db", DaemonSet.Read) is { } set && set.Status.ObservedGeneration == set.Metadata.Generation && condition(set.Status), what);

        static string Target(Pod pod) => pod.Spec.Affinity!.NodeAffinity!.RequiredDuringSchedulingIgnoredDuringExecution!.NodeSelectorTerms[0].MatchFields[0].Values[0];
    }
}
