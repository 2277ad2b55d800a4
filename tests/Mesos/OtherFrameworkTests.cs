using System.Diagnostics;
using System.Net;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Master;
using Xunit;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;

namespace Declarative.Tests.Mesos;

/// <summary>
/// npm's <c>mesos-framework</c> 0.5.3 as it is published: its command scheduler example, with the address of our master and shorter sleeps,
/// beside another framework.
/// </summary>
public sealed class OtherFrameworkTests
{
    private const string Folder = "DECLARATIVE_MESOS_FRAMEWORK";

    [Fact(Timeout = 120_000)]
    public async Task An_unmodified_framework_runs_its_tasks_beside_ours_and_is_not_disturbed_by_our_restarts()
    {
        var folder = Directory.CreateTempSubdirectory("other-framework-");
        await using var node = await Example.Install(folder.FullName);
        await using var world = new MasterWorld(agents: 4);
        await using var server = await MasterServer.Start(new IPEndPoint(IPAddress.Loopback, 0), _ => world.Master, CancellationToken.None);
        node.Start(server.Port, instances: 3);
        await world.Until(() => Running(world) == 3, "its tasks", stepSeconds: 0.02);
        var (names, agents) = world.Master.View(cluster => (cluster.Frameworks.Values.Select(one => one.Record.Name).ToList(), cluster.Agents.Count));
        Assert.Equal(["My-first-Command-framework"], names);
        Assert.Equal(4, agents);
        await using (var ours = world.Framework())
        {
            await ours.Subscribe();
            // It holds what it was offered until it declines; then both have their part.
            var offer = await ours.Offer();
            await ours.Accept([offer], 0, TestFramework.TaskOf("ours", offer));
            await ours.Update("ours", Declarative.Mesos.Protocol.TaskState.TaskRunning);
            await ours.Disconnect();
            await ours.Subscribe();
            await ours.Reconcile(("ours", null));
            await ours.Update("ours", Declarative.Mesos.Protocol.TaskState.TaskRunning, count: 2);
            await ours.Send(CallType.Teardown);
        }

        Assert.Equal(3, Running(world));
        // A task of its own that ends is started again, by its own rules.
        var (_, ended) = world.Agents.SelectMany(agent => agent.Tasks.Where(task => task.State == Declarative.Mesos.Protocol.TaskState.TaskRunning).Select(task => (agent, task.Id))).First();
        Assert.True(world.Agents.Single(agent => agent.Tasks.Any(task => task.Id == ended)).Exit(ended, 0));
        await world.Until(() => Running(world) == 3 && !world.Master.View(cluster => cluster.Frameworks.Values.Single().Tasks.ContainsKey(ended)), "a new task", stepSeconds: 0.02);
        folder.Delete(recursive: true);
    }

    private static int Running(MasterWorld world) =>
        world.Master.View(cluster => cluster.Frameworks.Values.Where(one => one.Record.Name.StartsWith("My-first", StringComparison.Ordinal)).Sum(one => one.Tasks.Values.Count(task => task.Record.State == Declarative.Mesos.Protocol.TaskState.TaskRunning)));

    /// <summary>The package and its example; skipped where there is no node or the package cannot be had.</summary>
    private sealed class Example(string folder) : IAsyncDisposable
    {
        private Process? process;

        public static async Task<Example> Install(string folder)
        {
            Assert.SkipWhen(Installed("node") is null || Installed("npm") is null, "node and npm are not on PATH");
            if (Environment.GetEnvironmentVariable(Folder) is { Length: > 0 } given)
            {
                await Run("cp", ["-r", Path.Combine(given, "node_modules"), folder], folder);
                return new(folder);
            }

            var installed = await Run("npm", ["install", "--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=20000", "mesos-framework@0.5.3"], folder);
            Assert.SkipUnless(installed == 0, "npm could not install mesos-framework 0.5.3");
            return new(folder);
        }

        public void Start(int port, int instances)
        {
            var package = Path.Combine(folder, "node_modules", "mesos-framework");
            var example = File.ReadAllText(Path.Combine(package, "examples", "commandScheduler.js"))
                .Replace("172.17.11.101", "127.0.0.1", StringComparison.Ordinal)
                .Replace("\"port\": 5050", $"\"port\": {port}", StringComparison.Ordinal)
                .Replace("\"instances\": 1", $"\"instances\": {instances}", StringComparison.Ordinal)
                .Replace("sleep 10;", "sleep 1000;", StringComparison.Ordinal);
            File.WriteAllText(Path.Combine(package, "examples", "here.js"), example);
            // It writes its log into a folder of that name.
            Directory.CreateDirectory(Path.Combine(folder, "logs"));
            process = Process.Start(new ProcessStartInfo("node", [Path.Combine(package, "examples", "here.js")]) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
            process.OutputDataReceived += (_, _) => { };
            process.ErrorDataReceived += (_, _) => { };
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }

        public async ValueTask DisposeAsync()
        {
            if (process is null)
                return;
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
            process.Dispose();
        }

        private static string? Installed(string program) =>
            (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(path => Path.Combine(path, program)).FirstOrDefault(File.Exists);

        private static async Task<int> Run(string program, string[] arguments, string folder)
        {
            using var run = Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
            var output = run.StandardOutput.ReadToEndAsync();
            var errors = run.StandardError.ReadToEndAsync();
            await run.WaitForExitAsync();
            await Task.WhenAll(output, errors);
            return run.ExitCode;
        }
    }
}
