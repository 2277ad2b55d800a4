using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Controllers.Placement;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>The traffic contract (architecture.md, decision 12): when TERM may be sent.</summary>
public class DrainTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static TrafficReport Report(string role, long observed, int inFlight = 0, int age = 0, string id = "1") => new()
    {
        Metadata = new() { Name = $"{role}-{id}" },
        Spec = new() { Role = role, RenewTime = Now.AddSeconds(-age) },
        Status = new() { ObservedRevision = observed, Draining = inFlight > 0 ? [new() { PodUID = "u", InFlight = inFlight }] : [] },
    };

    [Fact]
    public void Nothing_is_waited_for_where_nobody_stands_before_the_pod()
    {
        Assert.True(Drain.IsDrained("u", 10, default, [], Now, out _));
        Assert.True(Drain.IsDrained("u", 10, default, [Report("endpoints", 1)], Now, out _));
        Assert.True(Drain.IsDrained("u", 10, default, [Report("lb", 1, age: 11)], Now, out _));
    }

    [Theory]
    [InlineData(9, 12, 12, 0, 0, false)] // endpoints have not seen the deletion
    [InlineData(10, 11, 12, 0, 0, false)] // lb has not seen the slice
    [InlineData(10, 12, 11, 0, 0, false)] // dns has not
    [InlineData(10, 12, 12, 1, 0, false)] // a request in flight
    [InlineData(10, 12, 12, 0, 1, false)] // an answer may be cached
    [InlineData(10, 12, 12, 0, 0, true)]
    public void A_pod_in_a_slice_waits_for_endpoints_lb_and_dns(long endpoints, long lb, long dns, int lbFlights, int dnsFlights, bool drained)
    {
        var slices = new SliceView(12, AllMarked: true);
        Assert.Equal(drained, Drain.IsDrained("u", 10, slices, [Report("endpoints", endpoints), Report("lb", lb, lbFlights), Report("dns", dns, dnsFlights)], Now, out var waitsFor));
        Assert.Equal(drained, waitsFor.Length == 0);
    }

    [Fact]
    public void A_pod_in_no_slice_waits_for_endpoints_and_dns_alone()
    {
        Assert.True(Drain.IsDrained("u", 10, new(0, true), [Report("endpoints", 10), Report("lb", 1), Report("dns", 10)], Now, out _));
        Assert.False(Drain.IsDrained("u", 10, new(0, true), [Report("endpoints", 10), Report("dns", 9)], Now, out _));
    }

    [Theory]
    [InlineData(30, 20)]
    [InlineData(3, 2)]
    [InlineData(2, 1)]
    [InlineData(1, 0)]
    [InlineData(0, 0)]
    public void Draining_may_use_the_grace_period_less_a_third(int grace, int share) =>
        Assert.Equal(share, Drain.Share(new() { Spec = new() { TerminationGracePeriodSeconds = grace } }).TotalSeconds, 3);

    [Fact]
    public void Term_follows_the_reports_and_leaves_the_rest_of_the_grace_period() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        await Write(x, "endpoints", 1);
        await Write(x, "lb", 1);
        await Write(x, "dns", 1);
        var slice = await x.Create(Slice(pod.Uid, terminating: false));
        await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", "web"));
        var deletion = (await x.Api.Get(ResourceKey.Of(Kind.Pod, "default", "web"))).Revision;
        await x.Sleep(3);
        await Renew(x);
        Assert.Empty(Kills(x));

        slice = await x.Api.Patch(slice.Key, PatchKind.Merge, Encoding.UTF8.GetBytes(Slice(pod.Uid, terminating: true)));
        await Write(x, "endpoints", deletion);
        await x.Sleep(1);
        Assert.Empty(Kills(x));
        await Write(x, "lb", slice.Revision, pod.Uid, 2);
        await Write(x, "dns", slice.Revision);
        await x.Sleep(1);
        Assert.Empty(Kills(x));
        await Write(x, "lb", slice.Revision, pod.Uid, 0);
        await x.WaitUntil(() => Task.FromResult(Kills(x).Count == 1), "KILL", seconds: 1);
        Assert.InRange(double.Parse(Kills(x)[0].Split(' ')[2], CultureInfo.InvariantCulture), 23, 26);
        await x.WaitUntil(async () => !await x.Exists("web"), "removed");
        Assert.Equal(1, x.Placement.Counters["drained"]);
    });

    [Fact]
    public void A_balancer_that_never_reports_holds_a_pod_no_longer_than_its_share() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        await Write(x, "endpoints", long.MaxValue / 2);
        await Write(x, "lb", 1);
        await x.Create(Slice(pod.Uid, terminating: true));
        var begin = x.World.Elapsed;
        await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", "web"));
        for (var i = 0; i < 6; i++)
        {
            await x.Sleep(3);
            await Renew(x);
            Assert.Empty(Kills(x));
        }
        await x.WaitUntil(() => Task.FromResult(Kills(x).Count == 1), "KILL", seconds: 4);
        Assert.InRange((x.World.Elapsed - begin).TotalSeconds, 19, 21);
        Assert.Equal(1, x.Placement.Counters["drain-timeouts"]);
    });

    /// <summary>What <c>kubectl describe pod</c> shows: for whom it waits, then how long that took and what is left.</summary>
    [Fact]
    public void The_order_is_told_by_events_with_their_durations() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        await Write(x, "endpoints", long.MaxValue / 2);
        var slice = await x.Create(Slice(pod.Uid, terminating: true));
        await Write(x, "lb", slice.Revision, pod.Uid, 1);
        await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", "web"));
        await x.Sleep(5);
        Assert.Equal(["Waiting for lb-1, at most 20 s, before the containers are told to stop"], await Events(x, "Draining"));
        await Write(x, "lb", slice.Revision, pod.Uid, 0);
        await x.WaitUntil(async () => (await Events(x, "Killing")).Count == 1, "the event");
        Assert.Matches(@"^Stopping container \S+ \(drained after 5(\.\d+)? s, 2[45](\.\d)? s to end\)$", (await Events(x, "Killing"))[0]);
    });

    private static async Task<List<string>> Events(Cluster x, string reason) =>
        [.. (await x.Api.List(new(Kind.Event))).Items.Select(y => Event.Read(y.Json)).Where(y => y.Reason == reason && y.InvolvedObject.Name == "web").Select(y => y.Message)];

    private static List<string> Kills(Cluster x) => [.. x.Spy.Log.Where(y => y.StartsWith("KILL", StringComparison.Ordinal))];

    private static string Slice(string uid, bool terminating) => $$"""
        {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"web-1","namespace":"default",
         "labels":{"kubernetes.io/service-name":"web","endpointslice.kubernetes.io/managed-by":"endpoints.declarative.mesos"} },
         "addressType":"IPv4","ports":[],"endpoints":[{"addresses":["127.0.0.1"],
         "conditions":{"ready":{{(terminating ? "false" : "true")}},"terminating":{{(terminating ? "true" : "false")}} },
         "targetRef":{"kind":"Pod","name":"web","uid":"{{uid}}"} }]}
        """;

    private static async Task Renew(Cluster x)
    {
        foreach (var report in (await x.Api.List(new(Kind.TrafficReport))).Items)
        {
            await x.Api.Patch(report.Key, PatchKind.Merge, Encoding.UTF8.GetBytes($$"""{"spec":{"renewTime":"{{x.World.Time.GetUtcNow():yyyy-MM-ddTHH:mm:ss.ffffffZ}}"} }"""));
        }
    }

    private static async Task Write(Cluster x, string role, long observed, string uid = "", int inFlight = 0)
    {
        var key = ResourceKey.Of(Kind.TrafficReport, "", role + "-1");
        var time = x.World.Time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture);
        var body = $$"""
            {"apiVersion":"declarative.mesos/v1","kind":"TrafficReport","metadata":{"name":"{{role}}-1"},"spec":{"role":"{{role}}","leaseDurationSeconds":10,"renewTime":"{{time}}"} }
            """;
        try
        {
            await x.Api.Create(key, Encoding.UTF8.GetBytes(body));
        }
        catch (ApiException e) when (e.Code == 409)
        {
            await x.Api.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes(body));
        }
        var draining = uid.Length == 0 ? "" : $$"""{"podUID":"{{uid}}","address":"127.0.0.1","inFlight":{{inFlight}} }""";
        await x.Api.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes($$"""{"status":{"observedRevision":{{observed}},"draining":[{{draining}}]} }"""), new() { Subresource = "status" });
    }
}
