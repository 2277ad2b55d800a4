using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Cli.Commands;
using Declarative.Controllers.Placement.Forecasts;

namespace Declarative.Cli.Verbs;

/// <summary>
/// The pods that manifests would make: each object, and of each workload one pod, is sent as a dry run, so that defaults, priorities and
/// refusals are the server's own. Nothing is stored.
/// </summary>
internal sealed class WantedPodsReader(Session session, IReadOnlyList<Manifest> manifests, IReadOnlyList<Pod> pods)
{
    private const string FallbackNamespace = "default";
    private readonly List<string> _faults = [];

    /// <summary>What the server would refuse, with file and line.</summary>
    public IReadOnlyList<string> Faults => _faults;

    /// <summary>Pods that the manifests would replace: their places are free for the new ones.</summary>
    public HashSet<string> Replaced { get; } = new(StringComparer.Ordinal);

    /// <summary>Claims among the manifests that are not stored yet.</summary>
    public IReadOnlyList<PersistentVolumeClaim> Claims => _claims;

    private readonly List<PersistentVolumeClaim> _claims = [];

    /// <summary>In the order of the manifests; what makes no pods is left out.</summary>
    public async Task<IReadOnlyList<WantedPods>> Read(CancellationToken stop)
    {
        var wanted = new List<WantedPods>();
        foreach (var manifest in manifests)
        {
            if (ApplyInput.NamespaceFault(manifest, session) is { } fault) _faults.Add(fault);
            else if (manifest.Kind == Kind.PersistentVolumeClaim) _claims.Add(Claim(manifest.Object, manifest.Namespace));
            else if (Template(manifest) is { } template)
            {
                try
                {
                    wanted.Add(await Read(manifest, template, stop));
                }
                catch (ApiException e) when (!e.IsRetryable)
                {
                    _faults.AddRange(manifest.Faults(e.Status));
                }
            }
        }
        return wanted;
    }

    /// <summary>The pod, or the template of a workload's pods; null where the kind makes none, or not a number that its manifest says.</summary>
    private static JsonObject? Template(Manifest manifest) => manifest.Kind.Name switch
    {
        "Pod" => manifest.Object,
        "Deployment" or "ReplicaSet" or "StatefulSet" or "ReplicationController" or "Job" => manifest.Object["spec"]?["template"] as JsonObject,
        _ => null,
    };

    private async Task<WantedPods> Read(Manifest manifest, JsonObject template, CancellationToken stop)
    {
        var isNew = !await Exists(manifest.Key, stop);
        var after = manifest.Object;
        var changed = true;
        if (!IsInNewNamespace(manifest) && manifest.Kind != Kind.Pod)
        {
            var applied = await ClientApply.Apply(session.Api, manifest, DryRun.Server, [], stop);
            after = JsonNode.Parse(applied.After!.Json.Span)!.AsObject();
            changed = applied.Before is not { } before || !JsonNode.DeepEquals(JsonNode.Parse(before.Json.Span)!["spec"]?["template"], after["spec"]?["template"]);
        }
        var count = Count(manifest.Kind, after["spec"]);
        var first = 0;
        if (!isNew)
        {
            var present = manifest.Kind == Kind.Pod ? [.. pods.Where(x => x.Namespace == manifest.Namespace && x.Name == manifest.Name)] : Selected(manifest, after);
            if (manifest.Kind == Kind.Pod || !changed) (first, count) = (present.Count, Math.Max(0, count - present.Count));
            else Replaced.UnionWith(present.Select(x => x.Uid));
        }
        return new(KindNames.Of(manifest.Kind, manifest.Name), count == 0 && manifest.Kind == Kind.Pod ? new() : await OnePod(manifest, template, stop), count)
        {
            Templates = [.. (manifest.Object["spec"]?["volumeClaimTemplates"] as JsonArray ?? []).OfType<JsonObject>().Select(x => Claim(x, manifest.Namespace))],
            FirstOrdinal = first,
        };
    }

    private static PersistentVolumeClaim Claim(JsonObject claim, string ns)
    {
        var read = PersistentVolumeClaim.Read(Encoding.UTF8.GetBytes(claim.ToJsonString()));
        return read with { Metadata = read.Metadata with { Namespace = ns } };
    }

    private static int Count(Kind kind, JsonNode? spec) => kind.Name switch
    {
        "Pod" => 1,
        "Job" => (int?)spec?["parallelism"] ?? 1,
        _ => (int?)spec?["replicas"] ?? 1,
    };

    private List<Pod> Selected(Manifest manifest, JsonObject after)
    {
        var labels = (after["spec"]?["selector"]?["matchLabels"] ?? after["spec"]?["template"]?["metadata"]?["labels"]) as JsonObject ?? [];
        var selector = LabelSelector.Of(labels.ToDictionary(x => x.Key, x => (string?)x.Value ?? "", StringComparer.Ordinal));
        return [.. pods.Where(x => x.Namespace == manifest.Namespace && !x.IsFinished && !x.Metadata.IsDeleting && selector.Matches(x.Metadata.Labels))];
    }

    /// <summary>As the server would store it. What the same manifests make first, a namespace and priority classes, is put in its place.</summary>
    private async Task<Pod> OnePod(Manifest manifest, JsonObject template, CancellationToken stop)
    {
        var ns = IsInNewNamespace(manifest) ? FallbackNamespace : manifest.Namespace;
        var metadata = (template["metadata"]?.DeepClone() as JsonObject) ?? [];
        metadata["namespace"] = ns;
        metadata["name"] = $"{manifest.Name}-planned";
        var spec = (template["spec"]?.DeepClone() as JsonObject) ?? [];
        AddClaims(manifest, spec);
        var priority = await NewClass((string?)spec["priorityClassName"] ?? "", stop);
        if (priority is not null) spec.Remove("priorityClassName");
        if (manifest.Kind == Kind.Pod) metadata.Remove("ownerReferences");
        var body = new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Pod", ["metadata"] = metadata, ["spec"] = spec };
        var stored = await session.Api.Create(ResourceKey.Of(Kind.Pod, ns, $"{manifest.Name}-planned"), Encoding.UTF8.GetBytes(body.ToJsonString()), new() { DryRun = true, FieldManager = "plan" }, stop);
        var pod = Pod.Read(stored.Json);
        pod = pod with { Metadata = pod.Metadata with { Namespace = manifest.Namespace, Name = manifest.Name } };
        if (priority is null) return pod;
        return pod with { Spec = pod.Spec with { Priority = (int?)priority["value"] ?? 0, PreemptionPolicy = (string?)priority["preemptionPolicy"] ?? "" } };
    }

    /// <summary>A pod of a StatefulSet has a volume of the name of each template.</summary>
    private static void AddClaims(Manifest manifest, JsonObject spec)
    {
        foreach (var name in (manifest.Object["spec"]?["volumeClaimTemplates"] as JsonArray ?? []).Select(x => (string?)x?["metadata"]?["name"] ?? ""))
        {
            var volumes = spec["volumes"] as JsonArray ?? [];
            if (volumes.Parent is null) spec["volumes"] = volumes;
            foreach (var same in volumes.Where(x => (string?)x?["name"] == name).ToList()) volumes.Remove(same);
            volumes.Add(new JsonObject { ["name"] = name, ["persistentVolumeClaim"] = new JsonObject { ["claimName"] = $"{name}-{manifest.Name}-0" } });
        }
    }

    private bool IsInNewNamespace(Manifest manifest) => _newNamespaces.Contains(manifest.Namespace);

    private readonly HashSet<string> _newNamespaces = new(manifests.Where(x => x.Kind == Kind.Namespace).Select(x => x.Name), StringComparer.Ordinal);

    /// <summary>A priority class that the manifests make and that is not there yet.</summary>
    private async Task<JsonObject?> NewClass(string name, CancellationToken stop)
    {
        var made = manifests.FirstOrDefault(x => x.Kind.Name == "PriorityClass" && x.Name == name);
        return made is null || await Exists(made.Key, stop) ? null : made.Object;
    }

    private async Task<bool> Exists(ResourceKey key, CancellationToken stop)
    {
        try
        {
            await session.Api.Get(key, stop: stop);
            return true;
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return false;
        }
    }
}
