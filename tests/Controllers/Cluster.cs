using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Tests.ApiServer;
using Declarative.Tests.Client;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>An API server in this process, controllers, and a fake kubelet, all running until disposed.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    public delegate Task RunController(IApi api, TimeProvider time, Random random, Microsoft.Extensions.Logging.ILogger logger, CancellationToken stop);

    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];
    private readonly InProcessApi _server;

    private Cluster(InProcessApi server)
    {
        _server = server;
        Kubelet = new(Api, TimeProvider.System);
        Deployments = new(Api, Kind.Deployment, Deployment.Read, TimeProvider.System, new Random(2));
        Sets = new(Api, Kind.ReplicaSet, ReplicaSet.Read, TimeProvider.System, new Random(3));
    }

    public IApi Api => _server.Admin;
    public FakeKubelet Kubelet { get; }
    public Informer<Deployment> Deployments { get; }
    public Informer<ReplicaSet> Sets { get; }
    public IReadOnlyList<Pod> Pods => Kubelet.Pods.List();

    public static async Task<Cluster> Start(params IReadOnlyList<RunController> controllers)
    {
        var cluster = new Cluster(await InProcessApi.Start());
        cluster.Begin(cluster.Kubelet.Run);
        cluster.Begin(cluster.Deployments.Run);
        cluster.Begin(cluster.Sets.Run);
        var seed = 10;
        foreach (var run in controllers) cluster.Begin(stop => run(cluster.Api, TimeProvider.System, new Random(seed++), NullLogger.Instance, stop));
        await cluster.Kubelet.Pods.Synced;
        return cluster;
    }

    public void Begin(Func<CancellationToken, Task> run) => _running.Add(run(_stop.Token));

    public Task<Stored> Apply(Kind kind, string name, string json, string ns = "default") =>
        Api.Create(ResourceKey.Of(kind, ns, name), Encoding.UTF8.GetBytes(json));

    public Task<Stored> Merge(Kind kind, string name, string json, string ns = "default") =>
        Api.Patch(ResourceKey.Of(kind, ns, name), PatchKind.Merge, Encoding.UTF8.GetBytes(json));

    public Task<Stored> Delete(Kind kind, string name, DeleteOptions? options = null, string ns = "default") => Api.Delete(ResourceKey.Of(kind, ns, name), options);

    public async Task<T?> Find<T>(Kind kind, string name, Func<ReadOnlyMemory<byte>, T> read, string ns = "default") where T : class
    {
        try
        {
            return read((await Api.Get(ResourceKey.Of(kind, ns, name))).Json);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return null;
        }
    }

    public Task Until(Func<bool> condition, string what) => Eventually.True(condition, what + "\n" + Describe());

    public string Describe() => string.Join('\n', Pods.Select(x => $"{x.Name} {x.Status.Phase} ready={x.IsReady} deleting={x.Metadata.IsDeleting}"));

    public static string WebDeployment(int replicas, string version = "1", string more = "") => $$$"""
        {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"app":"web"},"annotations":{"team":"a"}},
         "spec":{"replicas":{{{replicas}}},"selector":{"matchLabels":{"app":"web"}}{{{more}}},
         "template":{"metadata":{"labels":{"app":"web"},"annotations":{"note":"kept"}},
         "spec":{"containers":[{"name":"web","command":["serve"],"env":[{"name":"VERSION","value":"{{{version}}}"}],"ports":[{"name":"http","containerPort":8080}]}]} } } }
        """;

    public static string NewVersion(string version) => $$$"""{"spec":{"template":{"spec":{"containers":[{"name":"web","command":["serve"],"env":[{"name":"VERSION","value":"{{{version}}}"}],"ports":[{"name":"http","containerPort":8080}]}]} } } }""";

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        foreach (var task in _running) await task;
        await _server.DisposeAsync();
        _stop.Dispose();
    }
}
