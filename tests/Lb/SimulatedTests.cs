using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Traffic;
using Declarative.Lb;
using Declarative.Lb.Routes;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>The balancer's decisions in a world of one thread: real API server, emulated clients and controllers, no sockets.</summary>
public sealed class SimulatedTests
{
    private const string Address = "127.0.0.1";
    private const int Port = 9001;

    [Fact]
    public void NoRequestReachesAPodThatWasGivenUp()
    {
        for (var seed = 1; seed <= 12; seed++)
        {
            var (requests, kills, _) = Scenario(seed);
            Assert.True(requests > 100, $"seed {seed}: {requests} requests");
            Assert.True(kills > 5, $"seed {seed}: {kills} kills");
        }
    }

    [Fact]
    public void TheSameSeedIsTheSameHistory() => Assert.Equal(Scenario(7), Scenario(7));

    private static (int Requests, int Kills, ulong Hash) Scenario(int seed)
    {
        var world = new World(seed);
        var (requests, kills) = (0, 0);
        world.Run(async () =>
        {
            using var stop = new CancellationTokenSource();
            using var serverStop = new CancellationTokenSource();
            await using var journal = new MemoryJournal();
            var server = await Declarative.ApiServer.ApiServer.Open(journal, new() { Authorize = new Declarative.ApiServer.Authorization.Authorizer().Check }, world.Time, world.Random, CancellationToken.None);
            var serving = server.Run(serverStop.Token);
            await server.Bootstrap(CancellationToken.None);
            var api = server.As(User.Admin);
            var lb = new LbRoutes(new() { Id = "sim" });
            var balancing = lb.Run(server.As(User.Lb), world.Time, world.Random, stop.Token);
            var dead = new HashSet<string>(StringComparer.Ordinal);
            await api.Create(ResourceKey.Of(Kind.Service, "default", "hello"), LbWorld.Bytes("""{"apiVersion":"v1","kind":"Service","metadata":{"name":"hello"},"spec":{"type":"LoadBalancer","selector":{"a":"b"},"ports":[{"port":9001}]}}"""));
            var clients = Enumerable.Range(0, 5).Select(_ => Client()).ToList();
            var live = new List<int> { 0, 1, 2 };
            for (var next = 3; world.Elapsed < TimeSpan.FromMinutes(2); next++)
            {
                live.Add(next);
                await WriteSlice(api, live, -1);
                await Pause(3);
                var victim = live[world.Random.Next(live.Count)];
                if (live.Count > 2)
                {
                    var marked = await WriteSlice(api, live, victim);
                    // Decision 12, as Placement does it.
                    var since = world.Elapsed;
                    while (await Report(api) is var report && (report.Status.ObservedRevision < marked || report.Status.Draining.Any(x => x.PodUID == $"uid-{victim}" && x.InFlight > 0)))
                    {
                        Assert.True(world.Elapsed - since < TimeSpan.FromMinutes(1), $"seed {seed}: marked at {marked}, observed {report.Status.ObservedRevision}, draining {string.Join(", ", report.Status.Draining)}, renewed {report.Spec.RenewTime}, "
                            + $"in flight {string.Join(", ", lb.Table.Clusters.Single().Destinations.Select(x => $"{x.PodUid} {x.InFlight} {x.IsClosed}"))}");
                        await Task.Delay(TimeSpan.FromMilliseconds(10), world.Time);
                    }
                    dead.Add($"uid-{victim}");
                    kills++;
                    world.Note($"kill {victim}");
                    live.Remove(victim);
                    if (world.Random.Next(2) == 0) await Pause(1);
                }
                if (world.Random.Next(10) == 0)
                {
                    await api.Delete(ResourceKey.Of(Kind.TrafficReport, "", "lb-sim")); // somebody's mistake; it comes back
                    await Task.Delay(TimeSpan.FromSeconds(4), world.Time);
                    Assert.True((await Report(api)).IsLive(world.Time.GetUtcNow()));
                }
            }
            var service = Service.Read((await api.Get(ResourceKey.Of(Kind.Service, "default", "hello"))).Json);
            Assert.Equal(Port, service.Status.LoadBalancer.Ingress.Single().Ports.Single().Port);
            stop.Cancel();
            foreach (var client in clients) await Ends(client, "a client");
            await Ends(balancing, "the balancer");
            await Assert.ThrowsAsync<ApiException>(() => Report(api));
            serverStop.Cancel();
            await Ends(serving, "the API server");

            async Task Ends(Task task, string what)
            {
                for (var until = world.Elapsed + TimeSpan.FromMinutes(1); !task.IsCompleted; await Task.Delay(TimeSpan.FromMilliseconds(100), world.Time))
                {
                    Assert.True(world.Elapsed < until, $"seed {seed}: {what} does not end; it has seen {lb.Table.Services.Count()} services, serving {lb.IsServing}");
                }
                await task;
            }

            async Task Client()
            {
                while (!stop.IsCancellationRequested)
                {
                    if (lb.Pick(Address, Port) is { } destination)
                    {
                        Assert.DoesNotContain(destination.PodUid, dead);
                        requests++;
                        await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(1, 3000)), world.Time);
                        Assert.False(dead.Contains(destination.PodUid), $"seed {seed}: killed with a request in flight");
                        destination.Release();
                        world.Note($"answer {destination.PodUid}");
                    }
                    await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(1, 300)), world.Time);
                }
            }

            Task Pause(int seconds) => Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(1, seconds * 1000)), world.Time);
        });
        return (requests, kills, world.Hash);
    }

    private static async Task<TrafficReport> Report(IApi api) => TrafficReport.Read((await api.Get(ResourceKey.Of(Kind.TrafficReport, "", "lb-sim"))).Json);

    private static async Task<long> WriteSlice(IApi api, List<int> pods, int terminating)
    {
        var json = new StringBuilder("""{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4","metadata":{"name":"hello-1","labels":{"kubernetes.io/service-name":"hello"}},"ports":[{"name":"","port":31000,"protocol":"TCP"}],"endpoints":[""");
        foreach (var pod in pods)
        {
            if (pod != pods[0]) json.Append(',');
            var going = pod == terminating ? "true" : "false";
            json.Append(System.Globalization.CultureInfo.InvariantCulture, $$"""{"addresses":["127.0.1.{{pod % 250 + 1}}"],"conditions":{"ready":{{(pod == terminating ? "false" : "true")}},"terminating":{{going}} },"targetRef":{"kind":"Pod","name":"pod-{{pod}}","uid":"uid-{{pod}}"} }""");
        }
        var key = ResourceKey.Of(Kind.EndpointSlice, "default", "hello-1");
        var bytes = LbWorld.Bytes(json.Append("]}").ToString());
        try
        {
            return (await api.Update(key, bytes)).Revision;
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return (await api.Create(key, bytes)).Revision;
        }
    }
}
