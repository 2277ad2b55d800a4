using Declarative.Api.Kinds;
using Declarative.Controllers.Placement;
using Xunit;

namespace Declarative.Tests.Placement;

public class PlacementTests
{
    [Fact]
    public void A_pod_runs_on_an_agent_and_its_status_says_so() => Cluster.Run(async x =>
    {
        await x.CreatePod("web", ""","ports":[{"name":"http","containerPort":8080}]""");
        var pod = await x.WaitRunning("web");
        Assert.Equal("agent-0", pod.Spec.NodeName);
        Assert.Equal($"{pod.Uid}.0", pod.Task!.Id);
        Assert.InRange(pod.Task.HostPort("web", 8080), 31000, 32000);
        Assert.StartsWith("mesos://", pod.Status.ContainerStatuses[0].ContainerID, StringComparison.Ordinal);
        Assert.Equal(1, x.LiveTasks(pod.Uid));
        var accept = x.Spy.Log.FindIndex(y => y.StartsWith("ACCEPT", StringComparison.Ordinal));
        Assert.True(accept > 0);
        await x.WaitUntil(() => Task.FromResult(x.Spy.Log.Contains("SUPPRESS")), "SUPPRESS when nothing waits");
    });
}
