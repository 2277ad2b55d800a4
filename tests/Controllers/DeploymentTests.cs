using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Controllers.Deployments;
using Declarative.Controllers.ReplicaSets;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>Deployments end to end on an API server in this process.</summary>
public sealed class DeploymentTests
{
    private static Task<Cluster> Start() => Cluster.Start(DeploymentController.Run, ReplicaSetController.Run);

    private static string Version(Pod pod) => pod.Spec.Containers[0].Env[0].Value;

    private static bool IsRolledOut(Cluster cluster, int replicas, string version) =>
        cluster.Deployments.Get("default", "web") is { } web
        && web.Status.ObservedGeneration >= web.Metadata.Generation
        && web.Status.UpdatedReplicas == replicas && web.Status.Replicas == replicas && web.Status.AvailableReplicas == replicas
        && web.Status.Conditions.Any(x => x is { Type: "Progressing", Status: "True", Reason: "NewReplicaSetAvailable" })
        && cluster.Pods.Count == replicas && cluster.Pods.All(x => Version(x) == version && x.IsReady);

    [Fact]
    public async Task A_deployment_becomes_pods_made_field_for_field()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(3));
        await cluster.Until(() => IsRolledOut(cluster, 3, "1"), "3 pods");

        var set = Assert.Single(cluster.Sets.List());
        var hash = set.Metadata.Labels["pod-template-hash"];
        Assert.Equal($"web-{hash}", set.Name);
        Assert.Equal("1", set.Metadata.Annotations["deployment.kubernetes.io/revision"]);
        Assert.Equal("a", set.Metadata.Annotations["team"]);
        Assert.Equal("1", cluster.Deployments.Get("default", "web")!.Metadata.Annotations["deployment.kubernetes.io/revision"]);
        Assert.All(cluster.Pods, pod =>
        {
            Assert.StartsWith(set.Name + "-", pod.Name);
            Assert.Equal(hash, pod.Metadata.Labels["pod-template-hash"]);
            Assert.Equal("kept", pod.Metadata.Annotations["note"]);
            Assert.Equal("http", pod.Spec.Containers[0].Ports[0].Name);
            Assert.Equal(set.Uid, pod.Metadata.Controller!.Uid);
        });
    }

    [Fact]
    public async Task Scaling_goes_up_and_down()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(3));
        await cluster.Until(() => IsRolledOut(cluster, 3, "1"), "3 pods");
        await cluster.Merge(Kind.Deployment, "web", """{"spec":{"replicas":10}}""");
        await cluster.Until(() => IsRolledOut(cluster, 10, "1"), "10 pods");
        await cluster.Merge(Kind.Deployment, "web", """{"spec":{"replicas":1}}""");
        await cluster.Until(() => IsRolledOut(cluster, 1, "1"), "1 pod");
        await cluster.Merge(Kind.Deployment, "web", """{"spec":{"replicas":0}}""");
        await cluster.Until(() => IsRolledOut(cluster, 0, "1"), "no pod");
    }

    [Fact]
    public async Task A_new_template_rolls_out_and_undo_brings_the_old_set_back_as_the_newest_revision()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(4));
        await cluster.Until(() => IsRolledOut(cluster, 4, "1"), "version 1");
        var first = cluster.Sets.List()[0].Name;
        await cluster.Merge(Kind.Deployment, "web", Cluster.NewVersion("2"));
        await cluster.Until(() => IsRolledOut(cluster, 4, "2"), "version 2");
        Assert.Equal(2, cluster.Sets.Count);
        Assert.Equal("2", cluster.Deployments.Get("default", "web")!.Metadata.Annotations["deployment.kubernetes.io/revision"]);

        await cluster.Merge(Kind.Deployment, "web", Cluster.NewVersion("1"));
        await cluster.Until(() => IsRolledOut(cluster, 4, "1"), "version 1 again");
        Assert.Equal(2, cluster.Sets.Count);
        var set = cluster.Sets.Get("default", first)!;
        Assert.Equal("3", set.Metadata.Annotations["deployment.kubernetes.io/revision"]);
        Assert.Equal("1", set.Metadata.Annotations["deployment.kubernetes.io/revision-history"]);
        Assert.Equal(4, set.Spec.Replicas);
    }

    [Fact]
    public async Task While_paused_nothing_rolls_out_but_it_scales()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(2));
        await cluster.Until(() => IsRolledOut(cluster, 2, "1"), "version 1");
        await cluster.Merge(Kind.Deployment, "web", """{"spec":{"paused":true}}""");
        await cluster.Merge(Kind.Deployment, "web", Cluster.NewVersion("2"));
        await cluster.Merge(Kind.Deployment, "web", """{"spec":{"replicas":5}}""");
        await cluster.Until(() => cluster.Pods.Count == 5 && cluster.Pods.All(x => x.IsReady && Version(x) == "1")
            && cluster.Deployments.Get("default", "web")!.Status.Conditions.Any(x => x is { Type: "Progressing", Reason: "DeploymentPaused" }), "5 pods of version 1");
        Assert.Single(cluster.Sets.List());
        await cluster.Merge(Kind.Deployment, "web", """{"spec":{"paused":false}}""");
        await cluster.Until(() => IsRolledOut(cluster, 5, "2"), "version 2");
    }

    [Fact]
    public async Task Recreate_starts_no_pod_before_the_last_old_one_is_gone()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(3, more: ""","strategy":{"type":"Recreate"}"""));
        await cluster.Until(() => IsRolledOut(cluster, 3, "1"), "version 1");
        cluster.Kubelet.Ends = _ => false;
        await cluster.Merge(Kind.Deployment, "web", Cluster.NewVersion("2"));
        await cluster.Until(() => cluster.Pods.All(x => x.Metadata.IsDeleting), "old pods marked");
        await cluster.Until(() => cluster.Deployments.Get("default", "web")!.Status is { Replicas: 0 }, "status without replicas");
        Assert.DoesNotContain(cluster.Pods, x => Version(x) == "2");
        cluster.Kubelet.Ends = _ => true;
        cluster.Kubelet.Again();
        await cluster.Until(() => IsRolledOut(cluster, 3, "2"), "version 2");
    }

    [Fact]
    public async Task A_rollout_that_never_becomes_ready_keeps_the_old_pods_and_runs_into_its_deadline()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(4, more: ""","progressDeadlineSeconds":2,"strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":1}}"""));
        await cluster.Until(() => IsRolledOut(cluster, 4, "1"), "version 1");
        cluster.Kubelet.BecomesReady = x => Version(x) == "1";
        await cluster.Merge(Kind.Deployment, "web", Cluster.NewVersion("2"));
        await cluster.Until(() => cluster.Deployments.Get("default", "web")!.Status.Conditions
            .Any(x => x is { Type: "Progressing", Status: "False", Reason: "ProgressDeadlineExceeded" }), "deadline exceeded");
        Assert.Equal(3, cluster.Pods.Count(x => x.IsReady && Version(x) == "1"));
        Assert.Equal(2, cluster.Pods.Count(x => Version(x) == "2"));
        Assert.Contains(cluster.Deployments.Get("default", "web")!.Status.Conditions, x => x is { Type: "Available", Status: "True" });
    }

    [Fact]
    public async Task Old_sets_beyond_the_history_limit_are_deleted()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(1, more: ""","revisionHistoryLimit":1"""));
        await cluster.Until(() => IsRolledOut(cluster, 1, "1"), "version 1");
        for (var version = 2; version <= 4; version++)
        {
            await cluster.Merge(Kind.Deployment, "web", Cluster.NewVersion(version.ToString()));
            await cluster.Until(() => IsRolledOut(cluster, 1, version.ToString()), $"version {version}");
        }
        await cluster.Until(() => cluster.Sets.Count == 2, "one old set");
        Assert.Equal(["3", "4"], cluster.Sets.List().Select(x => x.Metadata.Annotations["deployment.kubernetes.io/revision"]).Order());
    }

    [Fact]
    public async Task A_set_lets_pods_go_and_takes_them_in_by_their_labels()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(2));
        await cluster.Until(() => IsRolledOut(cluster, 2, "1"), "2 pods");
        var pod = cluster.Pods[0];
        await cluster.Merge(Kind.Pod, pod.Name, """{"metadata":{"labels":{"app":"debug"}}}""");
        await cluster.Until(() => cluster.Pods.Count == 3 && cluster.Kubelet.Pods.Get("default", pod.Name)!.Metadata.Controller is null, "released and replaced");
        await cluster.Merge(Kind.Pod, pod.Name, """{"metadata":{"labels":{"app":"web"}}}""");
        await cluster.Until(() => cluster.Pods.Count == 2 && cluster.Pods.All(x => x.Metadata.Controller is not null), "adopted and one too many removed");
    }

    [Fact]
    public async Task A_finished_pod_is_replaced()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(2));
        await cluster.Until(() => IsRolledOut(cluster, 2, "1"), "2 pods");
        await cluster.Kubelet.SetPhase(cluster.Pods[0], "Failed", ready: false);
        await cluster.Until(() => cluster.Pods.Count(x => x.IsReady) == 2 && cluster.Pods.Count == 3, "replaced");
    }
}
