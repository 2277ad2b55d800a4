using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Endpoints;
using Xunit;

namespace Declarative.Tests.Controllers;

public sealed class EndpointsPlanTests
{
    private static readonly Service Web = new()
    {
        Metadata = new() { Name = "web", Namespace = "default", Uid = "s" },
        Spec = new() { Selector = new Dictionary<string, string> { ["app"] = "web" }, Ports = [new() { Name = "http", Port = 80, TargetPort = 8080 }] },
    };

    private static Pod RunningPod(int number, int hostPort, int declared = 8080, string name = "http") => new()
    {
        Metadata = new()
        {
            Name = $"web-{number:d4}", Namespace = "default", Uid = $"u{number}",
            Annotations = new Dictionary<string, string> { [TaskAnnotation.Key] = new TaskAnnotation { Id = "x.0", Agent = "a", Ports = new Dictionary<string, int> { [$"c/{declared}"] = hostPort } }.ToJson() },
        },
        Spec = new() { NodeName = "agent-0", Containers = [new() { Name = "c", Ports = [new() { Name = name, Number = declared }] }] },
        Status = new() { Phase = "Running", PodIP = "127.0.0.1", Conditions = [new() { Type = "Ready", Status = "True" }] },
    };

    [Theory]
    [InlineData(8080, null, 31001)] // a declared number
    [InlineData(null, "http", 31001)] // a declared name
    [InlineData(null, null, 80)] // the service's own port, which no container declares
    [InlineData(9999, null, 9999)] // a number that no container declares
    public void TargetPort_is_resolved_to_the_host_port(int? number, string? name, int expected)
    {
        IntOrString? target = number is null && name is null ? default(IntOrString?) : new IntOrString(number ?? 0, name);
        var service = Web with { Spec = Web.Spec with { Ports = [new() { Name = "http", Port = 80, TargetPort = target }] } };
        Assert.Equal(expected, PodPorts.Of(service, RunningPod(1, 31001)).Single().Port);
    }

    [Fact]
    public void A_name_that_no_container_declares_is_left_out() =>
        Assert.Empty(PodPorts.Of(Web with { Spec = Web.Spec with { Ports = [new() { Port = 80, TargetPort = "grpc" }] } }, RunningPod(1, 31001)));

    [Fact]
    public void Pods_with_different_ports_go_to_different_slices_and_with_the_same_ports_share_one()
    {
        var plan = EndpointsPlan.Compute(Web, [RunningPod(1, 31001), RunningPod(2, 31002), RunningPod(3, 31001)], []);
        Assert.Equal(2, plan.Changes.Count);
        Assert.All(plan.Changes, x => Assert.IsType<Create>(x));
        Assert.Contains("u1", plan.Changes[0].ToString());
        Assert.Contains("u3", plan.Changes[0].ToString());
        Assert.Contains("u2", plan.Changes[1].ToString());
    }

    [Fact]
    public void A_slice_holds_at_most_100_and_the_others_are_not_touched_when_one_pod_comes_or_goes()
    {
        var pods = Enumerable.Range(0, 250).Select(i => RunningPod(i, 31001)).ToList();
        var slices = Apply([], EndpointsPlan.Compute(Web, pods, []));
        Assert.Equal([100, 100, 50], slices.Select(x => x.Endpoints.Count));
        Assert.Empty(EndpointsPlan.Compute(Web, pods, slices).Changes);

        pods.RemoveAt(120); // from the second slice
        var change = Assert.Single(EndpointsPlan.Compute(Web, pods, slices).Changes);
        Assert.Equal(slices[1].Name, change.Key.Name);
        slices = Apply(slices, EndpointsPlan.Compute(Web, pods, slices));

        pods.Add(RunningPod(900, 31001)); // fills the gap
        change = Assert.Single(EndpointsPlan.Compute(Web, pods, slices).Changes);
        Assert.Equal(slices[1].Name, change.Key.Name);
    }

    [Fact]
    public void Under_random_changes_every_pod_stands_once_in_slices_of_its_ports()
    {
        var random = new Random(1);
        var pods = new List<Pod>();
        IReadOnlyList<EndpointSlice> slices = [];
        for (var step = 0; step < 400; step++)
        {
            for (var n = random.Next(30); n > 0; n--)
            {
                if (pods.Count > 0 && random.Next(5) < 2) pods.RemoveAt(random.Next(pods.Count));
                else pods.Add(RunningPod(step * 100 + n, 31000 + random.Next(3)));
            }
            pods.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
            slices = Apply(slices, EndpointsPlan.Compute(Web, pods, slices));
            Assert.Equal(
                pods.Select(x => (x.Uid, x.Task!.HostPort("c", 8080))).Order(),
                slices.SelectMany(s => s.Endpoints.Select(e => (e.TargetRef!.Uid, s.Ports.Single().Port))).Order());
            Assert.All(slices, x => Assert.InRange(x.Endpoints.Count, 1, SliceSet.EndpointsMax));
            Assert.Empty(EndpointsPlan.Compute(Web, pods, slices).Changes);
        }
    }

    private static int Made;

    /// <summary>What a server would make of the plan.</summary>
    private static List<EndpointSlice> Apply(IReadOnlyList<EndpointSlice> slices, Plan plan)
    {
        var result = slices.ToList();
        foreach (var change in plan.Changes)
        {
            var at = result.FindIndex(x => x.Name == change.Key.Name);
            switch (change)
            {
                case Create create:
                    var made = EndpointSlice.Read(create.Json);
                    result.Add(made with { Metadata = made.Metadata with { Name = $"web-{Made++:d6}", Uid = "x" } });
                    break;
                case Patch patch:
                    result[at] = result[at] with { Endpoints = EndpointSlice.Read(patch.Json).Endpoints };
                    break;
                case Delete:
                    result.RemoveAt(at);
                    break;
            }
        }
        return result;
    }
}
