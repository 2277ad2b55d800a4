using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Http;
using Declarative.Controllers;
using Declarative.Tests.ApiServer;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>All controllers as a process of their own would run them: over HTTPS, with the role's own kubeconfig and rights; kubectl drives them.</summary>
public sealed class RemoteTests : IAsyncLifetime
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];
    private RunningFace _face = null!;
    private HttpApi _api = null!;

    public static TheoryData<string> Kubectls => [.. KubectlBinaries.All.Where((_, i) => i == 0 || i == KubectlBinaries.All.Count - 1)];

    public async ValueTask InitializeAsync()
    {
        _face = await RunningFace.Start();
        _api = new(Kubeconfig.Load(Path.Combine(_face.Face.Pki.Directory, "controllers.kubeconfig")), TimeProvider.System);
        _running.Add(new FakeKubelet(_face.Admin, TimeProvider.System).Run(_stop.Token));
        var seed = 1;
        foreach (var row in ControllerTable.Rows()) _running.Add(row.Run(_api, TimeProvider.System, new Random(seed++), _stop.Token));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        foreach (var task in _running) await task;
        _api.Dispose();
        await _face.DisposeAsync();
        _stop.Dispose();
    }

    [Theory]
    [MemberData(nameof(Kubectls))]
    public async Task Kubectl_rolls_out_looks_back_and_undoes(string kubectl)
    {
        await Ok(kubectl, "apply -f -", Cluster.WebDeployment(3));
        Assert.Contains("successfully rolled out", await Ok(kubectl, "rollout status deployment/web --timeout=60s"));
        await Ok(kubectl, "set env deployment/web VERSION=2");
        Assert.Contains("successfully rolled out", await Ok(kubectl, "rollout status deployment/web --timeout=60s"));
        var history = await Ok(kubectl, "rollout history deployment/web");
        Assert.Matches(@"(?m)^1 ", history);
        Assert.Matches(@"(?m)^2 ", history);
        Assert.Matches(@"VERSION:\s+1", await Ok(kubectl, "rollout history deployment/web --revision=1"));

        await Ok(kubectl, "rollout undo deployment/web");
        await Ok(kubectl, "rollout status deployment/web --timeout=60s");
        Assert.Equal("1", await Ok(kubectl, "get deployment web -o jsonpath={.spec.template.spec.containers[0].env[0].value}"));
        Assert.Equal("3", await Ok(kubectl, """get deployment web -o jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}"""));

        await Ok(kubectl, "rollout restart deployment/web");
        await Ok(kubectl, "rollout status deployment/web --timeout=60s");
        await Ok(kubectl, "rollout pause deployment/web");
        await Ok(kubectl, "scale deployment/web --replicas=5");
        await Ok(kubectl, "wait deployment/web --for=jsonpath={.status.availableReplicas}=5 --timeout=60s");
        await Ok(kubectl, "rollout resume deployment/web");
        await Ok(kubectl, "wait deployment/web --for=condition=Available --timeout=60s");
        Assert.Contains("ScalingReplicaSet", await Ok(kubectl, "describe deployment web"));
        await Ok(kubectl, "delete deployment web --wait");
        await Eventually.True(() => (_face.Admin.List(new(Kind.Pod, "default"))).Result.Items.Count == 0, "pods collected");
    }

    [Fact]
    public async Task A_namespace_ends_over_https()
    {
        var kubectl = KubectlBinaries.All[^1];
        await Ok(kubectl, "create namespace shop");
        await Ok(kubectl, "apply -n shop -f -", Cluster.WebDeployment(2));
        await Ok(kubectl, "rollout status -n shop deployment/web --timeout=60s");
        await Ok(kubectl, "delete namespace shop --timeout=60s");
        Assert.Equal(404, (await Assert.ThrowsAsync<ApiException>(() => _face.Admin.Get(ResourceKey.Of(Kind.Namespace, "", "shop"), stop: TestContext.Current.CancellationToken))).Code);
    }

    private async Task<string> Ok(string kubectl, string arguments, string input = "")
    {
        var (code, output) = await KubectlBinaries.Run(
            kubectl, _face.Face.Url, _face.Directory, $"--kubeconfig={_face.Face.KubeconfigPath} {arguments}", input, TestContext.Current.CancellationToken);
        Assert.True(code == 0, $"kubectl {arguments}: {output}");
        return output;
    }
}
