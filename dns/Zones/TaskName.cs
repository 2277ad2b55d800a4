using Declarative.Api.Kinds;

namespace Declarative.Dns.Zones;

/// <summary>
/// A pod's name in Mesos (architecture.md, decision 9): its topmost owner's name, with <c>.namespace</c> added outside <c>default</c>.
/// </summary>
internal static class TaskName
{
    public const string Annotation = "declarative.mesos/name";
    private const string TemplateHash = "pod-template-hash";

    public static string Of(Pod pod)
    {
        if (pod.Metadata.Annotations.GetValueOrDefault(Annotation) is { Length: > 0 } given)
            return given;
        var name = pod.Metadata.Controller?.Name ?? pod.Name;
        // A ReplicaSet made by a Deployment is named after it, and the pod's label repeats what was added.
        if (pod.Metadata.Controller?.Kind == "ReplicaSet"
            && pod.Metadata.Labels.GetValueOrDefault(TemplateHash) is { Length: > 0 } hash
            && name.EndsWith("-" + hash, StringComparison.Ordinal))
        {
            name = name[..^(hash.Length + 1)];
        }
        return pod.Namespace is "default" or "" ? name : $"{name}.{pod.Namespace}";
    }
}
