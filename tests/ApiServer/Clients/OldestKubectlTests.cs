using System.Net;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Protocol;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.ApiServer.Streams;
using Declarative.Tests.Mesos.Agent;
using Xunit;

namespace Declarative.Tests.ApiServer.Clients;

/// <summary>kubectl 1.20 as Debian has it: it knows kinds by versions that newer ones have dropped, and OpenAPI v2 alone.</summary>
public sealed class OldestKubectlTests : IAsyncLifetime
{
    private const string Objects = """
        apiVersion: batch/v1beta1
        kind: CronJob
        metadata: {name: nightly}
        spec:
          schedule: "0 3 * * *"
          jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}}}}
        ---
        apiVersion: policy/v1beta1
        kind: PodDisruptionBudget
        metadata: {name: web}
        spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          replicas: 2
          selector: {matchLabels: {app: web}}
          template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: "web:1"}]}}
        ---
        apiVersion: networking.k8s.io/v1beta1
        kind: Ingress
        metadata: {name: web}
        spec: {backend: {serviceName: web, servicePort: 80}}
        """;

    private RunningFace _server = null!;
    private Kubectl _kubectl = null!;

    private static string Program => Path.Combine(Tools.Directory, "kubectl-1.20", "usr", "bin", "kubectl");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(File.Exists(Program), $"kubectl 1.20 is not at {Program} (./test puts it there, from Debian's kubernetes-client)");
        _server = await RunningFace.Start();
        _kubectl = new(Program, _server.Face.KubeconfigPath, _server.Directory);
    }

    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;

    [Fact]
    public async Task Objects_are_applied_read_changed_and_deleted_in_the_versions_that_it_knows()
    {
        Assert.Contains("GitVersion:\"v1.20", await Out("version", "--client"), StringComparison.Ordinal);
        Assert.Equal("cronjob.batch/nightly created\npoddisruptionbudget.policy/web created\ndeployment.apps/web created\ningress.networking.k8s.io/web created\n", (await _kubectl.Run(Objects, ["apply", "-f", "-"])).Succeeds().Output);
        Assert.Equal("cronjob.batch/nightly unchanged\npoddisruptionbudget.policy/web unchanged\ndeployment.apps/web unchanged\ningress.networking.k8s.io/web unchanged\n", (await _kubectl.Run(Objects, ["apply", "-f", "-"])).Succeeds().Output);
        Assert.Matches(@"(?m)^nightly\s+0 3 \* \* \*\s+<none>\s+False\s+0\s+<none>", await Out("get", "cronjobs"));
        Assert.StartsWith("batch/v1beta1 0 3 * * *", await Out("get", "cronjobs.v1beta1.batch/nightly", "-o", "jsonpath={.apiVersion} {.spec.schedule}"), StringComparison.Ordinal);
        Assert.Equal("policy/v1beta1 1", await Out("get", "poddisruptionbudgets.v1beta1.policy/web", "-o", "jsonpath={.apiVersion} {.spec.minAvailable}"));
        Assert.Matches(@"(?m)^web\s+1\s+N/A\s+0\s", await Out("get", "pdb"));
        Assert.Contains("Schedule:", await Out("describe", "cronjob", "nightly"), StringComparison.Ordinal);
        Assert.Contains("Min available:", await Out("describe", "pdb", "web"), StringComparison.Ordinal);
        Assert.Contains("Replicas:", await Out("describe", "deployment", "web"), StringComparison.Ordinal);
        Assert.Contains("Default backend:  web:80", await Out("describe", "ingress", "web"), StringComparison.Ordinal);
        Assert.Contains("minAvailable", await Out("explain", "pdb.spec"), StringComparison.Ordinal);

        Assert.Equal("deployment.apps/web scaled\n", await Out("scale", "deployment/web", "--replicas=5"));
        Assert.Equal("deployment.apps/web image updated\n", await Out("set", "image", "deployment/web", "c=web:2"));
        Assert.Equal("5 web:2", await Out("get", "deployment/web", "-o", "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}"));
        Assert.Equal("deployment.apps/web restarted\n", await Out("rollout", "restart", "deployment/web"));
        Assert.Equal("deployment.apps/web paused\n", await Out("rollout", "pause", "deployment/web"));
        Assert.Equal("deployment.apps/web resumed\n", await Out("rollout", "resume", "deployment/web"));
        Assert.Equal("job.batch/now created\n", await Out("create", "job", "now", "--from=cronjobs.v1beta1.batch/nightly"));
        Assert.Equal("deployment.apps/web labeled\n", await Out("label", "deployment/web", "tier=front"));
        Assert.Equal("web", await Out("get", "deployments", "-l", "tier=front", "-o", "jsonpath={.items[*].metadata.name}"));

        Assert.Equal("cronjob.batch \"nightly\" deleted\npoddisruptionbudget.policy \"web\" deleted\ndeployment.apps \"web\" deleted\ningress.networking.k8s.io \"web\" deleted\n",
            (await _kubectl.Run(Objects, ["delete", "--cascade=background", "-f", "-"])).Succeeds().Output);
        (await _kubectl.Run("get", "cronjob", "nightly")).Fails("not found");
    }

    [Fact]
    public async Task A_pod_tells_its_log_and_runs_a_command()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        await using var agent = await AgentServer.Start(bench.Agent, new IPEndPoint(IPAddress.Loopback, 0), Stop);
        await RunningPod.MakeNode(_server, "agent-0", agent.Port);
        var task = await RunningPod.Make(_server, "worker", "agent-0") + ".0";
        bench.Master.Run(AgentBench.Shell(task, "echo hello; while :; do sleep 1; done"));
        await bench.Master.Until(task, TaskState.TaskRunning);
        Assert.Equal("from inside\n", await Out("exec", "worker", "--", "echo", "from inside"));
        Assert.Equal("hello\n", await Out("logs", "worker"));
        Assert.Matches(@"(?m)^worker\s+1/1\s+Running\s+0", await Out("get", "pods"));
    }

    private async Task<string> Out(params string[] arguments) => (await _kubectl.Run(arguments)).Succeeds().Output;
}
