using System.Net;
using System.Net.Sockets;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

public sealed class PortTests
{
    [Fact]
    public async Task OfTwoServicesOnOnePortTheOlderHasItAndTheOtherSaysWhoHoldsIt()
    {
        await using var world = await LbWorld.Start();
        Backend[] backends = [await world.Backend("a"), await world.Backend("b")];
        var port = await world.Publish("first", [backends[0]]);
        await LbWorld.Until(() => world.Service("first"), x => x.Status.LoadBalancer.Ingress.Count == 1, "the first has the port");
        await Task.Delay(1100, TestContext.Current.CancellationToken); // creationTimestamp counts whole seconds: the second is to be younger
        await world.Service("second", port);
        await world.Slice("second", [new("b", backends[1].Port)]);
        var loser = await LbWorld.Until(() => world.Service("second"), x => x.Status.Conditions.Count > 0, "the second has a condition");
        Assert.Empty(loser.Status.LoadBalancer.Ingress);
        var condition = loser.Status.Conditions.Single();
        Assert.Equal(("PortAvailable", "False", "PortTaken"), (condition.Type, condition.Status, condition.Reason));
        Assert.StartsWith($"port {port} on 127.0.0.1 is held by Service default/first", condition.Message, StringComparison.Ordinal);
        await LbWorld.Until(() => world.Api.List(new(Kind.Event, "default")), x => x.Items.Any(y => Event.Read(y.Json) is { Reason: "PortUnavailable", Type: "Warning" } e && e.InvolvedObject.Name == "second" && e.Message == condition.Message), "an event names the holder");
        Assert.Equal("a", await world.Get(port));

        await world.Delete(Kind.Service, "first");
        var heir = await LbWorld.Until(() => world.Service("second"), x => x.Status.LoadBalancer.Ingress.Count == 1, "the second takes the port over");
        Assert.True(heir.Status.Conditions.Single().IsTrue);
        Assert.Equal("b", await world.Get(port));
    }

    [Fact]
    public async Task APortOfAnotherProgramIsTakenWhenItIsFree()
    {
        await using var world = await LbWorld.Start();
        var port = LbWorld.FreePort();
        using (var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            other.Bind(new IPEndPoint(IPAddress.Loopback, port));
            other.Listen();
            await world.Service("hello", port);
            var service = await LbWorld.Until(() => world.Service("hello"), x => x.Status.Conditions.Count > 0, "it says so");
            Assert.Empty(service.Status.LoadBalancer.Ingress);
            Assert.StartsWith($"port {port} on 127.0.0.1 is in use by another program", service.Status.Conditions.Single().Message, StringComparison.Ordinal);
        }
        await LbWorld.Until(() => world.Service("hello"), x => x.Status.LoadBalancer.Ingress.Count == 1, "the port is taken again");
    }

    [Fact]
    public async Task APortOfThePlatformIsRefusedByName()
    {
        var taken = LbWorld.FreePort();
        await using var world = await LbWorld.Start(platformPorts: new Dictionary<int, string> { [taken] = "API server" });
        await world.Service("one", taken);
        await world.Service("two", world.Options.AdminPort);
        var one = await LbWorld.Until(() => world.Service("one"), x => x.Status.Conditions.Count > 0, "it says so");
        Assert.StartsWith($"port {taken} on 127.0.0.1 is used by the platform: API server", one.Status.Conditions.Single().Message, StringComparison.Ordinal);
        var two = await LbWorld.Until(() => world.Service("two"), x => x.Status.Conditions.Count > 0, "it says so");
        Assert.Contains("load balancer, admin", two.Status.Conditions.Single().Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ListenersComeAndGoWithServices()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend]);
        Assert.Equal("a", await world.Get(port));
        await world.Patch(Kind.Service, "hello", """{"spec":{"type":"ClusterIP","ports":[{"port":PORT,"nodePort":null}]}}""".Replace("PORT", $"{port}", StringComparison.Ordinal));
        await LbWorld.Until(() => world.Service("hello"), x => x.Status.LoadBalancer.Ingress.Count == 0, "its status is empty again");
        await Assert.ThrowsAsync<HttpRequestException>(() => NewConnection(port));

        async Task NewConnection(int to)
        {
            using var http = new HttpClient();
            await http.GetStringAsync($"http://127.0.0.1:{to}/");
        }
    }

    [Fact]
    public async Task ASharedPortThatIsTakenIsNamedBeforeAnythingStarts()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;
        using var lb = new Declarative.Lb.LbPart(new() { HttpPort = port - 10, PortOffset = 10, H2cPort = 0, HttpsPort = 0, AdminPort = 0 });
        var error = await Assert.ThrowsAsync<IOException>(() => lb.Open(TimeProvider.System, TestContext.Current.CancellationToken));
        Assert.Equal($"load balancer: port {port} on 127.0.0.1 is in use by another program", error.Message);
    }

    [Fact]
    public async Task NodePortsAnswer()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        await world.Service("hello", LbWorld.FreePort(), type: "NodePort");
        await world.Slice("hello", [new("a", backend.Port)]);
        await world.Routed("hello", 1);
        var nodePort = (await world.Service("hello")).Spec.Ports.Single().NodePort;
        await Eventually.True(() => world.Lb.Routes.Table.Listeners.ContainsKey(new("127.0.0.1", nodePort)), "the node port is claimed");
        Assert.Equal("a", await world.Get(nodePort));
    }

    [Fact]
    public async Task IngressRoutesByHostAndPath()
    {
        await using var world = await LbWorld.Start();
        await world.Publish("shop", [await world.Backend("shop")]);
        await world.Publish("admin", [await world.Backend("admin")]);
        var ports = world.Lb.Routes.Table.Clusters.ToDictionary(x => x.Service.Name, x => x.Number);
        var json = """
            {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"site","namespace":"default"},"spec":{"rules":[
              {"host":"shop.example","http":{"paths":[
                {"path":"/","pathType":"Prefix","backend":{"service":{"name":"shop","port":{"number":SHOP}}}},
                {"path":"/admin","pathType":"Prefix","backend":{"service":{"name":"admin","port":{"number":ADMIN}}}},
                {"path":"/lost","pathType":"Exact","backend":{"service":{"name":"nowhere","port":{"number":80}}}}]}}]}}
            """.Replace("SHOP", $"{ports["shop"]}", StringComparison.Ordinal).Replace("ADMIN", $"{ports["admin"]}", StringComparison.Ordinal);
        await world.Create(Kind.Ingress, "site", json);
        await LbWorld.Until(() => world.Api.Get(ResourceKey.Of(Kind.Ingress, "default", "site")), x => Ingress.Read(x.Json).Status.LoadBalancer.Ingress is [{ Ip: "127.0.0.1" }], "its status says where");
        Assert.Equal("200 shop", await Ask("shop.example", "/"));
        Assert.Equal("200 admin", await Ask("SHOP.example", "/admin/users"));
        Assert.Equal("200 shop", await Ask("shop.example", "/administrator"));
        Assert.StartsWith("503 An Ingress sends this to Service default/nowhere port 80", await Ask("shop.example", "/lost"), StringComparison.Ordinal);
        Assert.StartsWith("404 No Ingress has a rule", await Ask("other.example", "/"), StringComparison.Ordinal);

        async Task<string> Ask(string host, string path)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{world.Options.HttpPort}{path}");
            request.Headers.Host = host;
            using var answer = await world.Http.SendAsync(request);
            return $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}";
        }
    }

    /// <summary>An Ingress of somebody else's class is somebody else's, and whose the class is may be said later.</summary>
    [Fact]
    public async Task AnIngressIsServedWhereItsClassIsThisBalancers()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("shop", [await world.Backend("shop")]);
        foreach (var name in (string[])["none", "ours", "theirs"])
        {
            await world.Create(Kind.Ingress, name, $$"""
                {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"{{name}}","namespace":"default"},"spec":{ {{(name == "none" ? "" : $"\"ingressClassName\":\"{name}\",")}}
                 "rules":[{"host":"{{name}}.example","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"shop","port":{"number":{{port}} } } } }]} }]} }
                """);
        }
        await Eventually.Async(async () => await Ask("none") == "200 shop", "without a class it is served");
        Assert.StartsWith("404 ", await Ask("ours"), StringComparison.Ordinal);
        foreach (var (name, controller) in ((string, string)[])[("theirs", "example.com/other"), ("ours", "declarative.mesos/lb")])
        {
            await world.Api.Create(ResourceKey.Of(Kind.IngressClass, "", name), LbWorld.Bytes($$"""{"apiVersion":"networking.k8s.io/v1","kind":"IngressClass","metadata":{"name":"{{name}}"},"spec":{"controller":"{{controller}}"} }"""), stop: TestContext.Current.CancellationToken);
        }
        await Eventually.Async(async () => await Ask("ours") == "200 shop", "its class is this balancer's");
        Assert.StartsWith("404 ", await Ask("theirs"), StringComparison.Ordinal);

        Task<string> Ask(string host) => world.Ask(world.Options.HttpPort, with: x => x.Headers.Host = host + ".example");
    }
}
