using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Controllers.Deployments;
using Declarative.Controllers.ReplicaSets;
using Declarative.Tests.Client;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>Deployments in a world of one thread with a broken connection to the API: bounds that hold at every revision, and where it all ends.</summary>
public sealed class RolloutProperties
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 12)];

    private static ResourceKey Web => ResourceKey.Of(Kind.Deployment, "default", "web");

    [Theory]
    [MemberData(nameof(Seeds))]
    public void A_rollout_never_leaves_its_bounds(int seed) => ServerInWorld.Run(seed, async server =>
    {
        var random = new Random(seed);
        var replicas = random.Next(1, 12);
        var surge = random.Next(0, 4);
        var unavailable = surge == 0 ? random.Next(1, 3) : random.Next(0, 3);
        var kubelet = Begin(server, seed, out var flaky);
        var web = Watch(server);
        var more = $",\"strategy\":{{\"rollingUpdate\":{{\"maxSurge\":{surge},\"maxUnavailable\":{unavailable}}}}},\"minReadySeconds\":{random.Next(3)}";
        await server.Api.Create(Web, Encoding.UTF8.GetBytes(Cluster.WebDeployment(replicas, more: more)));
        await server.Until(() => IsDone(web, kubelet, replicas, "1"), "version 1");

        var checking = true;
        var (least, most) = (int.MaxValue, 0);
        server.Begin(stop => Look(server, (ready, active) =>
        {
            if (!checking) return;
            (least, most) = (Math.Min(least, ready), Math.Max(most, active));
        }, stop));
        for (var version = 2; version <= 4; version++)
        {
            await server.Api.Patch(Web, PatchKind.Merge, Encoding.UTF8.GetBytes(Cluster.NewVersion(version.ToString())));
            // Half of the time the next version comes before this one is done.
            if (random.Next(2) == 0) await Task.Delay(TimeSpan.FromMilliseconds(random.Next(3000)), server.Time);
            else await server.Until(() => IsDone(web, kubelet, replicas, version.ToString()), $"version {version}");
        }
        await server.Until(() => IsDone(web, kubelet, replicas, "4"), "version 4");
        checking = false;
        Assert.True(most <= replicas + surge, $"seed {seed}: {most} pods of {replicas} + {surge}");
        Assert.True(least >= replicas - Math.Min(unavailable, replicas), $"seed {seed}: {least} ready of {replicas} - {unavailable}");
        Assert.True(flaky.Faults > 0);
    });

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Under_dying_pods_and_changing_minds_everything_converges(int seed) => ServerInWorld.Run(seed, async server =>
    {
        var random = new Random(seed);
        var kubelet = Begin(server, seed, out var flaky);
        var web = Watch(server);
        await server.Api.Create(Web, Encoding.UTF8.GetBytes(Cluster.WebDeployment(3)));
        var (replicas, version) = (3, 1);
        for (var i = 0; i < 60; i++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(2000)), server.Time);
            var pods = kubelet.Pods.List();
            try
            {
                switch (random.Next(6))
                {
                    case 0:
                        replicas = random.Next(0, 9);
                        await server.Api.Patch(Web, PatchKind.Merge, Encoding.UTF8.GetBytes($$$"""{"spec":{"replicas":{{{replicas}}}}}"""));
                        break;
                    case 1:
                        await server.Api.Patch(Web, PatchKind.Merge, Encoding.UTF8.GetBytes(Cluster.NewVersion((++version).ToString())));
                        break;
                    case 2 when pods.Count > 0:
                        await kubelet.SetPhase(pods[random.Next(pods.Count)], "Failed", ready: false);
                        break;
                    case 3 when pods.Count > 0:
                        await server.Api.Delete(ResourceKey.Of(Kind.Pod, "default", pods[random.Next(pods.Count)].Name));
                        break;
                    case 4:
                        var broken = random.Next(4);
                        kubelet.BecomesReady = x => x.Uid[0] % 4 != broken;
                        kubelet.Again();
                        break;
                }
            }
            catch (ApiException e) when (e.IsNotFound)
            {
                continue; // the pod went first
            }
        }
        kubelet.BecomesReady = _ => true;
        kubelet.Again();
        await server.Until(() => IsDone(web, kubelet, replicas, version.ToString()), $"{replicas} pods of version {version}");
        // And then it rests: nothing is written any more.
        flaky.OneIn = 0;
        await Task.Delay(TimeSpan.FromMinutes(2), server.Time);
        var before = (await server.Api.List(new(Kind.Pod))).Revision;
        await Task.Delay(TimeSpan.FromMinutes(20), server.Time);
        Assert.Equal(before, (await server.Api.List(new(Kind.Pod))).Revision);
    });

    private static FakeKubelet Begin(ServerInWorld server, int seed, out FlakyApi flaky)
    {
        var kubelet = new FakeKubelet(server.Api, server.Time, seed);
        var api = flaky = new FlakyApi(server.Api, server.Time, new Random(seed)) { OneIn = 40 };
        server.Begin(kubelet.Run);
        server.Begin(stop => DeploymentController.Run(api, server.Time, new Random(seed), NullLogger.Instance, stop));
        server.Begin(stop => ReplicaSetController.Run(api, server.Time, new Random(seed + 1), NullLogger.Instance, stop));
        return kubelet;
    }

    private static Informer<Deployment> Watch(ServerInWorld server)
    {
        var web = new Informer<Deployment>(server.Api, Kind.Deployment, Deployment.Read, server.Time, new Random(1));
        server.Begin(web.Run);
        return web;
    }

    private static bool IsDone(Informer<Deployment> deployments, FakeKubelet kubelet, int replicas, string version) =>
        deployments.Get("default", "web") is { } web && web.Status.ObservedGeneration >= web.Metadata.Generation && web.Spec.Replicas == replicas
        && web.Status.UpdatedReplicas == replicas && web.Status.AvailableReplicas == replicas && web.Status.Replicas == replicas
        && kubelet.Pods.List().Where(x => !x.IsFinished).ToList() is var pods
        && pods.Count == replicas && pods.All(x => x.IsReady && !x.Metadata.IsDeleting && x.Spec.Containers[0].Env[0].Value == version);

    /// <summary>Counts pods at every revision, past all informers.</summary>
    private static async Task Look(ServerInWorld server, Action<int, int> seen, CancellationToken stop)
    {
        var pods = new Dictionary<string, Pod>();
        var list = await server.Api.List(new(Kind.Pod), stop);
        foreach (var stored in list.Items) pods[stored.Uid] = Pod.Read(stored.Json);
        try
        {
            await foreach (var change in server.Api.Watch(new(Kind.Pod) { From = list.Revision }, stop))
            {
                if (change.Object is not { } stored) continue;
                if (change.Type == WatchEventType.Deleted) pods.Remove(stored.Uid);
                else pods[stored.Uid] = Pod.Read(stored.Json);
                seen(pods.Values.Count(x => x.IsReady && !x.Metadata.IsDeleting && !x.IsFinished), pods.Values.Count(x => !x.Metadata.IsDeleting && !x.IsFinished));
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
    }
}
