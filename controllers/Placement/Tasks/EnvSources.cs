using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>The ConfigMaps and Secrets of one namespace that a pod's environment names; a name that is looked up and missing is null.</summary>
internal sealed class EnvSources
{
    public static EnvSources None { get; } = new();

    public Dictionary<string, ConfigMap?> ConfigMaps { get; } = new(StringComparer.Ordinal);
    public Dictionary<string, Secret?> Secrets { get; } = new(StringComparer.Ordinal);

    /// <summary>What must be read before the pod's tasks can be built.</summary>
    public static IReadOnlyList<ResourceKey> Needed(Pod pod)
    {
        var keys = new List<ResourceKey>();
        foreach (var container in pod.Spec.Containers)
        {
            foreach (var from in container.EnvFrom)
            {
                if (from.ConfigMapRef is { } map) Add(Kind.ConfigMap, map.Name);
                if (from.SecretRef is { } secret) Add(Kind.Secret, secret.Name);
            }
            foreach (var variable in container.Env)
            {
                if (variable.ValueFrom?.ConfigMapKeyRef is { } map) Add(Kind.ConfigMap, map.Name);
                if (variable.ValueFrom?.SecretKeyRef is { } secret) Add(Kind.Secret, secret.Name);
            }
        }
        return keys;

        void Add(Kind kind, string name)
        {
            var key = ResourceKey.Of(kind, pod.Namespace, name);
            if (!keys.Contains(key)) keys.Add(key);
        }
    }
}
