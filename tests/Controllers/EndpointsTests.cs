using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Controllers.Deployments;
using Declarative.Controllers.Endpoints;
using Declarative.Controllers.ReplicaSets;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>Endpoints end to end on an API server in this process.</summary>
public sealed class EndpointsTests
{
    private const string WebService = """
        {"apiVersion":"v1","kind":"Service","metadata":{"name":"web","labels":{"team":"a"}},
         "spec":{"selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":"http"}]}}
        """;

    private static async Task<(Cluster Cluster, Informer<EndpointSlice> Slices)> Start()
    {
        var cluster = await Cluster.Start(DeploymentController.Run, ReplicaSetController.Run, EndpointsController.Run);
        var slices = new Informer<EndpointSlice>(cluster.Api, Kind.EndpointSlice, EndpointSlice.Read, TimeProvider.System, new Random(4));
        cluster.Begin(slices.Run);
        await slices.Synced;
        return (cluster, slices);
    }

    private static List<(string Pod, int Port, bool Ready, bool Serving, bool Terminating)> Endpoints(Informer<EndpointSlice> slices) =>
        [.. slices.List().SelectMany(s => s.Endpoints.Select(e =>
            (e.TargetRef!.Uid, s.Ports.Single().Port, e.Conditions.IsReady, e.Conditions.IsServing, e.Conditions.IsTerminating))).OrderBy(x => x.Item2)];

    private static bool Agree(Cluster cluster, Informer<EndpointSlice> slices) =>
        cluster.Pods.Select(x => (x.Uid, x.Task?.HostPort("web", 8080) ?? 0, x.IsReady && !x.Metadata.IsDeleting, x.IsReady, x.Metadata.IsDeleting)).OrderBy(x => x.Item2)
            .SequenceEqual(Endpoints(slices));

    [Fact]
    public async Task Slices_carry_the_real_host_ports_of_ready_pods()
    {
        var (cluster, slices) = await Start();
        await using var _ = cluster;
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(3));
        await cluster.Apply(Kind.Service, "web", WebService);
        await cluster.Until(() => Endpoints(slices).Count(x => x.Ready) == 3 && Agree(cluster, slices), "3 ready endpoints");
        Assert.All(slices.List(), slice =>
        {
            Assert.Equal("web", slice.ServiceName);
            Assert.Equal(EndpointSlice.OurManager, slice.Metadata.Labels[EndpointSlice.ManagedByLabel]);
            Assert.Equal("a", slice.Metadata.Labels["team"]);
            Assert.Equal("http", slice.Ports.Single().Name);
            Assert.All(slice.Endpoints, x => Assert.Equal("agent-0", x.NodeName));
        });
        cluster.Kubelet.BecomesReady = x => x.Uid != cluster.Pods[0].Uid;
        cluster.Kubelet.Again();
        await cluster.Until(() => Endpoints(slices).Count(x => x.Ready) == 2 && Agree(cluster, slices), "one not ready");
    }

    [Fact]
    public async Task A_pod_on_its_way_out_is_terminating_before_the_report_says_that_its_deletion_was_seen()
    {
        var (cluster, slices) = await Start();
        await using var _ = cluster;
        var reports = new Informer<TrafficReport>(cluster.Api, Kind.TrafficReport, TrafficReport.Read, TimeProvider.System, new Random(5));
        cluster.Begin(reports.Run);
        await cluster.Apply(Kind.Service, "web", WebService);
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(3));
        await cluster.Until(() => Endpoints(slices).Count(x => x.Ready) == 3, "3 ready endpoints");
        cluster.Kubelet.Ends = _ => false;
        var marked = new List<(Pod Pod, long Revision)>();
        foreach (var pod in cluster.Pods)
        {
            var written = await cluster.Delete(Kind.Pod, pod.Name);
            marked.Add((pod, written.Revision));
            await cluster.Until(() => reports.List().Any(x => x.Spec.Role == "endpoints" && x.Status.ObservedRevision >= written.Revision), "the deletion is reported");
            // Read past the informers: at this moment the stored slice must say terminating.
            var stored = (await cluster.Api.List(new(Kind.EndpointSlice, "default"), TestContext.Current.CancellationToken)).Items.Select(x => EndpointSlice.Read(x.Json));
            var endpoint = stored.SelectMany(x => x.Endpoints).Single(x => x.TargetRef!.Uid == pod.Uid);
            Assert.True(endpoint.Conditions is { IsTerminating: true, IsReady: false, IsServing: true });
        }
        cluster.Kubelet.Ends = _ => true;
        cluster.Kubelet.Again();
        await cluster.Until(() => cluster.Pods.Count == 3 && Endpoints(slices).Count(x => x.Ready) == 3 && Agree(cluster, slices), "replaced");
    }

    [Fact]
    public async Task The_deletion_of_a_pod_that_no_service_selects_is_reported_too()
    {
        var (cluster, _) = await Start();
        await using var __ = cluster;
        cluster.Kubelet.Ends = _ => false;
        await cluster.Apply(Kind.Pod, "alone", """{"apiVersion":"v1","kind":"Pod","metadata":{"name":"alone"},"spec":{"containers":[{"name":"c","command":["x"]}]}}""");
        await cluster.Until(() => cluster.Pods.Any(x => x.IsReady), "running");
        var marked = await cluster.Delete(Kind.Pod, "alone");
        var reports = new Informer<TrafficReport>(cluster.Api, Kind.TrafficReport, TrafficReport.Read, TimeProvider.System, new Random(5));
        cluster.Begin(reports.Run);
        await cluster.Until(() => reports.List().Any(x => x.Status.ObservedRevision >= marked.Revision), "reported");
        cluster.Kubelet.Ends = _ => true;
        cluster.Kubelet.Again();
    }

    [Fact]
    public async Task A_service_without_selector_is_left_alone_and_one_that_is_deleted_takes_its_slices_along()
    {
        var (cluster, slices) = await Start();
        await using var _ = cluster;
        await cluster.Apply(Kind.Service, "other", """{"apiVersion":"v1","kind":"Service","metadata":{"name":"other"},"spec":{"ports":[{"port":80}]}}""");
        await cluster.Apply(Kind.EndpointSlice, "other-1", """
            {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"other-1","labels":{"kubernetes.io/service-name":"other"}},
             "addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"port":80}]}
            """);
        await cluster.Apply(Kind.Service, "web", WebService);
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(2));
        await cluster.Until(() => slices.List().Where(x => x.ServiceName == "web").Sum(x => x.Endpoints.Count) == 2, "2 endpoints");
        await cluster.Delete(Kind.Service, "web");
        await cluster.Until(() => slices.List().Select(x => x.Name).SequenceEqual(["other-1"]), "only the other's slice");
    }
}
