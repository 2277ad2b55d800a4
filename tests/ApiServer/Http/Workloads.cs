using Declarative.Api;
using Declarative.Controllers.Deployments;
using Declarative.Controllers.Disruption;
using Declarative.Controllers.GarbageCollection;
using Declarative.Controllers.Namespaces;
using Declarative.Controllers.ReplicaSets;
using Declarative.Tests.Controllers;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>The controllers that Deployments, namespaces and owners need, and a stand-in for what runs pods.</summary>
internal sealed class Workloads : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];

    public Workloads(IApi api)
    {
        _running.Add(new FakeKubelet(api, TimeProvider.System).Run(_stop.Token));
        var seed = 1;
        foreach (var run in (Cluster.RunController[])[DeploymentController.Run, ReplicaSetController.Run, GarbageController.Run, NamespaceController.Run, DisruptionController.Run])
        {
            _running.Add(run(api, TimeProvider.System, new Random(seed++), NullLogger.Instance, _stop.Token));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        foreach (var task in _running) await task;
        _stop.Dispose();
    }
}
