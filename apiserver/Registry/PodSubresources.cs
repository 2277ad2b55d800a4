using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry;

/// <summary>Subresources that are created: binding and eviction of a pod.</summary>
internal static class PodSubresources
{
    public static Task<Stored> Create(Registry registry, User user, ResourceKey key, JsonObject body, WriteOptions write, CancellationToken stop) =>
        (key.Kind.Plural, write.Subresource) switch
        {
            ("pods", "binding") => Bind(registry, user, key, body, write, stop),
            ("pods", "eviction") => Eviction.Run(registry, user, key, body, write, stop),
            _ => throw Status.MethodNotAllowed($"{key.Kind.Plural}/{write.Subresource} can not be created"),
        };

    /// <summary>
    /// Assigns a pod to a node, once. The annotations of the Binding are copied to the pod in the same write: with them the intent
    /// to launch is durable before the launch (architecture.md, decision 5).
    /// </summary>
    private static Task<Stored> Bind(Registry registry, User user, ResourceKey key, JsonObject binding, WriteOptions write, CancellationToken stop)
    {
        var node = binding.Object("target")?.Text("name") ?? "";
        if (node.Length == 0) throw Status.Invalid(key.Kind, key.Name, [Metadata.Required("target.name", "the name of the node")]);
        var uid = Metadata.Uid(binding);
        return registry.Change(user, key, write with { Subresource = "binding" }, current =>
        {
            if (uid.Length > 0 && uid != current.Uid) throw Status.Conflict(key.Kind, key.Name, $"Precondition failed: UID in precondition: {uid}, UID in object meta: {current.Uid}");
            var pod = Canonical.Parse(current.Json);
            Metadata.Of(pod).Remove("resourceVersion");
            if (Metadata.IsDeleting(pod)) throw Status.Conflict(key.Kind, key.Name, $"pod {key.Name} is being deleted, cannot be assigned to a host");
            var spec = pod.Need("spec");
            if (spec.Text("nodeName") is { Length: > 0 } bound) throw Status.Conflict(key.Kind, key.Name, $"pod {key.Name} is already assigned to node \"{bound}\"");
            spec["nodeName"] = node;
            if (Metadata.Of(binding).Object("annotations") is { } annotations)
            {
                var target = Metadata.Of(pod).Need("annotations");
                foreach (var (name, value) in annotations) target[name] = value?.DeepClone();
            }
            return pod;
        }, stop);
    }
}
