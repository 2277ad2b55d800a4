using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Blue and green through a real proxy, over all of a deployment: who answers follows the instances that are ready and the label that stops halfway.</summary>
public sealed class DeploymentGroupTests
{
    private const int Instances = 4;
    private const int Requests = 400;

    /// <summary>Of the number that is expected: more than six standard deviations of a draw of this many.</summary>
    private const int Off = 65;

    [Fact]
    public async Task AsManyAnswerForTheNewColourAsItsLabelLetsIn()
    {
        await using var world = await LbWorld.Start();
        List<Backend> old = [], next = [];
        for (var i = 0; i < Instances; i++)
        {
            old.Add(await world.Backend("blue"));
            next.Add(await world.Backend("green"));
        }
        var blue = LbWorld.FreePort();
        var green = LbWorld.FreePort();
        await world.Listening("web-blue", blue, "http");
        await world.Listening("web-green", green, "http");
        await Ready("web-blue", old, Instances);
        await Ready("web-green", next, Instances);
        await Colour("web-blue", "blue", "2026-01-01T00:00:00Z", null);
        await Colour("web-green", "green", "2026-01-02T00:00:00Z", "0");
        Assert.Equal(0, await Green()); // none is let in yet, however many are ready

        foreach (var instances in (int[])[1, 2])
        {
            await Colour("web-green", "green", "2026-01-02T00:00:00Z", $"{instances}");
            Assert.InRange(await Green(), Requests * instances / Instances - Off, Requests * instances / Instances + Off);
        }
        // Fewer are ready than would be let in: each instance counts for itself.
        await Ready("web-green", next, 1);
        Assert.InRange(await Green(), Requests / Instances - Off, Requests / Instances + Off);
        await Ready("web-green", next, Instances);

        // The label goes: the new colour has all that it is, and of the old one nothing is needed.
        await Colour("web-green", "green", "2026-01-02T00:00:00Z", null);
        Assert.Equal(Requests, await Green());
        // And back again.
        await Colour("web-green", "green", "2026-01-02T00:00:00Z", "0");
        Assert.Equal(0, await Green());

        // Whichever of the two Services is asked.
        async Task<int> Green()
        {
            var count = 0;
            for (var i = 0; i < Requests; i++)
            {
                var answer = await world.Ask(i % 2 == 0 ? blue : green);
                Assert.Contains(answer, (string[])["200 blue", "200 green"]);
                if (answer == "200 green") count++;
            }
            return count;
        }

        async Task Ready(string service, List<Backend> backends, int count)
        {
            await world.Slice(service, backends.Select((x, i) => new LbWorld.Ep($"{x.Name}-{i}", x.Port, Ready: i < count)));
            await world.Routed(service, count);
        }

        async Task Colour(string service, string colour, string started, string? letIn)
        {
            var labels = new JsonObject
            {
                ["HAPROXY_DEPLOYMENT_GROUP"] = "web",
                ["HAPROXY_DEPLOYMENT_COLOUR"] = colour,
                ["HAPROXY_DEPLOYMENT_STARTED_AT"] = started,
                ["HAPROXY_DEPLOYMENT_TARGET_INSTANCES"] = $"{Instances}",
                ["HAPROXY_DEPLOYMENT_NEW_INSTANCES"] = letIn,
            };
            var written = await world.Patch(Kind.Service, service, new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = labels } }.ToJsonString());
            await Eventually.True(() => world.Lb.Routes.Applied >= written.Revision, "the labels are in the table");
        }
    }
}
