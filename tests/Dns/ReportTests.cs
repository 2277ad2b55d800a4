using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Xunit;

namespace Declarative.Tests.Dns;

public class ReportTests
{
    private static readonly ResourceKey ReportKey = ResourceKey.Of(Kind.TrafficReport, "", "dns-local");

    private const string Pod = """
        apiVersion: v1
        kind: Pod
        metadata:
          name: web
          annotations: {declarative.mesos/task: '{"id":"u.0","agent":"x-S0","ports":{"web/80":31000}}'}
        spec:
          nodeName: agent-0
          containers: [{name: web, command: [x], ports: [{containerPort: 80}]}]
        status: {phase: Running, hostIP: 127.0.0.1, podIP: 127.0.0.1, conditions: [{type: Ready, status: "True"}]}
        """;

    private static string Slice(bool terminating, string uid) => $"""
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: db-a
          labels:
            kubernetes.io/service-name: db
        addressType: IPv4
        endpoints:
        - addresses: [10.0.0.1]
          conditions:
            ready: {(terminating ? "false" : "true")}
            terminating: {(terminating ? "true" : "false")}
          targetRef:
            kind: Pod
            uid: {uid}
        ports:
        - name: http
          port: 80
          protocol: TCP
        """;

    private const string Headless = """
        apiVersion: v1
        kind: Service
        metadata: {name: db}
        spec: {clusterIP: None, ports: [{name: http, port: 80}]}
        """;

    [Fact]
    public async Task ReportIsRegisteredRenewedAndDeleted()
    {
        await using var dns = await RunningDns.Start();
        await dns.Part.Zones.Registered;
        var first = await Read(dns);
        Assert.Equal(("dns", 10), (first.Spec.Role, first.Spec.LeaseDurationSeconds));
        await Until(dns, r => r.Spec.RenewTime > first.Spec.RenewTime, "renewed");
        await dns.Stop();
        Assert.True((await Assert.ThrowsAsync<ApiException>(() => dns.Api.Get(ReportKey, stop: TestContext.Current.CancellationToken))).IsNotFound);
    }

    /// <summary>The contract of DNS: withdrawn at once, counted while an answer that named the pod may be cached, then 0.</summary>
    [Fact]
    public async Task WithdrawnPodIsCountedWhileItsAnswerMayBeCached()
    {
        await using var dns = await RunningDns.Start(new DnsOptions { Times = new() { Ttl = 2 } });
        var uid = (await dns.Apply(Pod)).Uid;
        await dns.Apply(Headless);
        await dns.Apply(Slice(terminating: false, uid));
        await ServerTests.Eventually(dns, "web.declarative.mesos", RecordType.A, 1);
        await ServerTests.Eventually(dns, "db.default.svc.cluster.local", RecordType.A, 1);
        var marked = (await dns.Apply(Slice(terminating: true, uid))).Revision;
        await ServerTests.Eventually(dns, "web.declarative.mesos", RecordType.A, 0);
        await ServerTests.Eventually(dns, "db.default.svc.cluster.local", RecordType.A, 0);
        await Until(dns, r => r.Status.ObservedRevision >= marked && r.Status.Draining is [{ InFlight: 1, Address: "127.0.0.1" } one] && one.PodUID == uid, "counted");
        await Until(dns, r => r.Status.ObservedRevision >= marked && r.Status.Draining is [{ InFlight: 0 }], "drained");
    }

    [Fact]
    public async Task NameThatNobodyAskedForDelaysNothing()
    {
        // An answer stays in caches for an hour, but there was none.
        await using var dns = await RunningDns.Start(new DnsOptions { Times = new() { Ttl = 3600 } });
        var uid = (await dns.Apply(Pod)).Uid;
        await Until(dns, r => r.Status.ObservedRevision > 0, "registered");
        var marked = (await dns.Api.Delete(ResourceKey.Of(Kind.Pod, "default", "web"), new DeleteOptions { GracePeriodSeconds = 30 }, TestContext.Current.CancellationToken)).Revision;
        await Until(dns, r => r.Status.ObservedRevision >= marked && r.Status.Draining is [{ InFlight: 0 } one] && one.PodUID == uid, "nothing in flight");
        await ServerTests.Eventually(dns, "web.declarative.mesos", RecordType.A, 0);
    }

    /// <summary>The name must be gone from answers before the report says that it has been seen.</summary>
    [Fact]
    public async Task ObservedMeansWithdrawn()
    {
        await using var dns = await RunningDns.Start();
        for (var i = 0; i < 20; i++)
        {
            var uid = (await dns.Apply(Pod.Replace("name: web", $"name: web{i}", StringComparison.Ordinal))).Uid;
            await ServerTests.Eventually(dns, $"web{i}.declarative.mesos", RecordType.A, 1);
            var marked = (await dns.Apply(Slice(terminating: true, uid))).Revision;
            await Until(dns, r => r.Status.ObservedRevision >= marked, "observed");
            Assert.Empty((await dns.Ask($"web{i}.declarative.mesos", RecordType.A))!.Answers);
            var pod = Assert.Single((await Read(dns)).Status.Draining, p => p.PodUID == uid);
            Assert.Equal(1, pod.InFlight);
        }
    }

    private static async Task<TrafficReport> Read(RunningDns dns) => TrafficReport.Read((await dns.Api.Get(ReportKey, stop: TestContext.Current.CancellationToken)).Json);

    private static async Task Until(RunningDns dns, Func<TrafficReport, bool> condition, string what)
    {
        await dns.Part.Zones.Registered;
        var end = DateTime.UtcNow.AddSeconds(30);
        while (true)
        {
            var report = await Read(dns);
            if (condition(report))
                return;
            Assert.True(DateTime.UtcNow < end, $"the report never showed: {what}; last {report} {string.Join(',', report.Status.Draining)}");
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }
}
