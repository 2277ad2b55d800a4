using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>The journal's disk is full.</summary>
[Collection(EndToEndTests.Name)]
public sealed class FullDiskTests
{
    private const int DiskMegabytes = 24;

    [Fact]
    public async Task Writes_are_refused_with_a_message_nothing_acknowledged_is_lost_and_it_recovers()
    {
        Installation.Require();
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "mounting a small disk needs root");
        var disk = Directory.CreateTempSubdirectory("declarative-disk-").FullName;
        var mounted = await ChildProcess.Run("mount", ["-t", "tmpfs", "-o", $"size={DiskMegabytes}m", "tmpfs", disk]);
        try
        {
            Assert.SkipUnless(mounted.Code == 0, "this machine mounts no tmpfs: " + mounted.Errors);
            await RunningPlatform.On(disk, async platform =>
            {
                var up = await platform.Up();
                var ballast = Path.Combine(disk, "ballast");
                await Fill(ballast);

                // Until the journal needs room that is not there.
                var acknowledged = new List<string>();
                Said refused;
                for (var i = 0; ; i++)
                {
                    refused = await Write(platform, $"map-{i}");
                    if (refused.Code != 0) break;
                    acknowledged.Add($"map-{i}");
                    Assert.True(i < 200, "a full disk took 200 writes of 100 kB");
                }
                Assert.Matches("(?i)disk|full|space|storage", refused.Errors);
                Assert.False(up.HasExited, "up has ended");
                // Reads go on, of what is there and of nothing else.
                Assert.Equal(acknowledged.Order(StringComparer.Ordinal), await Maps(platform));

                File.Delete(ballast);
                await RunningPlatform.Until(async () => (await Write(platform, "after")).Code == 0, "writes are taken again");
                acknowledged.Add("after");
                Assert.Equal(acknowledged.Order(StringComparer.Ordinal), await Maps(platform));

                // What was acknowledged is on the disk, what was refused is not.
                up.Kill();
                await up.Ended();
                await platform.Up();
                Assert.Equal(acknowledged.Order(StringComparer.Ordinal), await Maps(platform));
            });
        }
        finally
        {
            if (mounted.Code == 0) await ChildProcess.Run("umount", [disk]);
            Directory.Delete(disk);
        }
    }

    private static async Task<IReadOnlyList<string>> Maps(RunningPlatform platform) =>
        [.. (await platform.Kubectl("get", "configmaps", "-l", "of=disk", "-o", "jsonpath={.items[*].metadata.name}")).Succeeds().Output.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Order(StringComparer.Ordinal)];

    private static Task<Said> Write(RunningPlatform platform, string name) => platform.Kubectl(
        $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","labels":{"of":"disk"}},"data":{"k":"{{{new string('x', 100_000)}}}"}}""", ["create", "-f", "-"]);

    private static async Task Fill(string file)
    {
        await using var stream = new FileStream(file, FileMode.Create);
        var block = new byte[64 * 1024];
        try
        {
            while (true)
            {
                await stream.WriteAsync(block);
                await stream.FlushAsync();
            }
        }
        catch (IOException)
        {
            return; // full
        }
    }
}
