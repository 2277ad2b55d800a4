using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Wire;
using Declarative.Controllers.Deployments;
using Declarative.Controllers.GarbageCollection;
using Declarative.Controllers.Namespaces;
using Declarative.Controllers.ReplicaSets;
using Declarative.Tests.ApiServer.CustomResources;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>Garbage collection and namespace deletion end to end on an API server in this process.</summary>
public sealed class GarbageTests
{
    private static Task<Cluster> Start() => Cluster.Start(DeploymentController.Run, ReplicaSetController.Run, GarbageController.Run, NamespaceController.Run);

    private static async Task<Cluster> StartWithWeb(int replicas)
    {
        var cluster = await Start();
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(replicas));
        await cluster.Until(() => cluster.Pods.Count(x => x.IsReady) == replicas, "pods ready");
        return cluster;
    }

    private static async Task Until(Func<Task<bool>> condition, string what)
    {
        var end = DateTime.UtcNow.AddSeconds(30);
        while (!await condition())
        {
            Assert.True(DateTime.UtcNow < end, what);
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    private static string Map(string name, string owner, string uid, bool blocks = false, string finalizers = "") => $$"""
        {"metadata":{"name":"{{name}}","finalizers":[{{finalizers}}],
         "ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"{{owner}}","uid":"{{uid}}","blockOwnerDeletion":{{(blocks ? "true" : "false")}} }] } }
        """;

    [Fact]
    public async Task In_the_background_everything_below_a_deployment_goes()
    {
        await using var cluster = await StartWithWeb(3);
        await cluster.Delete(Kind.Deployment, "web");
        await cluster.Until(() => cluster.Pods.Count == 0 && cluster.Sets.Count == 0, "nothing left");
    }

    [Fact]
    public async Task In_the_foreground_a_deployment_stays_until_its_pods_are_gone()
    {
        await using var cluster = await StartWithWeb(2);
        cluster.Kubelet.Ends = _ => false;
        await cluster.Delete(Kind.Deployment, "web", new() { Propagation = Propagation.Foreground });
        await cluster.Until(() => cluster.Pods.Count == 2 && cluster.Pods.All(x => x.Metadata.IsDeleting), "pods on their way out");
        Assert.NotNull(await cluster.Find(Kind.Deployment, "web", Deployment.Read));
        cluster.Kubelet.Ends = _ => true;
        cluster.Kubelet.Again();
        await cluster.Until(() => cluster.Pods.Count == 0 && cluster.Sets.Count == 0 && cluster.Deployments.Count == 0, "nothing left");
    }

    [Fact]
    public async Task Orphans_stay_and_are_adopted_by_the_next_deployment()
    {
        await using var cluster = await StartWithWeb(2);
        var uids = cluster.Pods.Select(x => x.Uid).Order().ToList();
        await cluster.Delete(Kind.Deployment, "web", new() { Propagation = Propagation.Orphan });
        await cluster.Until(() => cluster.Deployments.Count == 0 && cluster.Sets.List().All(x => x.Metadata.Controller is null), "orphaned");
        Assert.Equal(uids, cluster.Pods.Select(x => x.Uid).Order());
        var made = await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(2));
        await cluster.Until(() => cluster.Sets.List().Any(x => x.Metadata.Controller?.Uid == made.Uid), "adopted");
        Assert.Equal(uids, cluster.Pods.Select(x => x.Uid).Order());
    }

    [Fact]
    public async Task An_owner_of_the_same_name_but_another_uid_owns_nothing()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.ConfigMap, "owner", """{"metadata":{"name":"owner"}}""");
        await cluster.Apply(Kind.ConfigMap, "owned", Map("owned", "owner", "no-such-uid"));
        await Until(async () => await cluster.Find(Kind.ConfigMap, "owned", ConfigMap.Read) is null, "collected");
        Assert.NotNull(await cluster.Find(Kind.ConfigMap, "owner", ConfigMap.Read));
    }

    [Fact]
    public async Task With_one_owner_left_only_the_reference_to_the_other_goes()
    {
        await using var cluster = await Start();
        var a = await cluster.Apply(Kind.ConfigMap, "a", """{"metadata":{"name":"a"}}""");
        var b = await cluster.Apply(Kind.ConfigMap, "b", """{"metadata":{"name":"b"}}""");
        await cluster.Apply(Kind.ConfigMap, "owned", $$"""
            {"metadata":{"name":"owned","ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"a","uid":"{{a.Uid}}"},{"apiVersion":"v1","kind":"ConfigMap","name":"b","uid":"{{b.Uid}}"}] } }
            """);
        await cluster.Delete(Kind.ConfigMap, "a");
        await Until(async () => (await cluster.Find(Kind.ConfigMap, "owned", ConfigMap.Read))!.Metadata.OwnerReferences.Select(x => x.Name).SequenceEqual(["b"]), "one reference");
        await cluster.Delete(Kind.ConfigMap, "b");
        await Until(async () => await cluster.Find(Kind.ConfigMap, "owned", ConfigMap.Read) is null, "collected");
    }

    [Fact]
    public async Task Foreground_waits_only_for_dependents_that_block()
    {
        await using var cluster = await Start();
        var owner = await cluster.Apply(Kind.ConfigMap, "owner", """{"metadata":{"name":"owner"}}""");
        await cluster.Apply(Kind.ConfigMap, "blocks", Map("blocks", "owner", owner.Uid, blocks: true, finalizers: "\"example.com/hold\""));
        await cluster.Apply(Kind.ConfigMap, "held", Map("held", "owner", owner.Uid, blocks: false, finalizers: "\"example.com/hold\""));
        await cluster.Delete(Kind.ConfigMap, "owner", new() { Propagation = Propagation.Foreground });
        await Until(async () => (await cluster.Find(Kind.ConfigMap, "blocks", ConfigMap.Read))!.Metadata.IsDeleting
            && (await cluster.Find(Kind.ConfigMap, "held", ConfigMap.Read))!.Metadata.IsDeleting, "both marked");
        Assert.NotNull(await cluster.Find(Kind.ConfigMap, "owner", ConfigMap.Read));
        await cluster.Merge(Kind.ConfigMap, "blocks", """{"metadata":{"finalizers":null}}""");
        await Until(async () => await cluster.Find(Kind.ConfigMap, "owner", ConfigMap.Read) is null, "the owner goes");
        Assert.NotNull(await cluster.Find(Kind.ConfigMap, "held", ConfigMap.Read));
    }

    [Fact]
    public async Task Objects_of_a_kind_that_a_definition_makes_own_and_are_owned_and_go_with_their_namespace()
    {
        await using var cluster = await Start();
        var kind = new Kind { Group = "stable.example.com", Version = "v1", Plural = "crontabs", Name = "CronTab", Namespaced = true };
        await cluster.Apply(Kind.CustomResourceDefinition, "crontabs.stable.example.com", Json(CronTab.Definition), "");
        await cluster.Apply(Kind.Namespace, "shop", """{"metadata":{"name":"shop"}}""", "");
        var map = await cluster.Apply(Kind.ConfigMap, "owner", """{"metadata":{"name":"owner"}}""");
        var tab = await cluster.Apply(kind, "nightly", Owned("nightly", "v1", "ConfigMap", "owner", map.Uid));
        await cluster.Apply(Kind.ConfigMap, "below", $$"""
            {"metadata":{"name":"below","ownerReferences":[{"apiVersion":"stable.example.com/v1beta1","kind":"CronTab","name":"nightly","uid":"{{tab.Uid}}"}] } }
            """);
        await cluster.Apply(kind, "other", Json(CronTab.Object.Replace("nightly", "other", StringComparison.Ordinal)), "shop");

        await cluster.Delete(Kind.ConfigMap, "owner", new() { Propagation = Propagation.Foreground });
        await Until(async () => await cluster.Find(Kind.ConfigMap, "owner", ConfigMap.Read) is null, "the owner is gone");
        // The kind is so new that its objects may not have been seen when the owner went: then they go after it.
        await Until(async () => await cluster.Find(kind, "nightly", ApiObject.Read) is null, "the custom object is gone");
        await Until(async () => await cluster.Find(Kind.ConfigMap, "below", ConfigMap.Read) is null, "what the custom object owned is gone");

        await cluster.Delete(Kind.Namespace, "shop", ns: "");
        await Until(async () => await cluster.Find(Kind.Namespace, "shop", Namespace.Read, "") is null, "the namespace is gone");
        Assert.Null(await cluster.Find(kind, "other", ApiObject.Read, "shop"));

        await cluster.Delete(Kind.CustomResourceDefinition, "crontabs.stable.example.com", ns: "");
        await Until(async () => await cluster.Find(Kind.CustomResourceDefinition, "crontabs.stable.example.com", ApiObject.Read, "") is null, "the definition is gone");
        var plain = await cluster.Apply(Kind.ConfigMap, "plain", """{"metadata":{"name":"plain"}}""");
        await cluster.Apply(Kind.ConfigMap, "blocks", Map("blocks", "plain", plain.Uid, blocks: true));
        await cluster.Delete(Kind.ConfigMap, "plain", new() { Propagation = Propagation.Foreground });
        await Until(async () => await cluster.Find(Kind.ConfigMap, "plain", ConfigMap.Read) is null, "collection goes on without the kind");

        static string Json(string yaml) => Encoding.UTF8.GetString(Yaml.ToJson(Encoding.UTF8.GetBytes(yaml)));

        static string Owned(string name, string apiVersion, string ownerKind, string owner, string uid) => Json(CronTab.Object.Replace("{name: nightly}",
            $"{{name: {name}, ownerReferences: [{{apiVersion: {apiVersion}, kind: {ownerKind}, name: {owner}, uid: {uid}, blockOwnerDeletion: true}}]}}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_namespace_goes_with_everything_in_it()
    {
        await using var cluster = await Start();
        await cluster.Apply(Kind.Namespace, "shop", """{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}""", "");
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(2), "shop");
        await cluster.Apply(Kind.ConfigMap, "held", """{"metadata":{"name":"held","finalizers":["example.com/hold"]}}""", "shop");
        await cluster.Apply(Kind.ConfigMap, "stays", """{"metadata":{"name":"stays"}}""");
        await cluster.Until(() => cluster.Pods.Count(x => x.IsReady) == 2, "running");
        await cluster.Delete(Kind.Namespace, "shop", ns: "");
        await Until(async () => (await cluster.Find(Kind.Namespace, "shop", Namespace.Read, ""))!.Status.Conditions
            .Any(x => x is { Type: "NamespaceFinalizersRemaining", Status: "True" } && x.Message.Contains("example.com/hold in 1")), "the condition names what holds it");
        Assert.Equal("Terminating", (await cluster.Find(Kind.Namespace, "shop", Namespace.Read, ""))!.Status.Phase);
        await cluster.Until(() => cluster.Pods.Count == 0 && cluster.Sets.Count == 0 && cluster.Deployments.Count == 0, "workloads gone");
        await cluster.Merge(Kind.ConfigMap, "held", """{"metadata":{"finalizers":null}}""", "shop");
        await Until(async () => await cluster.Find(Kind.Namespace, "shop", Namespace.Read, "") is null, "the namespace is gone");
        Assert.NotNull(await cluster.Find(Kind.ConfigMap, "stays", ConfigMap.Read));
    }
}
