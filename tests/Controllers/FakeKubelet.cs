using System.Collections.Concurrent;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.DaemonSets;

namespace Declarative.Tests.Controllers;

/// <summary>Binds pods, makes them run and ready, and removes them once they are marked: what Placement and Mesos do, without either.</summary>
internal sealed class FakeKubelet
{
    private readonly IApi _api;
    private readonly Controller<ObjectName> _controller;
    private readonly TimeProvider _time;
    private int _port = 31000;

    public FakeKubelet(IApi api, TimeProvider time, int seed = 7)
    {
        (_api, _time) = (api, time);
        Pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, new Random(seed));
        _controller = new("fake-kubelet", api, time, async (key, stop) =>
        {
            await Move(key, stop);
            return Plan.Nothing;
        }) { Views = [Pods] };
        Pods.OnChange(change =>
        {
            if (change.New is { } pod) _controller.Queue.Add(ObjectName.Of(pod));
        });
    }

    public Informer<Pod> Pods { get; }

    /// <summary>Whether a pod's probe would succeed.</summary>
    public Func<Pod, bool> BecomesReady { get; set; } = _ => true;

    /// <summary>Whether a pod that is being deleted has ended.</summary>
    public Func<Pod, bool> Ends { get; set; } = _ => true;

    public Task Run(CancellationToken stop) => _controller.Run(stop);

    /// <summary>Looks at all pods again after one of the functions has changed.</summary>
    public void Again()
    {
        foreach (var pod in Pods.List()) _controller.Queue.Add(ObjectName.Of(pod));
    }

    public async Task SetPhase(Pod pod, string phase, bool ready) => await Status(pod, phase, ready, CancellationToken.None);

    private async Task Move(ObjectName key, CancellationToken stop)
    {
        if (Pods.Get(key.Namespace, key.Name) is not { } pod) return;
        var at = ResourceKey.Of(Kind.Pod, pod.Namespace, pod.Name);
        try
        {
            if (pod.Metadata.IsDeleting)
            {
                if (Ends(pod)) await _api.Delete(at, new() { GracePeriodSeconds = 0, Uid = pod.Uid }, stop);
            }
            else if (pod.Spec.NodeName.Length == 0)
            {
                await _api.Create(at, Binding(pod), new() { Subresource = "binding" }, stop);
            }
            else if (!pod.IsFinished && (pod.Status.Phase != "Running" || pod.IsReady != BecomesReady(pod)))
            {
                await Status(pod, "Running", BecomesReady(pod), stop);
            }
        }
        catch (ApiException e) when (e.Code is 404 or 409)
        {
            return; // another wrote first: the change comes through the view
        }
    }

    private byte[] Binding(Pod pod) => Body.Of(json =>
    {
        json.WriteString("apiVersion", "v1");
        json.WriteString("kind", "Binding");
        json.Object("metadata", meta =>
        {
            meta.WriteString("name", pod.Name);
            meta.WriteString("uid", pod.Uid);
            var ports = pod.Spec.Containers.SelectMany(c => c.Ports.Select(p => $"{c.Name}/{p.Number}")).ToDictionary(x => x, _ => Interlocked.Increment(ref _port));
            meta.Map("annotations", [new(TaskAnnotation.Key, new TaskAnnotation { Id = pod.Uid + ".0", Agent = "agent-0", Ports = ports }.ToJson())]);
        });
        json.Object("target", target =>
        {
            target.WriteString("kind", "Node");
            target.WriteString("name", NodeFit.Target(pod) is { Length: > 0 } pinned ? pinned : "agent-0");
        });
    });

    private Task Status(Pod pod, string phase, bool ready, CancellationToken stop) => _api.Patch(
        ResourceKey.Of(Kind.Pod, pod.Namespace, pod.Name), PatchKind.Merge, Body.Status(json =>
        {
            json.WriteString("phase", phase);
            json.WriteString("podIP", "127.0.0.1");
            json.Conditions([new() { Type = "Ready", Status = ready ? "True" : "False", LastTransitionTime = _time.GetUtcNow() }]);
        }), new() { Subresource = "status" }, stop);
}
