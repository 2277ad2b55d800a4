using Declarative.Tests.Simulation;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>
/// Nothing fails and nothing is cut through the balancer while everything changes, on the embedded cluster with real processes: <c>bench lb show</c>, of
/// which this is the short form; with DECLARATIVE_TEST_ALL=1 the whole of it.
/// </summary>
[Collection(EndToEndTests.Name)]
public sealed class ShowTests
{
    private static readonly string Bench = Path.Combine(Installation.Root, "bench", "bin", "Release", "net10.0", "declarative-bench");

    [Fact]
    public async Task Scaling_rollouts_drains_and_changes_fail_no_request_and_cut_no_connection()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the platform's processes are Linux'");
        Assert.SkipUnless(File.Exists(Bench), $"{Bench} is not built (Release)");
        using var show = ChildProcess.Start(Bench, Seeds.All ? ["lb", "show"] : ["lb", "show", "--short"]);
        var said = (await show.Ended(TimeSpan.FromMinutes(Seeds.All ? 30 : 4))).Succeeds();
        foreach (var kind in (string[])["requests", "websockets", "streams", "downloads"])
        {
            Assert.Matches($@"declarative\s+{kind}\s+\S+\s+\S+\s+[1-9]\d*\s+0\s", said.Output); // wanted, was, done, failed
        }
    }
}
