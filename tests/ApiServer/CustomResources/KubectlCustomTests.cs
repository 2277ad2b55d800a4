using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.CustomResources;

/// <summary>A custom kind from its definition to its end, by unmodified kubectl.</summary>
public sealed class KubectlCustomTests
{
    /// <summary>The oldest and the newest of those at hand.</summary>
    public static TheoryData<string> Ends => [.. Kubectls.Rows.Select(x => x.Data).ToList() is var all && all.Count > 1 ? [all[0], all[^1]] : all];

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task A_custom_kind_behaves_as_any_other(string name)
    {
        var binary = Kubectls.Require(name);
        await using var face = await RunningFace.Start();
        var kubectl = new Kubectl(binary, face.Face.KubeconfigPath, face.Directory);
        await kubectl.Run(CronTab.Definition, ["apply", "-f", "-"]).Succeeds();
        await kubectl.Run("wait", "--for=condition=Established", "crd/crontabs.stable.example.com", "--timeout=60s").Succeeds();
        await kubectl.Run(CronTab.Object, ["apply", "-f", "-"]).Succeeds();
        await kubectl.Run(CronTab.Object.Replace("0 3", "0 4", StringComparison.Ordinal), ["apply", "-f", "-"]).Succeeds();

        var rows = await kubectl.Run("get", "ct").Succeeds();
        Assert.Matches(@"^NAME\s+SPEC\s+REPLICAS\s+PHASE\s+AGE$", rows.Lines[0].TrimEnd());
        Assert.Matches(@"^nightly\s+0 4 \* \* \*\s+1\s+\d+s", rows.Lines[1]);
        Assert.Contains("crontab.stable.example.com/nightly", (await kubectl.Run("get", "timers", "-o", "name").Succeeds()).Output, StringComparison.Ordinal);
        Assert.Equal("busybox silver http two", (await kubectl.Run("get", "crontab", "nightly", "-o", "jsonpath={.spec.image} {.spec.tier} {.spec.port} {.spec.extra.free.form[1]}").Succeeds()).Output);

        await kubectl.Run("scale", "ct/nightly", "--replicas=3").Succeeds();
        Assert.Equal("3 3", (await kubectl.Run("get", "ct", "nightly", "-o", "jsonpath={.spec.replicas} {.metadata.generation}").Succeeds()).Output);
        (await kubectl.Run("scale", "ct/nightly", "--replicas=11")).Fails("should be less than or equal to 10");
        await kubectl.Run("patch", "ct", "nightly", "--type=merge", "-p", """{"spec":{"tier":"gold"}}""").Succeeds();
        await kubectl.Run("patch", "ct", "nightly", "--type=json", "-p", """[{"op":"replace","path":"/spec/replicas","value":4}]""").Succeeds();
        (await kubectl.Run("patch", "ct", "nightly", "--type=strategic", "-p", """{"spec":{"tier":"silver"}}""")).Fails("");
        await kubectl.Run("patch", "ct", "nightly", "--subresource=status", "--type=merge", "-p", """{"status":{"phase":"Ready"},"spec":{"replicas":9}}""").Succeeds();
        Assert.Equal("Ready 4", (await kubectl.Run("get", "ct", "nightly", "-o", "jsonpath={.status.phase} {.spec.replicas}").Succeeds()).Output);

        Assert.Contains("When to start", (await kubectl.Run("explain", "ct.spec.cronSpec").Succeeds()).Output, StringComparison.Ordinal);
        Assert.Contains("started by the clock", (await kubectl.Run("explain", "crontab").Succeeds()).Output, StringComparison.Ordinal);
        Assert.Contains("crontabs", (await kubectl.Run("api-resources", "--api-group=stable.example.com").Succeeds()).Output, StringComparison.Ordinal);

        (await kubectl.Run(CronTab.Object.Replace("port: http", "prot: http", StringComparison.Ordinal), ["apply", "-f", "-"])).Fails("unknown field \"spec.prot\"");
        (await kubectl.Run(CronTab.Object.Replace("\"0 3 * * *\"", "7", StringComparison.Ordinal), ["apply", "-f", "-"])).Fails("must be of type string");
        (await kubectl.Run("patch", "ct", "nightly", "--type=merge", "-p", """{"spec":{"tier":"iron"}}""")).Fails("supported values: \"gold\", \"silver\"");

        (await kubectl.Run("scale", "ct/nightly", "--replicas=6")).Fails("spec.replicas: Forbidden: gold is small");
        (await kubectl.Run("patch", "ct", "nightly", "--type=merge", "-p", """{"spec":{"port":80}}""")).Fails("port stays http");
        (await kubectl.Run(CronTab.Definition.Replace("self.tier != 'gold'", "self.teir != 'gold'", StringComparison.Ordinal), ["apply", "-f", "-"])).Fails("undefined field 'teir' at 5");

        await kubectl.Run(CronTab.Object.Replace("nightly", "other", StringComparison.Ordinal), ["apply", "--server-side", "-f", "-"]).Succeeds();
        (await kubectl.Run("scale", "ct/nightly", "--replicas=6")).Fails("spec.replicas: Forbidden: gold is small");
        (await kubectl.Run("patch", "ct", "nightly", "--type=merge", "-p", """{"spec":{"port":80}}""")).Fails("port stays http");
        (await kubectl.Run(CronTab.Definition.Replace("self.tier != 'gold'", "self.teir != 'gold'", StringComparison.Ordinal), ["apply", "-f", "-"])).Fails("undefined field 'teir' at 5");

        await kubectl.Run(CronTab.Object.Replace("nightly", "other", StringComparison.Ordinal).Replace("name: a, port: 1", "name: b, port: 2", StringComparison.Ordinal), ["apply", "--server-side", "--field-manager=second", "-f", "-"]).Succeeds();
        Assert.Equal("a b", (await kubectl.Run("get", "ct", "other", "-o", "jsonpath={.spec.ports[*].name}").Succeeds()).Output);
        Assert.Equal("crontab.stable.example.com/nightly\n", (await kubectl.Run("get", "ct", "--field-selector=spec.tier=gold", "-o", "name").Succeeds()).Output);
        var older = await kubectl.Run("get", "crontabs.v1beta1.stable.example.com", "nightly", "-o", "jsonpath={.apiVersion} {.spec.tier}").Succeeds();
        Assert.Equal("stable.example.com/v1beta1 gold", older.Output);

        await kubectl.Run("delete", "crd", "crontabs.stable.example.com").Succeeds();
        (await kubectl.Run("get", "ct")).Fails("could not find the requested resource");
        Assert.DoesNotContain("crontabs", (await kubectl.Run("api-resources", "--cached=false", "-o", "name").Succeeds()).Output, StringComparison.Ordinal);
    }
}

internal static class KubectlTask
{
    public static async Task<KubectlResult> Succeeds(this Task<KubectlResult> run) => (await run).Succeeds();
}
