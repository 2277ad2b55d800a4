using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>The name Mesos' users see (architecture.md, decision 9): the topmost owner's name, with <c>.namespace</c> outside default.</summary>
internal static class TaskName
{
    public const string Annotation = "declarative.mesos/name";
    private const int OwnersMax = 4;

    /// <param name="replicaSet">Finds a ReplicaSet by namespace and name; null where it is not known (any more).</param>
    public static string Of(Pod pod, Func<string, string, ApiObject?> replicaSet)
    {
        if (pod.Metadata.Annotations.TryGetValue(Annotation, out var given) && given.Length > 0) return given;
        var top = pod.Name;
        var owner = pod.Metadata.Controller;
        for (var i = 0; i < OwnersMax && owner is not null; i++)
        {
            top = owner.Name;
            var above = owner.Kind == "ReplicaSet" ? replicaSet(pod.Namespace, owner.Name) : null;
            owner = above?.Metadata.Controller;
        }
        return pod.Namespace is "default" or "" ? top : $"{top}.{pod.Namespace}";
    }
}
