using System.Diagnostics;
using System.Net;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Protocol;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.ApiServer.Streams;
using Declarative.Tests.Architecture;
using Declarative.Tests.Mesos.Agent;
using Xunit;

namespace Declarative.Tests.ApiServer.Clients;

/// <summary>@kubernetes/client-node 1.4.0 as npm brings it; what it does is in client-node.mjs.</summary>
public sealed class ClientNodeTests
{
    /// <summary>Where ./test installs it.</summary>
    private static string Modules => Path.Combine(Tools.Directory, "client-node", "node_modules");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Typed_clients_patches_apply_informers_and_exec_work_as_on_Kubernetes()
    {
        Assert.SkipUnless(Directory.Exists(Path.Combine(Modules, "@kubernetes", "client-node")), $"@kubernetes/client-node is not in {Modules} (./test installs it, with npm)");
        await using var bench = new AgentBench();
        await bench.Start();
        await using var agent = await AgentServer.Start(bench.Agent, new IPEndPoint(IPAddress.Loopback, 0), Stop);
        await using var server = await RunningFace.Start();
        await RunningPod.MakeNode(server, "agent-0", agent.Port);
        var task = await RunningPod.Make(server, "worker", "agent-0") + ".0";
        bench.Master.Run(AgentBench.Shell(task, "while :; do sleep 1; done"));
        await bench.Master.Until(task, TaskState.TaskRunning);
        await using var proxy = new CuttableProxy(server.Face.Port);
        var kubeconfig = Path.Combine(server.Directory, "proxied.kubeconfig");
        await File.WriteAllTextAsync(kubeconfig, (await File.ReadAllTextAsync(server.Face.KubeconfigPath, Stop)).Replace($":{server.Face.Port}", $":{proxy.Port}", StringComparison.Ordinal), Stop);

        using var node = Process.Start(new ProcessStartInfo("node", [Path.Combine(Repository.Root, "tests", "ApiServer", "Clients", "client-node.mjs"), Modules, kubeconfig])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = node.StandardError.ReadToEndAsync(Stop);
        try
        {
            await Says("typed");
            await Says("patch");
            await Says("apply");
            await Says("informed");
            proxy.Cut();
            await server.Admin.Create(Key("while-cut"), Map("while-cut", ""), stop: Stop);
            proxy.Restore();
            await Tell("cut");
            await Says("resumed");

            proxy.Cut();
            await server.Admin.Delete(Key("while-cut"), stop: Stop);
            // More than the history keeps of a kind.
            var large = new string('x', 1_000_000);
            await server.Admin.Create(Key("large"), Map("large", large), stop: Stop);
            for (var i = 0; i * large.Length <= Limits.WatchHistoryBytesMax; i++) await server.Admin.Update(Key("large"), Map("large", large[..^4] + $"{i:d4}"), stop: Stop);
            await server.Admin.Delete(Key("large"), stop: Stop);
            await server.Admin.Create(Key("while-compacted"), Map("while-compacted", ""), stop: Stop);
            proxy.Restore();
            await Tell("compacted");
            await Says("listed anew");
            await Says("exec");
            await node.WaitForExitAsync(Stop);
            Assert.Equal(0, node.ExitCode);
        }
        finally
        {
            if (!node.HasExited) node.Kill();
        }

        async Task Says(string step)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
            limit.CancelAfter(TimeSpan.FromSeconds(60));
            try
            {
                if (await node.StandardOutput.ReadLineAsync(limit.Token) is { } said) Assert.Equal(step, said);
                else Assert.Fail($"ended before \"{step}\": {await errors}");
            }
            catch (OperationCanceledException)
            {
                node.Kill();
                Assert.Fail($"\"{step}\" was not said: {await errors}");
            }
        }

        async Task Tell(string what)
        {
            await node.StandardInput.WriteLineAsync(what);
            await node.StandardInput.FlushAsync(Stop);
        }
    }

    private static ResourceKey Key(string name) => new(Kind.ConfigMap, "default", name);

    private static byte[] Map(string name, string value) => Encoding.UTF8.GetBytes($$$"""{"metadata":{"name":"{{{name}}}"},"data":{"v":"{{{value}}}"}}""");
}
