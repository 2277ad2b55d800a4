using System.Globalization;
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

    [Theory]
    // A role of weight 2 gets twice as much.
    [InlineData("one two", "two=2", "4 8")]
    // Siblings share what their parent gets; what the parent has itself counts as one of them.
    [InlineData("eng/a eng/b ops", "", "3 3 6")]
    [InlineData("eng eng/a ops", "", "3 3 6")]
    [InlineData("eng/a eng/b ops", "eng=2 eng/b=3", "2 6 4")]
    public async Task Roles_share_by_weight_at_every_level(string roles, string weights, string expected)
    {
        await using var world = new MasterWorld(agents: 0);
        if (weights.Length > 0)
        {
            var outcome = world.Master.Operate(desk => desk.UpdateWeights([.. weights.Split(' ').Select(x => x.Split('=')).Select(x => new WeightInfo { Role = x[0], Weight = double.Parse(x[1], CultureInfo.InvariantCulture) })]));
            Assert.True(outcome.IsTaken);
            world.RestartMaster(); // the registry keeps them
        }
        var frameworks = new List<TestFramework>();
        try
        {
            foreach (var role in roles.Split(' '))
            {
                var framework = new TestFramework(world, world.Master.Client()) { Info = TestFramework.Describe(role: role) };
                frameworks.Add(framework);
                await framework.Subscribe();
            }
            for (var i = 0; i < 12; i++)
            {
                world.AddAgent(i);
                await world.Until(() => frameworks.Sum(x => x.Offers.Count()) == i + 1, $"offer {i + 1}");
            }
            Assert.Equal(expected, string.Join(' ', frameworks.Select(x => x.Offers.Count())));
        }
        finally
        {
            foreach (var framework in frameworks) await framework.DisposeAsync();
        }
    }
}
