using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>Names as the processes of a pod find them.</summary>
[Collection(EndToEndTests.Name)]
public sealed class PodNamesTests
{
    /// <summary>A resolv.conf of their own needs the right to mount, and port 53 the right to bind it: both are root's.</summary>
    [Fact]
    public async Task A_process_in_a_pod_finds_services_by_short_name()
    {
        Assert.SkipWhen(Environment.UserName != "root", "only root may mount");
        await RunningPlatform.With(async platform =>
        {
            await platform.Up("--apply", Installation.Hello);
            (await platform.RolledOut("hello")).Succeeds();
            (await platform.Apply("""
                apiVersion: v1
                kind: Pod
                metadata: {name: asks}
                spec:
                  containers:
                  - name: asks
                    command: ["/bin/sh", "-c", "getent hosts hello; getent hosts hello.default; getent hosts nobody || echo none; cat /etc/resolv.conf; sleep 1000"]
                """)).Succeeds();
            var said = "";
            await RunningPlatform.Until(async () => (said = (await platform.Kubectl("logs", "asks")).Output).Contains("ndots", StringComparison.Ordinal), "the pod has asked");
            var address = (string)(await platform.Get("service", "hello"))["spec"]!["clusterIP"]!;
            Assert.Equal([address, "hello.default.svc.cluster.local"], said.Split('\n')[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
            Assert.StartsWith(address, said.Split('\n')[1], StringComparison.Ordinal);
            Assert.Equal("none", said.Split('\n')[2]);
            // A command beside it sees what it sees, in its directory.
            var beside = (await platform.Kubectl("exec", "asks", "--", "/bin/sh", "-c", "getent hosts hello; pwd; echo $MESOS_SANDBOX")).Succeeds().Output.Split('\n');
            Assert.StartsWith(address, beside[0], StringComparison.Ordinal);
            Assert.Equal(beside[2], beside[1]);
            // The machine's own file is as it was.
            Assert.DoesNotContain("svc.cluster.local", await File.ReadAllTextAsync("/etc/resolv.conf", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        });
    }
}
