using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Status;
using Xunit;

namespace Declarative.Tests.Placement;

public sealed class StatusPatchTests
{
    private static readonly DateTimeOffset At = new(2026, 5, 4, 3, 2, 1, 250, TimeSpan.Zero);

    private static readonly ContainerStatus Web = new()
    {
        Name = "web", Ready = true, Started = true, RestartCount = 1, ContainerID = "mesos://c", Image = "i",
        State = new() { Running = new() { StartedAt = At } },
        LastState = new() { Terminated = new() { ExitCode = 1, Signal = 9, Reason = "Error", Message = "m", StartedAt = At, FinishedAt = At, ContainerID = "mesos://b" } },
    };

    private static readonly PodStatus Whole = new()
    {
        Phase = "Running", Reason = "r", Message = "m", HostIP = "10.0.0.1", PodIP = "10.0.0.2", StartTime = At, NominatedNodeName = "n",
        Conditions = [new() { Type = "Ready", Status = "True", Reason = "r", Message = "m", LastTransitionTime = At }],
        ContainerStatuses = [Web],
    };

    private static IEnumerable<PodStatus> Others()
    {
        yield return Whole;
        yield return Whole with { Phase = "Pending" };
        yield return Whole with { Reason = "" };
        yield return Whole with { Message = "" };
        yield return Whole with { HostIP = "" };
        yield return Whole with { PodIP = "10.0.0.3" };
        yield return Whole with { NominatedNodeName = "" };
        yield return Whole with { StartTime = At.AddMilliseconds(700) };
        yield return Whole with { StartTime = At.AddMilliseconds(800) };
        yield return Whole with { StartTime = null };
        yield return Whole with { Conditions = [] };
        foreach (var other in new[] { Whole.Conditions[0] with { Type = "x" }, Whole.Conditions[0] with { Status = "False" }, Whole.Conditions[0] with { Reason = "" }, Whole.Conditions[0] with { Message = "" }, Whole.Conditions[0] with { LastTransitionTime = null }, Whole.Conditions[0] with { LastTransitionTime = At.AddSeconds(1) } })
        {
            yield return Whole with { Conditions = [other] };
        }
        var ended = Web.LastState.Terminated!;
        foreach (var other in new[]
        {
            Web with { Name = "x" }, Web with { Ready = false }, Web with { Started = null }, Web with { RestartCount = 2 }, Web with { ContainerID = "" }, Web with { Image = "" },
            Web with { State = new() }, Web with { State = new() { Running = new() } }, Web with { State = new() { Waiting = new() { Reason = "a" } } }, Web with { State = new() { Waiting = new() { Reason = "a", Message = "b" } } },
            Web with { LastState = new() }, Web with { LastState = new() { Terminated = ended with { ExitCode = 2 } } }, Web with { LastState = new() { Terminated = ended with { Signal = 0 } } },
            Web with { LastState = new() { Terminated = ended with { Signal = -1 } } }, Web with { LastState = new() { Terminated = ended with { Reason = "" } } }, Web with { LastState = new() { Terminated = ended with { Message = "" } } },
            Web with { LastState = new() { Terminated = ended with { StartedAt = null } } }, Web with { LastState = new() { Terminated = ended with { FinishedAt = At.AddDays(1) } } }, Web with { LastState = new() { Terminated = ended with { ContainerID = "" } } },
        })
        {
            yield return Whole with { ContainerStatuses = [other] };
        }
        yield return Whole with { ContainerStatuses = [Web, Web] };
    }

    [Fact]
    public void Statuses_are_the_same_where_they_would_be_stored_as_the_same_bytes()
    {
        var all = Others().ToList();
        foreach (var a in all)
        {
            foreach (var b in all) Assert.Equal(StatusPatch.Write("u", a).AsSpan().SequenceEqual(StatusPatch.Write("u", b)), StatusPatch.Same(a, b));
        }
    }
}
