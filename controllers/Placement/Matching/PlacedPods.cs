using System.Text;
using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>
/// Every pod that has a place, whether its node offers something now or not. Pods that no selector can tell apart form one group with a count
/// per node, so that a term is held against each group once, not against each pod. Not synchronised.
/// </summary>
internal sealed class PlacedPods
{
    private readonly Dictionary<string, PlacedGroup> _groups = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Place> _places = new(StringComparer.Ordinal);

    private readonly record struct Place(PlacedGroup Group, string Node, IReadOnlyDictionary<string, string> Labels);

    public IReadOnlyCollection<PlacedGroup> Groups => _groups.Values;

    /// <summary>Pods that have a place.</summary>
    public int Count => _places.Count;

    /// <summary>Notes where a pod stands, in place of what was noted of it before.</summary>
    public void Put(Pod pod, string node)
    {
        if (_places.TryGetValue(pod.Uid, out var place))
        {
            if (place.Node == node && place.Group.IsDeleting == pod.Metadata.IsDeleting && ReferenceEquals(place.Labels, pod.Metadata.Labels)) return;
            Remove(pod.Uid);
        }
        var group = GroupOf(pod);
        group.Nodes[node] = group.Nodes.GetValueOrDefault(node) + 1;
        _places.Add(pod.Uid, new(group, node, pod.Metadata.Labels));
    }

    /// <summary>The group of a pod, made where there is none yet.</summary>
    public PlacedGroup GroupOf(Pod pod)
    {
        var key = KeyOf(pod);
        if (!_groups.TryGetValue(key, out var group)) _groups.Add(key, group = new(key, pod));
        return group;
    }

    public void Remove(string uid)
    {
        if (!_places.Remove(uid, out var place)) return;
        var nodes = place.Group.Nodes;
        if (nodes[place.Node] > 1) nodes[place.Node]--;
        else nodes.Remove(place.Node);
        if (nodes.Count == 0) _groups.Remove(place.Group.Key);
    }

    private static string KeyOf(Pod pod)
    {
        var key = new StringBuilder(64);
        key.Append(pod.Namespace).Append(pod.Metadata.IsDeleting ? '-' : '+');
        foreach (var (name, value) in pod.Metadata.Labels) key.Append(name).Append('=').Append(value).Append(',');
        foreach (var term in PlacedGroup.RepelTermsOf(pod)) WaitingPod.Append(key.Append('!'), term);
        return key.ToString();
    }
}

/// <summary>Pods of one namespace with the same labels and the same required anti-affinity.</summary>
internal sealed class PlacedGroup(string key, Pod sample)
{
    public string Key { get; } = key;
    public Pod Sample { get; } = sample;

    /// <summary>The pods are on their way out: they keep others away as before, but a spread does not count them.</summary>
    public bool IsDeleting { get; } = sample.Metadata.IsDeleting;

    /// <summary>How many stand on each node.</summary>
    public Dictionary<string, int> Nodes { get; } = new(StringComparer.Ordinal);

    /// <summary>The terms by which a pod keeps others away from where it stands.</summary>
    public static IReadOnlyList<PodAffinityTerm> RepelTermsOf(Pod pod) => pod.Spec.Affinity?.PodAntiAffinity?.RequiredDuringSchedulingIgnoredDuringExecution ?? [];
}
