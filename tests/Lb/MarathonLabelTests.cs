using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Lb.Marathon;
using Declarative.Lb.Settings;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>marathon-lb's labels one by one, over real sockets; those of hosts, users and deployments are in <see cref="MarathonTests"/>.</summary>
public sealed class MarathonLabelTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("roundrobin", Balance.RoundRobin)]
    [InlineData("static-rr", Balance.RoundRobin)]
    [InlineData("leastconn", Balance.LeastRequests)]
    [InlineData("source", Balance.Source)]
    [InlineData("random", Balance.Random)]
    [InlineData("random(2)", Balance.PowerOfTwo)]
    public void BalanceIsTheOneOfTheSameMeaning(string label, Balance balance)
    {
        var service = Service.Read(LbWorld.Bytes($$"""{"metadata":{"name":"web","namespace":"default","annotations":{"HAPROXY_0_BALANCE":"{{label}}"} },"spec":{"ports":[{"port":80}]} }"""));
        var (draft, problems) = (new SettingsDraft("default"), System.Collections.Immutable.ImmutableArray.CreateBuilder<string>());
        MarathonLabels.Read(service, 0, draft, new(), problems);
        Assert.Empty(problems);
        Assert.Equal(balance, draft.Backend.Balance);
    }

    [Fact]
    public async Task StickyKeepsAClientByACookie()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("web", [await world.Backend("a"), await world.Backend("b")]);
        await Label(world, "web", ("0_STICKY", "true"));
        using var answer = await world.Send(port);
        var cookie = answer.Headers.GetValues("Set-Cookie").Single().Split(';')[0];
        Assert.StartsWith("mesosphere_server_id=", cookie, StringComparison.Ordinal);
        var name = await answer.Content.ReadAsStringAsync(Stop);
        for (var i = 0; i < 4; i++) Assert.Equal("200 " + name, await world.Ask(port, with: x => x.Headers.Add("Cookie", cookie)));
    }

    /// <summary>Networks are separated by spaces; the label holds for both kinds of traffic.</summary>
    [Fact]
    public async Task ClientsOfOtherNetworksAreTurnedAway()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var (http, tcp) = (await world.Publish("web", [backend], "http"), await world.Publish("db", [backend], "tcp"));
        foreach (var service in (string[])["web", "db"]) await Label(world, service, ("0_BACKEND_NETWORK_ALLOWED_ACL", "192.0.2.0/24 127.0.0.0/8"));
        Assert.Equal(("200 a", "200 a"), (await world.Ask(http), await world.Ask(tcp)));
        foreach (var service in (string[])["web", "db"]) await Label(world, service, ("0_BACKEND_NETWORK_ALLOWED_ACL", "192.0.2.0/24"));
        Assert.StartsWith("403 ", await world.Ask(http), StringComparison.Ordinal);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, tcp, Stop);
        Assert.Equal(0, await client.GetStream().ReadAsync(new byte[1], Stop));
    }

    /// <summary>The place that an answer tells gets the prefix that the client knows.</summary>
    [Fact]
    public async Task PlacesGetThePrefixOfTheReverseProxy()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("web", [await world.Backend("a")]);
        await Label(world, "web", ("0_HTTP_BACKEND_REVPROXY_PATH", "/shop"));
        using var answer = await world.Send(port, "/redirect?to=%2Fcart");
        Assert.Equal("/shop/cart", answer.Headers.Location!.OriginalString);
    }

    [Fact]
    public async Task APortOfALabelIsListenedOnInItsMode()
    {
        await using var world = await LbWorld.Start();
        await world.Publish("web", [await world.Backend("a")]);
        var other = LbWorld.FreePort();
        await Label(world, "web", ("0_PORT", $"{other}"), ("0_MODE", "tcp"));
        Assert.Equal("200 a", await world.Ask(other));
        var cluster = world.Lb.Routes.Table.Clusters.Single();
        Assert.Equal((1L, 0L), (cluster.Counts.Connections, cluster.Counts.Requests)); // passed through
    }

    /// <summary>Only there, and the status says so.</summary>
    [Fact]
    public async Task AnAddressOfALabelIsListenedOn()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("web", [await world.Backend("a")]);
        await Label(world, "web", ("0_BIND_ADDR", "127.0.0.2"));
        Assert.Equal("200 a", await At("127.0.0.2"));
        await Assert.ThrowsAsync<HttpRequestException>(() => At("127.0.0.1"));
        await LbWorld.Until(() => world.Service("web"), x => x.Status.LoadBalancer.Ingress is [{ Ip: "127.0.0.2" } only] && only.Ports.Single().Port == port, "the status has the address");
        await Label(world, "web", ("0_BIND_ADDR", "*"));
        Assert.Equal("200 a", await At("127.0.0.1"));

        async Task<string> At(string address)
        {
            using var answer = await world.Http.GetAsync($"http://{address}:{port}/", Stop);
            return $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(Stop)}";
        }
    }

    /// <summary>It may have been meant to keep somebody out.</summary>
    [Theory]
    [InlineData("eth0")]
    [InlineData("1")]
    [InlineData("127.64.0.9")] // of a Service
    public async Task AnAddressThatIsNoneClosesThePort(string address)
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("web", [await world.Backend("a")]);
        await Label(world, "web", ("0_BIND_ADDR", address));
        Assert.StartsWith("503 ", await world.Ask(port), StringComparison.Ordinal);
        var condition = (await LbWorld.Until(() => world.Service("web"), x => x.Status.Conditions.Any(y => y.Type == "SettingsValid"), "the status says why")).Status.Conditions.Single(x => x.Type == "SettingsValid");
        Assert.Equal($"HAPROXY_0_BIND_ADDR: \"{address}\", expected an address of this machine outside of 127.64.0.0/12, or *: nobody is let in", condition.Message);
    }

    /// <summary>Each endpoint is asked at its own other port.</summary>
    [Fact]
    public async Task HealthIsAskedAtThePortOfALabel()
    {
        await using var world = await LbWorld.Start();
        var (a, b) = (await world.Backend("a"), await world.Backend("b"));
        using var works = new Listening();
        await world.Create(Kind.Service, "web", $$"""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"default","annotations":{"HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX":"1","declarative.mesos/lb-health-interval":"50ms","declarative.mesos/lb-health-fall":"1"} },
             "spec":{"type":"LoadBalancer","ports":[{"name":"web","port":{{LbWorld.FreePort()}} },{"name":"health","port":{{LbWorld.FreePort()}} }]} }
            """);
        await Slice("a", a.Port, works.Port);
        await Slice("b", b.Port, LbWorld.FreePort()); // nobody is there
        await world.Routed("web", 2);
        var cluster = world.Lb.Routes.Table.Clusters.Single(x => x.Name == "web");
        await Eventually.True(() => cluster.Destinations.Single(x => x.PodName == "b").Health.IsDown, "what does not answer there is out");
        for (var i = 0; i < 4; i++) Assert.Equal("200 a", await world.Ask(cluster.Number));

        Task Slice(string pod, int port, int health) => world.Create(Kind.EndpointSlice, "web-" + pod, $$"""
            {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4","metadata":{"name":"web-{{pod}}","namespace":"default","labels":{"kubernetes.io/service-name":"web"} },
             "ports":[{"name":"web","port":{{port}},"protocol":"TCP"},{"name":"health","port":{{health}},"protocol":"TCP"}],
             "endpoints":[{"addresses":["127.0.0.1"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","namespace":"default","name":"{{pod}}","uid":"uid-{{pod}}"} }]}
            """);
    }

    [Fact]
    public async Task APortThatIsNotEnabledHasNoLabels()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("web", [await world.Backend("a")]);
        await Label(world, "web", ("0_VHOST", "shop.example"), ("0_BACKEND_NETWORK_ALLOWED_ACL", "192.0.2.0/24"), ("0_ENABLED", "false"));
        Assert.Equal("200 a", await world.Ask(port));
        Assert.StartsWith("404 ", await world.Ask(world.Options.HttpPort, with: x => x.Headers.Host = "shop.example"), StringComparison.Ordinal);
        await Label(world, "web", ("0_ENABLED", "true"));
        Assert.StartsWith("403 ", await world.Ask(world.Options.HttpPort, with: x => x.Headers.Host = "shop.example"), StringComparison.Ordinal);
    }

    private static async Task Label(LbWorld world, string service, params (string Name, string? Value)[] labels)
    {
        var written = await world.Patch(Kind.Service, service, new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = new JsonObject(labels.Select(x => KeyValuePair.Create("HAPROXY_" + x.Name, (JsonNode?)x.Value))) } }.ToJsonString());
        await Eventually.True(() => world.Lb.Routes.Applied >= written.Revision, "the labels are in the table");
    }
}
