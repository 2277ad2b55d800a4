using Declarative.Mesos.Protocol;
using Xunit;

namespace Declarative.Tests.Mesos;

public sealed class FairnessTests
{
    [Fact]
    public async Task Two_frameworks_share_and_what_one_refuses_goes_to_the_other()
    {
        await using var world = new MasterWorld(agents: 10);
        await using var one = new TestFramework(world, world.Master.Client()) { Info = TestFramework.Describe(role: "one") };
        await using var two = new TestFramework(world, world.Master.Client()) { Info = TestFramework.Describe(role: "two") };
        await one.Subscribe("one");
        await two.Subscribe("two");
        await world.Until(() => world.Agents.All(agent => agent.IsConnected), "the agents");
        await one.Send(Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type.Revive);
        await one.Offer(count: 10);
        await two.Send(Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type.Revive);
        foreach (var offer in one.Offers.Take(6))
            await one.Decline(offer, 0);
        // The one that has nothing comes first until both have equal parts.
        await two.Offer(count: 5);
        await one.Offer(count: 11);
        Assert.Equal(5, two.Offers.Count());
        await one.Decline(one.Offers.Last(), 3600);
        await two.Offer(count: 6);
    }
}
