using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Xunit;
using Event = Declarative.Mesos.Protocol.SchedulerApi.Event;

namespace Declarative.Tests.Placement;

/// <summary>Agents that are to be unavailable are left in good time and within budgets.</summary>
public class MaintenanceTests
{
    private static Event Inverse(string id, string agent, DateTimeOffset start)
    {
        var offers = new Event.Types.InverseOffers();
        offers.InverseOffers_.Add(new InverseOffer
        {
            Id = new() { Value = id },
            FrameworkId = new() { Value = "f" },
            AgentId = new() { Value = agent },
            Unavailability = new() { Start = new() { Nanoseconds = (start - DateTimeOffset.UnixEpoch).Ticks * 100 } },
        });
        return new() { Type = Event.Types.Type.InverseOffers, InverseOffers = offers };
    }

    /// <summary>Comes with the next event of the stream, which a new pod brings about.</summary>
    private static async Task Comes(Cluster x, Event happened)
    {
        var told = false;
        x.Spy.Also = _ =>
        {
            if (told) return [];
            told = true;
            return [happened];
        };
        await x.CreatePod($"bell-{x.World.Elapsed.Ticks}");
        await x.WaitUntil(() => Task.FromResult(told), "the event is told");
    }

    [Fact]
    public void What_runs_there_is_evicted_when_its_budget_allows_it() => Cluster.Run(async x =>
    {
        await x.CreatePod("web", metadata: ""","labels":{"app":"web"}""");
        var web = await x.WaitRunning("web");
        await x.CreatePod("free");
        var free = await x.WaitRunning("free");
        // Nobody here fills in its status: a budget that is not worked out yet allows nothing.
        await x.Create("""{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"web","namespace":"default"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}}""");
        await Comes(x, Inverse("i1", free.Task!.Agent, x.World.Time.GetUtcNow().AddMinutes(30)));
        await x.WaitUntil(async () => !await x.Exists("free"), "the pod without a budget has left");
        Assert.Contains("ACCEPTINVERSEOFFERS", x.Spy.Log);
        await x.Sleep(30);
        web = await x.GetPod("web");
        Assert.True(web.IsReady && !web.Metadata.IsDeleting);
        Assert.Equal("AgentMaintenance", web.Status.Conditions.Single(y => y.Type == "DisruptionTarget").Reason);
        await x.Api.Delete(ResourceKey.Of(Kind.PodDisruptionBudget, "default", "web"));
        await x.WaitUntil(async () => !await x.Exists("web"), "the pod has left once the budget is gone");
    });

    [Fact]
    public void A_maintenance_of_tomorrow_moves_nobody_today_and_one_that_is_called_off_never() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var web = await x.WaitRunning("web");
        await Comes(x, Inverse("i1", web.Task!.Agent, x.World.Time.GetUtcNow().AddHours(24)));
        await x.Sleep(3600);
        Assert.True((await x.GetPod("web")).IsReady);
        await Comes(x, new() { Type = Event.Types.Type.RescindInverseOffer, RescindInverseOffer = new() { InverseOfferId = new() { Value = "i1" } } });
        await x.Sleep(24 * 3600);
        Assert.True((await x.GetPod("web")).IsReady);
        Assert.Equal(0, x.Placement.Counters["moved"]);
    });
}
