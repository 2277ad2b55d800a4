using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Cli;
using Declarative.Controllers.Placement;
using Declarative.Dns;
using Declarative.Lb;
using Declarative.Mesos.Protocol;
using Declarative.Sim;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Simulation;

/// <summary>One Deployment followed through every hop of the platform, in the order in which the README names them.</summary>
public sealed class OneDeploymentTests
{
    private readonly World _world = new(1);
    private readonly LbRoutes _lb = new(new LbOptions());
    private readonly DnsZones _dns = new(new DnsOptions());
    private readonly SimulatedCluster _cluster;

    public OneDeploymentTests()
    {
        var tally = new Tally();
        var witness = new Witness(_world, tally);
        var parts = Platform.Controllers(new PlacementOptions(), null, NullLoggerFactory.Instance)
            .Append(new("lb", User.Lb, (api, _, time, random, stop) => _lb.Run(api, time, random, stop)))
            .Append(new("dns", User.Dns, (api, _, time, random, stop) => _dns.Run(api, time, random, stop)));
        _cluster = new SimulatedCluster(_world, new Chances(_world, tally) { Enabled = false }, witness, [.. parts], new SimulationOptions { Agents = 2 });
    }

    [Fact]
    public void From_kubectl_apply_to_an_answered_request() => _world.Run(async () =>
    {
        await _cluster.Start();
        var api = _cluster.Connect(User.Admin).Api;

        // 1. kubectl apply
        var manifest =
            """
            {"metadata":{"name":"hello"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"hello"}},"template":{"metadata":{"labels":{"app":"hello"}},
            "spec":{"containers":[{"name":"web","command":["serve"],"ports":[{"name":"http","containerPort":8080}]}]}}}}
            """;
        var applied = await api.Create(new(Kind.Deployment, "default", "hello"), Encoding.UTF8.GetBytes(manifest));
        await api.Create(new(Kind.Service, "default", "hello"), """{"metadata":{"name":"hello"},"spec":{"type":"LoadBalancer","selector":{"app":"hello"},"ports":[{"port":9001,"targetPort":"http"}]}}"""u8.ToArray());

        // 2. API server: checked, defaulted, stored with a revision before it is acknowledged
        var deployment = Deployment.Read(applied.Json);
        Assert.True(applied.Revision > 0);
        Assert.Equal((1, "RollingUpdate"), (deployment.Metadata.Generation, deployment.Spec.Strategy.Type));

        // 3. Deployment → a ReplicaSet of its template
        var replicaSet = await Until("a ReplicaSet", async () => (await All(Kind.ReplicaSet, ReplicaSet.Read)).SingleOrDefault());
        Assert.Equal(deployment.Uid, Assert.Single(replicaSet.Metadata.OwnerReferences).Uid);

        // 4. ReplicaSet → Pods
        var made = await Until("two pods", async () => await All(Kind.Pod, Pod.Read) is { Count: 2 } two ? two : null);
        Assert.All(made, x => Assert.Equal(replicaSet.Uid, Assert.Single(x.Metadata.OwnerReferences).Uid));

        // 5. Placement: the intent is stored …
        var bound = await Until("bound pods", async () => await All(Kind.Pod, Pod.Read) is var pods && pods.All(x => x.Task is not null) ? pods : null);
        Assert.All(bound, x => Assert.Equal($"{x.Uid}.0", x.Task!.Id));
        Assert.All(bound, x => Assert.StartsWith("agent-", x.Spec.NodeName, StringComparison.Ordinal));
        Assert.All(bound, x => Assert.InRange(x.Task!.HostPort("web", 8080), 31000, 32000));

        // 6. … before ACCEPT; the agents run the tasks: TASK_RUNNING
        await Until("running tasks", () => Task.FromResult(_cluster.Tasks().Count(x => x.State == TaskState.TaskRunning) == 2 ? "yes" : null));
        Assert.Equal(bound.Select(x => x.Task!.Id).Order(StringComparer.Ordinal), _cluster.Tasks().Select(x => x.Task).Order(StringComparer.Ordinal));

        // 7. Status: Pods ready, and counted upwards
        var ready = await Until("ready pods", async () => await All(Kind.Pod, Pod.Read) is var pods && pods.All(x => x.IsReady) ? pods : null);
        Assert.All(ready, x => Assert.Equal(("Running", "127.0.0.1"), (x.Status.Phase, x.Status.HostIP)));
        foreach (var pod in bound) InOrder($"placement create pods/default/{pod.Name}/binding", "placement call Accept", $"placement patch pods/default/{pod.Name}/status");
        await Until("the Deployment's status", async () => (await All(Kind.Deployment, Deployment.Read)).Single().Status is { ReadyReplicas: 2, AvailableReplicas: 2 } status ? status : null);

        // 8. EndpointSlice: the real host ports
        var ports = ready.Select(x => x.Task!.HostPort("web", 8080)).Order().ToList();
        await Until("ready endpoints", async () =>
        {
            var slices = await All(Kind.EndpointSlice, EndpointSlice.Read);
            var served = slices.Where(x => x.ServiceName == "hello" && x.Endpoints.All(y => y.Conditions.IsReady)).SelectMany(x => x.Endpoints.SelectMany(_ => x.Ports)).Select(x => x.Port);
            return served.Order().SequenceEqual(ports) ? "yes" : null;
        });

        // 9. Load balancer: both in turn; DNS: address and ports
        await Until("routes", () => Task.FromResult(_lb.Table.Cluster(new("default", "hello"), 9001) is { ReadyCount: 2 } cluster ? cluster : null));
        Assert.Equal(ports, new[] { Reached(), Reached() }.Order());
        await Until("SRV records", () => Task.FromResult(Services("_hello._tcp.declarative.mesos").Order().SequenceEqual(ports) ? "yes" : null));
        await Until("A records", () => Task.FromResult(HasAddress("hello.declarative.mesos") && HasAddress("hello.default.svc.cluster.local") ? "yes" : null));
        Assert.True(_world.Elapsed < TimeSpan.FromSeconds(2), $"it took {_world.Elapsed}");
    });

    private int Reached()
    {
        var destination = _lb.Pick("127.0.0.1", 9001)!;
        destination.Release();
        return destination.Port;
    }

    private IEnumerable<int> Services(string name)
    {
        var response = new byte[65535];
        return SimulatedClients.Services(response.AsSpan(0, _dns.Answer(SimulatedClients.Query(name, 1), response))).Select(x => x.Port);
    }

    /// <summary>An answer of type A with RCODE 0 and at least one record.</summary>
    private bool HasAddress(string name)
    {
        var response = new byte[65535];
        var length = _dns.Answer(SimulatedClients.Query(name, 2, type: 1), response);
        return length > 12 && (response[3] & 15) == 0 && response[7] > 0;
    }

    private async Task<List<T>> All<T>(Kind kind, Func<ReadOnlyMemory<byte>, T> read) =>
        [.. (await _cluster.Connect(User.Admin).Api.List(new(kind))).Items.Select(x => read(x.Json))];

    private void InOrder(params string[] expected)
    {
        var notes = _world.Notes.ToList();
        var at = -1;
        foreach (var text in expected)
        {
            var next = notes.FindIndex(at + 1, x => x.Contains(text, StringComparison.Ordinal));
            Assert.True(next > at, $"\"{text}\" is not told after line {at} of\n{string.Join('\n', notes)}");
            at = next;
        }
    }

    /// <summary>Looks every millisecond of the world's clock.</summary>
    private async Task<T> Until<T>(string what, Func<Task<T?>> look) where T : class
    {
        var end = _world.Elapsed + TimeSpan.FromSeconds(30);
        while (_world.Elapsed < end)
        {
            if (await look() is { } found) return found;
            await Task.Delay(TimeSpan.FromMilliseconds(1), _world.Time);
        }
        Assert.Fail($"there is no {what} after {_world.Elapsed}:\n{string.Join('\n', _world.Notes)}");
        return null!;
    }
}
