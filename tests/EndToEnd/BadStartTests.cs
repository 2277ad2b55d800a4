using System.Net;
using System.Net.Sockets;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>A start that can not be says what is wrong and what to do, exits non-zero, and has started nothing.</summary>
[Collection(EndToEndTests.Name)]
public sealed class BadStartTests
{
    [Fact]
    public Task A_port_that_is_taken() => RunningPlatform.With(async platform =>
    {
        using var other = new TcpListener(IPAddress.Loopback, platform.Ports.DnsHttp);
        other.Start();
        (await Up(platform)).Fails($"port {platform.Ports.DnsHttp}", "in use", "--port-offset");
        await NothingStarted(platform);
    });

    [Fact]
    public Task A_udp_port_that_is_taken() => RunningPlatform.With(async platform =>
    {
        using var other = new UdpClient(new IPEndPoint(IPAddress.Loopback, platform.Ports.Dns));
        (await Up(platform)).Fails($"port {platform.Ports.Dns}", "DNS", "in use");
        await NothingStarted(platform);
    });

    [Fact]
    public Task A_directory_that_can_not_be_written() => RunningPlatform.With(async platform =>
    {
        var file = Path.Combine(platform.Data, "file");
        await File.WriteAllTextAsync(file, "not a directory");
        foreach (var data in (string[])[file, Path.Combine(file, "below"), "/proc/declarative"])
        {
            (await RunningPlatform.Run("up", "--data", data, "--port-offset", platform.Offset)).Fails("--data " + data, "another directory");
        }
        File.Delete(file);
        await NothingStarted(platform);
    });

    [Theory]
    [InlineData("--nosuch", "--nosuch")]
    [InlineData("--agents=many", "--agents")]
    [InlineData("--agents=0", "--agents")]
    [InlineData("--port-offset=60000", "--port-offset")]
    [InlineData("--log-level=loud", "--log-level")]
    [InlineData("--service-cluster-ip-range=foo", "--service-cluster-ip-range foo")]
    [InlineData("--service-cluster-ip-range=127.64.0.0/30", "/8 to /27")]
    [InlineData("--service-node-port-range=30999-30000", "FIRST-LAST")]
    [InlineData("--service-node-port-range=30500-31500", "the ports of tasks")]
    public Task A_wrong_option(string option, string named) => RunningPlatform.With(async platform =>
    {
        (await Up(platform, option)).Fails(named);
        await NothingStarted(platform);
    });

    [Fact]
    public Task A_missing_path_to_apply() => RunningPlatform.With(async platform =>
    {
        var missing = Path.Combine(platform.Data, "nowhere.yaml");
        (await Up(platform, "--apply", missing)).Fails("--apply " + missing, "no such file");
        await NothingStarted(platform);
    });

    [Fact]
    public Task A_second_up_on_the_same_directory() => RunningPlatform.With(async platform =>
    {
        var up = await platform.Up();
        (await Up(platform)).Fails("--data " + platform.Data, $"in use by process {up.Id}", "declarative down");
        Assert.Equal("ok", (await platform.Kubectl("get", "--raw", "/readyz")).Succeeds().Output.Trim());
        Assert.False(up.HasExited);
    });

    [Fact]
    public Task A_damaged_file_is_named_and_what_to_do() => RunningPlatform.With(async platform =>
    {
        await UpAndDown(platform);
        foreach (var (file, content) in ((string, string)[])
        [
            ("pki/ca.key", ""),
            ("pki/ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            ("pki/lb.key", "no key"),
            ("pki/tokens.csv", "token\n"),
            ("mesos/registry", "no registry"),
            ("state.db", new string('x', 8192)),
        ])
        {
            var path = Path.Combine(platform.Data, file);
            var before = await File.ReadAllBytesAsync(path);
            await File.WriteAllTextAsync(path, content);
            var said = (await Up(platform)).Fails(path);
            Assert.DoesNotContain("   at ", said.Errors, StringComparison.Ordinal);
            await File.WriteAllBytesAsync(path, before);
        }
        await UpAndDown(platform);
    });

    private static async Task UpAndDown(RunningPlatform platform)
    {
        var up = await platform.Up();
        Assert.Contains($"https://127.0.0.1:{platform.Ports.LbHttps}", up.Output, StringComparison.Ordinal);
        // Nothing is there to be asked.
        Assert.DoesNotContain("curl", up.Output, StringComparison.Ordinal);
        up.Terminate();
        (await up.Ended()).Succeeds();
    }

    private static Task<Said> Up(RunningPlatform platform, params string[] more) => RunningPlatform.Run(["up", "--data", platform.Data, "--port-offset", platform.Offset, .. more]);

    private static async Task NothingStarted(RunningPlatform platform)
    {
        Assert.Empty(Directory.EnumerateFileSystemEntries(platform.Data));
        using var client = new TcpClient();
        await Assert.ThrowsAsync<SocketException>(() => client.ConnectAsync(IPAddress.Loopback, platform.Ports.Api, TestContext.Current.CancellationToken).AsTask());
    }
}
