using System.Net;
using System.Net.WebSockets;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

public sealed class DrainTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ATerminatingPodGetsNoNewRequestAndIsReportedUntilItsLastOneEnds()
    {
        await using var world = await LbWorld.Start();
        Backend[] backends = [await world.Backend("a"), await world.Backend("b")];
        var port = await world.Publish("hello", backends);
        var waiting = (Task<string>[])[world.Get(port, "/wait"), world.Get(port, "/wait")];
        await Eventually.True(() => backends.All(x => x.Inside == 1), "one request is at each");

        var marked = await world.Slice("hello", [new("a", backends[0].Port, Ready: false, Terminating: true), new("b", backends[1].Port)]);
        var report = await LbWorld.Until(world.Report, x => x.Status.ObservedRevision >= marked, "the mark is observed");
        Assert.Equal([new DrainingPod { PodUID = "uid-a", Address = "127.0.0.1", InFlight = 1 }], report.Status.Draining);
        for (var i = 0; i < 10; i++) Assert.Equal("b", await world.Get(port));
        Assert.Equal(1, (await world.Report()).Status.Draining.Single().InFlight);

        backends[0].Release();
        await LbWorld.Until(world.Report, x => x.Status.Draining is [{ PodUID: "uid-a", InFlight: 0 }], "the last request is reported as ended");
        Assert.Equal("a", await await Task.WhenAny(waiting));
        await world.Slice("hello", [new("b", backends[1].Port)]);
        await LbWorld.Until(world.Report, x => x.Status.Draining.Count == 0, "the pod is forgotten");
        backends[1].Release();
        Assert.Equal(["a", "b"], (await Task.WhenAll(waiting)).Order());
    }

    [Fact]
    public async Task APodThatLeavesItsSliceIsReportedWhileItHasRequests()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend]);
        var waiting = world.Get(port, "/wait");
        await Eventually.True(() => backend.Inside == 1, "the request is there");
        await world.Delete(Kind.Service, "hello");
        await world.Slice("hello", []);
        await LbWorld.Until(world.Report, x => x.Status.Draining is [{ PodUID: "uid-a", InFlight: 1 }], "it is reported");
        backend.Release();
        Assert.Equal("a", await waiting);
        await LbWorld.Until(world.Report, x => x.Status.Draining.Count == 0, "it is forgotten");
    }

    [Fact]
    public async Task OneLinePerPodCountsAllServices()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        int[] ports = [await world.Publish("one", [backend]), await world.Publish("two", [backend])];
        var waiting = ports.Select(x => world.Get(x, "/wait")).ToList();
        await Eventually.True(() => backend.Inside == 2, "both are there");
        await world.Slice("one", [new("a", backend.Port, Ready: false, Terminating: true)]);
        var marked = await world.Slice("two", [new("a", backend.Port, Ready: false, Terminating: true)]);
        await LbWorld.Until(world.Report, x => x.Status.ObservedRevision >= marked && x.Status.Draining is [{ PodUID: "uid-a", InFlight: 2 }], "both are counted");
        backend.Release();
        await Task.WhenAll(waiting);
        await LbWorld.Until(world.Report, x => x.Status.Draining is [{ InFlight: 0 }], "none is left");
    }

    [Fact]
    public async Task ADownloadAndAWebSocketOutliveEveryChangeAroundThem()
    {
        await using var world = await LbWorld.Start();
        Backend[] backends = [await world.Backend("a"), await world.Backend("b")];
        var port = await world.Publish("hello", [backends[0]]);
        using var download = await world.Http.GetAsync($"http://127.0.0.1:{port}/download", HttpCompletionOption.ResponseHeadersRead, Stop);
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{port}/ws"), Stop);

        await world.Slice("hello", [new("a", backends[0].Port), new("b", backends[1].Port)]);
        await world.Routed("hello", 2);
        for (var i = 0; i < 20; i++)
        {
            await world.Slice("hello", i % 2 == 0 ? [new("b", backends[1].Port)] : [new("a", backends[0].Port, Ready: false, Terminating: true), new("b", backends[1].Port)]);
            if (i % 5 == 0) await world.Service($"other-{i}", LbWorld.FreePort());
            await world.Get(port);
        }
        await world.Delete(Kind.Service, "hello");
        await Eventually.True(() => !world.Lb.Routes.Table.Services.Any(x => x.Name == "hello"), "the Service is gone");
        backends[0].Release();
        Assert.Equal(2_000_000, (await download.Content.ReadAsByteArrayAsync(Stop)).Length);
        await socket.SendAsync("still here"u8.ToArray(), WebSocketMessageType.Text, true, Stop);
        var buffer = new byte[100];
        Assert.Equal(10, (await socket.ReceiveAsync(buffer, Stop)).Count);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Stop);
    }

    /// <summary>Several side by side, without a word between them: each serves everything, and tells of its own requests.</summary>
    [Fact]
    public async Task EachOfTwoBalancersServesAndReportsItsOwnRequests()
    {
        await using var world = await LbWorld.Start();
        var second = world.Options with { Id = "second", PortOffset = 1, HttpPort = 0, H2cPort = 0, HttpsPort = 0, AdminPort = 0, ClusterIps = IPNetwork.Parse("127.0.0.0/32") };
        using var stop = new CancellationTokenSource();
        using var part = new Declarative.Lb.LbPart(second);
        var running = Task.Run(() => part.Run(world.Server.Server.As(User.Lb), TimeProvider.System, new Random(2), stop.Token), Stop);
        try
        {
            await Eventually.True(() => part.IsReady, "the second balancer is ready");
            var backend = await world.Backend("a");
            var port = await world.Publish("hello", [backend]);
            await Eventually.True(() => part.Routes.Table.Clusters.SingleOrDefault()?.ReadyCount == 1, "the second one has the endpoint");
            Assert.Equal(("200 a", "200 a"), (await world.Ask(port), await world.Ask(port + 1)));
            var waiting = world.Get(port + 1, "/wait");
            await Eventually.True(() => backend.Inside == 1, "a request is in flight through the second");
            var marked = await world.Slice("hello", [new("a", backend.Port, Ready: false, Terminating: true)]);
            await LbWorld.Until(world.Report, x => x.Status.ObservedRevision >= marked && x.Status.Draining is [{ PodUID: "uid-a", InFlight: 0 }], "the first has none");
            await LbWorld.Until(Second, x => x.Status.ObservedRevision >= marked && x.Status.Draining is [{ PodUID: "uid-a", InFlight: 1 }], "the second has it");
            backend.Release();
            Assert.Equal("a", await waiting);
            await LbWorld.Until(Second, x => x.Status.Draining is [{ InFlight: 0 }], "it has ended");
        }
        finally
        {
            await stop.CancelAsync();
            await running;
        }

        async Task<TrafficReport> Second() => TrafficReport.Read((await world.Api.Get(ResourceKey.Of(Kind.TrafficReport, "", "lb-second"))).Json);
    }

    /// <summary>Scale 3→10→1 as decision 12 does it: mark, wait for the report, then kill at once without any grace.</summary>
    [Fact]
    public async Task ScalingUnderLoadFailsNoRequest()
    {
        await using var world = await LbWorld.Start();
        var live = new List<Backend>();
        for (var i = 0; i < 3; i++) live.Add(await world.Backend($"p{i}"));
        var port = await world.Publish("hello", live);
        using var done = new CancellationTokenSource();
        var sent = 0;
        var load = Enumerable.Range(0, 8).Select(async _ =>
        {
            while (!done.IsCancellationRequested)
            {
                using var answer = await world.Http.GetAsync($"http://127.0.0.1:{port}/");
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                Interlocked.Increment(ref sent);
            }
        }).ToList();
        for (var i = 3; i < 10; i++) live.Add(await world.Backend($"p{i}"));
        await world.Slice("hello", live.Select(x => new LbWorld.Ep(x.Name, x.Port)));
        await world.Routed("hello", 10);
        while (live.Count > 1)
        {
            var victim = live[0];
            var before = sent;
            var marked = await world.Slice("hello", live.Select(x => new LbWorld.Ep(x.Name, x.Port, x != victim, x == victim)));
            await LbWorld.Until(world.Report, x => x.Status.ObservedRevision >= marked && x.Status.Draining.All(y => y.InFlight == 0), $"the balancer lets go of {victim.Name}", () => $"inside it {victim.Inside} of {victim.Requests}, sent {sent}, in flight {string.Join(' ', world.Lb.Routes.Table.Clusters.Single().Destinations.Select(x => $"{x.PodName}:{x.InFlight}"))}, loops ended {load.Count(x => x.IsCompleted)}");
            await victim.DisposeAsync();
            live.RemoveAt(0);
            await world.Slice("hello", live.Select(x => new LbWorld.Ep(x.Name, x.Port)));
            await Eventually.True(() => sent >= before + 50, "the load goes on");
        }
        await done.CancelAsync();
        await Task.WhenAll(load);
        Assert.Equal(0, world.Lb.Routes.Table.Clusters.Single().Counts.Retries);
    }

    [Fact]
    public async Task AnOrderlyStopLetsRequestsEndAndTakesTheReportBack()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend]);
        var waiting = world.Get(port, "/wait");
        await Eventually.True(() => backend.Inside == 1, "the request is there");
        var stopping = world.Stop();
        await Eventually.True(() => !world.Lb.IsReady, "it says that it is stopping");
        Assert.Equal("uid-a", world.Lb.Routes.Table.Clusters.Single().Destinations.Single().PodUid);
        Assert.NotNull(await world.Report());
        backend.Release();
        Assert.Equal("a", await waiting);
        await stopping;
        await Assert.ThrowsAsync<ApiException>(world.Report);
    }
}
