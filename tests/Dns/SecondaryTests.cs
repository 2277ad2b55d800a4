using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Xunit;

namespace Declarative.Tests.Dns;

/// <summary>Knot DNS of Debian's packages as a secondary server: it copies the zones, hears of changes and fetches them.</summary>
public class SecondaryTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task KnotKeepsACopyThatFollows()
    {
        var program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Select(p => Path.Combine(p, "knotd")).FirstOrDefault(File.Exists);
        Assert.SkipWhen(program is null, "knotd is not installed (Debian: knot)");
        var port = FreePort();
        await using var dns = await RunningDns.Start(new DnsOptions { TransferTo = [IPNetwork.Parse("127.0.0.0/8")], Notify = [new(IPAddress.Loopback, port)] });
        await dns.Apply(WireFeatureTests.Service("web", "127.64.0.20"));
        await dns.Until("web.default.svc.cluster.local", RecordType.A, 1);
        var folder = Directory.CreateTempSubdirectory();
        var config = Path.Combine(folder.FullName, "knot.conf");
        await File.WriteAllTextAsync(config, $"""
            server:
                rundir: {folder.FullName}
                listen: 127.0.0.1@{port}
            database:
                storage: {folder.FullName}
            log:
              - target: stdout
                any: info
            remote:
              - id: primary
                address: 127.0.0.1@{dns.Address.Port}
            acl:
              - id: told
                address: 127.0.0.1
                action: notify
            zone:
              - domain: cluster.local.
                storage: {folder.FullName}
                master: primary
                acl: told
                zonefile-sync: -1
            """, Stop);
        using var knot = Process.Start(new ProcessStartInfo(program!, ["-c", config]) { UseShellExecute = false, RedirectStandardOutput = true })!;
        var log = new List<string>();
        knot.OutputDataReceived += (_, line) =>
        {
            lock (log)
                log.Add(line.Data ?? "");
        };
        knot.BeginOutputReadLine();
        try
        {
            await Until("web.default.svc.cluster.local A", "127.64.0.20");
            // Changes come by themselves, long before the zone's refresh time, and as what changed alone.
            for (var i = 0; i < 5; i++)
            {
                await dns.Apply(WireFeatureTests.Service($"s{i}", $"127.64.1.{i + 1}"));
                await Until($"s{i}.default.svc.cluster.local A", $"127.64.1.{i + 1}");
            }
            await Until("1.1.64.127.in-addr.arpa PTR", ""); // another zone, which it was not given
            lock (log)
                Assert.Contains(log, line => line.Contains("IXFR, incoming", StringComparison.Ordinal) && line.Contains("finished", StringComparison.Ordinal));
        }
        finally
        {
            knot.Kill();
            await knot.WaitForExitAsync(CancellationToken.None);
            folder.Delete(recursive: true);
        }

        async Task Until(string question, string answer)
        {
            var seen = "";
            await WireFeatureTests.Until(async () =>
            {
                Assert.False(knot.HasExited, string.Join('\n', log));
                seen = (await ServerTests.Run("dig", $"@127.0.0.1 -p {port} {question} +short")).Trim();
                return seen == answer;
            }, $"{question} is {answer}");
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
