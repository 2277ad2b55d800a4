using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Deployments;
using Declarative.Controllers.Disruption;
using Declarative.Controllers.ReplicaSets;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>Budgets, their status, and the evictions that they allow and refuse, on an API server in this process.</summary>
public sealed class DisruptionTests
{
    private static async Task<Cluster> StartWithWeb(int replicas, string budget)
    {
        var cluster = await Cluster.Start(DeploymentController.Run, ReplicaSetController.Run, DisruptionController.Run);
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(replicas));
        await cluster.Until(() => cluster.Pods.Count(x => x.IsReady) == replicas, "pods ready");
        await cluster.Apply(Kind.PodDisruptionBudget, "web", $$$"""{"metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"app":"web"}},{{{budget}}} } }""");
        return cluster;
    }

    private static Task<Stored> Evict(Cluster cluster, string pod, bool dryRun = false) => cluster.Api.Create(
        ResourceKey.Of(Kind.Pod, "default", pod), Encoding.UTF8.GetBytes($$"""{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"{{pod}}"} }"""),
        new() { Subresource = "eviction", DryRun = dryRun }, TestContext.Current.CancellationToken);

    private static async Task Until(Cluster cluster, string expected)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await foreach (var change in cluster.Api.Watch(new(Kind.PodDisruptionBudget) { From = 0 }, limit.Token))
        {
            if (change.Object is { } stored && Text(PodDisruptionBudget.Read(stored.Json).Status) == expected) return;
        }
        Assert.Fail($"the budget's status did not become {expected}");
    }

    private static string Text(PodDisruptionBudgetStatus x) =>
        $"{x.CurrentHealthy}/{x.ExpectedPods} healthy, {x.DesiredHealthy} wanted, {x.DisruptionsAllowed} allowed, {x.Conditions.FirstOrDefault()?.Reason}";

    [Theory]
    [InlineData("\"minAvailable\":2", "3/3 healthy, 2 wanted, 1 allowed, SufficientPods")]
    [InlineData("\"minAvailable\":3", "3/3 healthy, 3 wanted, 0 allowed, InsufficientPods")]
    [InlineData("\"minAvailable\":\"50%\"", "3/3 healthy, 2 wanted, 1 allowed, SufficientPods")]
    [InlineData("\"maxUnavailable\":\"50%\"", "3/3 healthy, 1 wanted, 2 allowed, SufficientPods")]
    [InlineData("\"maxUnavailable\":0", "3/3 healthy, 3 wanted, 0 allowed, InsufficientPods")]
    public async Task The_status_counts(string budget, string status)
    {
        await using var cluster = await StartWithWeb(3, budget);
        await Until(cluster, status);
    }

    [Fact]
    public async Task A_pod_without_a_controller_has_no_expected_number()
    {
        await using var cluster = await StartWithWeb(1, "\"maxUnavailable\":1");
        await cluster.Apply(Kind.Pod, "alone", """{"metadata":{"name":"alone","labels":{"app":"web"}},"spec":{"containers":[{"name":"c","command":["serve"]}]} }""");
        await Until(cluster, "2/0 healthy, 0 wanted, 0 allowed, SyncFailed");
        var refused = await Assert.ThrowsAsync<ApiException>(() => Evict(cluster, "alone"));
        Assert.Equal("The disruption budget web does not allow evicting pods currently because it failed sync: found no controller ref for pod \"alone\"", Assert.Single(refused.Status.Causes).Message);
    }

    [Fact]
    public async Task As_many_are_evicted_as_the_budget_allows_until_others_are_ready()
    {
        await using var cluster = await StartWithWeb(3, "\"minAvailable\":2");
        await Until(cluster, "3/3 healthy, 2 wanted, 1 allowed, SufficientPods");
        cluster.Kubelet.Ends = _ => false;
        cluster.Kubelet.BecomesReady = pod => cluster.Kubelet.Pods.List().Count(x => x.IsReady) > 3 || pod.IsReady;
        var (first, second) = (cluster.Pods[0].Name, cluster.Pods[1].Name);

        await Evict(cluster, first, dryRun: true);
        await Evict(cluster, first);
        var refused = await Assert.ThrowsAsync<ApiException>(() => Evict(cluster, second));
        Assert.Equal((429, StatusReason.TooManyRequests), (refused.Code, refused.Status.Reason));
        Assert.Equal("Cannot evict pod as it would violate the pod's disruption budget.", refused.Status.Message);
        var cause = Assert.Single(refused.Status.Causes);
        Assert.Equal("DisruptionBudget", cause.Reason);
        Assert.StartsWith("The disruption budget web needs 2 healthy pods and has ", cause.Message, StringComparison.Ordinal);
        Assert.False(cluster.Pods.Single(x => x.Name == second).Metadata.IsDeleting);
        await Evict(cluster, first); // it goes already

        cluster.Kubelet.Ends = _ => true;
        cluster.Kubelet.BecomesReady = _ => true;
        cluster.Kubelet.Again();
        await Until(cluster, "3/3 healthy, 2 wanted, 1 allowed, SufficientPods");
        await Evict(cluster, second);
    }

    [Fact]
    public async Task Two_budgets_for_a_pod_are_an_error_and_a_pod_that_does_not_run_needs_none()
    {
        await using var cluster = await StartWithWeb(1, "\"minAvailable\":1");
        await cluster.Apply(Kind.PodDisruptionBudget, "all", """{"metadata":{"name":"all"},"spec":{"selector":{},"minAvailable":1} }""");
        var refused = await Assert.ThrowsAsync<ApiException>(() => Evict(cluster, cluster.Pods[0].Name));
        Assert.Equal((500, "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."), (refused.Code, refused.Status.Message));
        await cluster.Kubelet.SetPhase(cluster.Pods[0], "Failed", ready: false);
        await Evict(cluster, cluster.Pods[0].Name);
    }

    [Fact]
    public async Task Of_two_evictions_at_once_one_is_granted()
    {
        await using var cluster = await StartWithWeb(3, "\"minAvailable\":2");
        await Until(cluster, "3/3 healthy, 2 wanted, 1 allowed, SufficientPods");
        cluster.Kubelet.Ends = _ => false;
        cluster.Kubelet.BecomesReady = pod => pod.IsReady;
        var granted = await Task.WhenAll(cluster.Pods.Select(x => x.Name).Select(async pod =>
        {
            try
            {
                await Evict(cluster, pod);
                return true;
            }
            catch (ApiException e) when (e.Code == 429)
            {
                return false;
            }
        }));
        Assert.Single(granted, x => x);
        var budget = JsonNode.Parse((await cluster.Api.Get(ResourceKey.Of(Kind.PodDisruptionBudget, "default", "web"), stop: TestContext.Current.CancellationToken)).Json.Span)!;
        Assert.Equal(0, (int)budget["status"]!["disruptionsAllowed"]!);
    }
}
