using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Placement.Status;
using Declarative.Controllers.Placement.Tasks;

namespace Declarative.Controllers.Placement.Desk;

internal enum IntentEnd
{
    Stored,

    /// <summary>The task cannot be built: <see cref="IntentResult.Missing"/>.</summary>
    Unbuildable,

    /// <summary>Not stored, and it may be tried again: the pod has changed meanwhile.</summary>
    Changed,
}

/// <param name="Pod">As it is stored now, at <paramref name="Revision"/>; null where the answer did not say: then it has got <paramref name="Bound"/>.</param>
/// <param name="Bound">The intent of a binding.</param>
internal sealed record IntentResult(IntentEnd End, BuiltTask? Built = null, Pod? Pod = null, long Revision = 0, TaskAnnotation? Bound = null)
{
    public string Missing => Built is null ? "" : string.Join("; ", Built.Missing);
}

/// <summary>
/// The intent to launch an attempt, stored before anything is said to the master (architecture.md, decision 5): the first by
/// <c>pods/NAME/binding</c>, later ones by <c>pods/NAME/status</c> at the revision that was seen, so that of two writers one wins.
/// </summary>
internal sealed class Intent(IApi api, TimeProvider time)
{
    private static readonly TimeSpan RetryFirst = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(5);

    /// <param name="status">For attempts that are no binding: the status stored in the same write; null = bind.</param>
    public async Task<IntentResult> Store(ResourceKey key, Pod pod, long revision, TaskContext context, PodStatus? status, bool isStored, CancellationToken stop)
    {
        var sources = await Sources(pod, stop);
        var built = TaskBuilder.Build(pod, context with { Sources = sources });
        if (built.Operation is null) return new(IntentEnd.Unbuildable, built);
        if (isStored) return new(IntentEnd.Stored, built);
        var annotation = new TaskAnnotation { Id = new PodTask(pod.Uid, context.Attempt).AttemptId, Agent = context.AgentId, Ports = context.Ports };
        for (var failures = 0; ; failures++)
        {
            try
            {
                var stored = status is null
                    ? await Bind(key, pod.Uid, context.NodeName, annotation, stop)
                    : await api.Patch(key, PatchKind.Merge, StatusPatch.Write(pod.Uid, status, new Dictionary<string, string?> { [TaskAnnotation.Key] = annotation.ToJson() }, revision.ToString(System.Globalization.CultureInfo.InvariantCulture)), new() { Subresource = "status", FieldManager = "placement" }, stop);
                // A server far away answers a binding with a bare success.
                return stored.Revision == 0 ? new(IntentEnd.Stored, built, Bound: annotation) : new(IntentEnd.Stored, built, Pod.Read(stored.Json), stored.Revision);
            }
            catch (ApiException e) when (!e.IsRetryable && !e.IsConflict)
            {
                return new(IntentEnd.Changed, built);
            }
            catch (Exception e) when (e is not OperationCanceledException || !stop.IsCancellationRequested)
            {
                // The answer is lost, or the pod is bound already, perhaps by a try of ours whose answer was lost: what is stored decides.
                if (await ReadBack(key, pod.Uid, annotation.Id, stop) is { } found) return found with { Built = built };
                await Task.Delay(Client.Backoff.Exponential(RetryFirst, RetryMax, failures), time, stop);
            }
        }
    }

    private Task<Stored> Bind(ResourceKey key, string uid, string node, TaskAnnotation annotation, CancellationToken stop)
    {
        var binding = Body.Of(json =>
        {
            json.WriteString("apiVersion"u8, "v1"u8);
            json.WriteString("kind"u8, "Binding"u8);
            json.Object("metadata", x =>
            {
                x.WriteString("name"u8, key.Name);
                x.WriteString("namespace"u8, key.Namespace);
                x.WriteString("uid"u8, uid);
                x.Object("annotations", y => y.WriteString(TaskAnnotation.Key, annotation.ToJson()));
            });
            json.Object("target", x =>
            {
                x.WriteString("apiVersion"u8, "v1"u8);
                x.WriteString("kind"u8, "Node"u8);
                x.WriteString("name"u8, node);
            });
        });
        return api.Create(key, binding, new() { Subresource = "binding", FieldManager = "placement" }, stop);
    }

    /// <summary>null: the API cannot say now.</summary>
    private async Task<IntentResult?> ReadBack(ResourceKey key, string uid, string taskId, CancellationToken stop)
    {
        try
        {
            var stored = await api.Get(key, stop: stop);
            var pod = Pod.Read(stored.Json);
            if (stored.Uid != uid) return new(IntentEnd.Changed);
            return pod.Task?.Id == taskId ? new(IntentEnd.Stored, null, pod, stored.Revision) : new(IntentEnd.Changed);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return new(IntentEnd.Changed);
        }
        catch (Exception e) when (e is not OperationCanceledException || !stop.IsCancellationRequested)
        {
            return null;
        }
    }

    private async Task<EnvSources> Sources(Pod pod, CancellationToken stop)
    {
        var needed = EnvSources.Needed(pod);
        if (needed.Count == 0) return EnvSources.None;
        var sources = new EnvSources();
        foreach (var key in needed)
        {
            Stored? found;
            try
            {
                found = await api.Get(key, stop: stop);
            }
            catch (ApiException e) when (e.IsNotFound)
            {
                found = null;
            }
            if (key.Kind.Equals(Kind.ConfigMap)) sources.ConfigMaps[key.Name] = found is null ? null : ConfigMap.Read(found.Json);
            else sources.Secrets[key.Name] = found is null ? null : Secret.Read(found.Json);
        }
        return sources;
    }
}
