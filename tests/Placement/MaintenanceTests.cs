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

    /// <summary>As a master does: offers of the agent carry its unavailability, null = none is planned.</summary>
    private static void Announce(Cluster x, string agent, DateTimeOffset? start) => x.Spy.Drop = happened =>
    {
        foreach (var offer in happened.Offers?.Offers_.Where(y => y.AgentId.Value == agent) ?? [])
        {
            offer.Unavailability = start is { } at ? new() { Start = new() { Nanoseconds = (at - DateTimeOffset.UnixEpoch).Ticks * 100 } } : null;
        }
        return false;
    };

    [Fact]
    public void What_runs_there_is_evicted_when_its_budget_allows_it() => Cluster.Run(async x =>
    {
        await x.CreatePod("web", metadata: ""","labels":{"app":"web"}""");
        var web = await x.WaitRunning("web");
        await x.CreatePod("free");
        var free = await x.WaitRunning("free");
        // Nobody here fills in its status: a budget that is not worked out yet allows nothing.
        await x.Create("""{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"web","namespace":"default"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}}""");
        var start = x.World.Time.GetUtcNow().AddMinutes(30);
        Announce(x, free.Task!.Agent, start);
        await Comes(x, Inverse("i1", free.Task!.Agent, start));
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
        var start = x.World.Time.GetUtcNow().AddHours(24);
        Announce(x, web.Task!.Agent, start);
        await Comes(x, Inverse("i1", web.Task!.Agent, start));
        await x.Sleep(3600);
        Assert.True((await x.GetPod("web")).IsReady);
        await Comes(x, new() { Type = Event.Types.Type.RescindInverseOffer, RescindInverseOffer = new() { InverseOfferId = new() { Value = "i1" } } });
        await x.Sleep(24 * 3600);
        Assert.True((await x.GetPod("web")).IsReady);
        Assert.Equal(0, x.Placement.Counters["moved"]);
    });

    /// <summary>A master forgets an inverse offer that was accepted: that its schedule was withdrawn is only seen by what it offers.</summary>
    [Fact]
    public void An_agent_that_is_offered_without_an_end_is_left_by_nobody() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var web = await x.WaitRunning("web");
        var start = x.World.Time.GetUtcNow().AddHours(24);
        Announce(x, web.Task!.Agent, start);
        await Comes(x, Inverse("i1", web.Task!.Agent, start));
        await x.Sleep(60);
        Announce(x, web.Task!.Agent, null);
        await x.CreatePod("another");
        await x.WaitRunning("another");
        await x.Sleep(25 * 3600);
        Assert.True((await x.GetPod("web")).IsReady);
        Assert.Equal(0, x.Placement.Counters["moved"]);
    });
}
