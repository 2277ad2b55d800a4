using Declarative.Api.Kinds;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Volumes;
using Declarative.Controllers.Volumes;

namespace Declarative.Controllers.Placement.Forecasts;

/// <summary>Claims, volumes and storage classes: those that are stored, and those that somebody thinks of making.</summary>
public sealed record ForecastStorage(IReadOnlyList<PersistentVolumeClaim> Claims, IReadOnlyList<PersistentVolume> Volumes, IReadOnlyList<StorageClass> Classes)
{
    /// <summary>Nothing is stored: a pod that names a claim is refused.</summary>
    public static ForecastStorage None { get; } = new([], [], []);
}

/// <summary>What claims of pods ask in a forecast. A claim that is not shared is had by one pod at a time: who comes first has it.</summary>
internal sealed class ForecastClaims
{
    private readonly VolumeBook _book = new();
    private readonly HashSet<string> _had = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _agents;
    private readonly ILookup<string, string> _volumes;
    private readonly string? _default;

    public ForecastClaims(ForecastStorage storage, IEnumerable<Node> nodes)
    {
        _agents = nodes.ToDictionary(x => x.Name, IdOf, StringComparer.Ordinal);
        _volumes = storage.Volumes.Where(x => MesosVolume.IsOurs(x) && MesosVolume.IsCreated(x)).ToLookup(MesosVolume.AgentOf, x => x.Spec.Csi!.VolumeHandle, StringComparer.Ordinal);
        _default = storage.Classes.Where(x => x.IsDefault).OrderByDescending(x => x.Metadata.CreationTimestamp).ThenBy(x => x.Name, StringComparer.Ordinal).FirstOrDefault()?.Name;
        foreach (var ofClass in storage.Classes) _book.Put(ofClass);
        foreach (var volume in storage.Volumes) _book.Put(volume);
        foreach (var claim in storage.Claims) Put(claim);
    }

    /// <summary>The agent of a node, or what stands for it where the node says none.</summary>
    public string AgentOf(string node) => _agents[node];

    /// <summary>The volumes of an agent, whoever has them now.</summary>
    public IReadOnlySet<string> VolumesAt(string agent) => _volumes[agent].ToHashSet(StringComparer.Ordinal);

    /// <summary>The claim is there, as far as the forecast goes; one that is stored already stays.</summary>
    public void Put(PersistentVolumeClaim claim)
    {
        if (_book.Claim(claim.Namespace, claim.Name) is not null) return;
        _book.Put(claim.Spec.StorageClassName is null && claim.Spec.VolumeName.Length == 0 ? claim with { Spec = claim.Spec with { StorageClassName = _default } } : claim);
    }

    /// <summary>The pod has its claims, and keeps them.</summary>
    public void Have(Pod pod) => _had.UnionWith(Keys(pod));

    /// <summary>What its claims ask; from now on it has them.</summary>
    public VolumeNeeds Take(Pod pod)
    {
        var taken = VolumeBook.ClaimsOf(pod).Where(x => _had.Contains(VolumeBook.Key(pod.Namespace, x))).Select(x => Taken(x, _book.Claim(pod.Namespace, x))).FirstOrDefault(x => x is not null);
        Have(pod);
        if (taken is not null) return VolumeNeeds.None with { Blocked = taken };
        // Roles are the platform's configuration, which is not in the snapshot.
        return _book.Needs(pod, role: "", _agents.GetValueOrDefault, _agents.ContainsValue, static _ => "");
    }

    /// <summary>Why a second pod does not have the claim; null = it has.</summary>
    private static string? Taken(string name, PersistentVolumeClaim? claim)
    {
        if (claim?.Spec.AccessModes.Contains(MesosVolume.Shared) != true) return $"another pod has the volume of claim {name}, which is used by one at a time";
        return claim.Spec.VolumeName.Length > 0 ? null : $"claim {name} has no volume yet: this pod follows the first one to its agent, which is not foretold";
    }

    private static IEnumerable<string> Keys(Pod pod) => VolumeBook.ClaimsOf(pod).Select(x => VolumeBook.Key(pod.Namespace, x));

    private static string IdOf(Node node) => NodePlan.AgentId(node) is { Length: > 0 } agent ? agent : node.Name;
}
