using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>The scale subresource of what an autoscaler names, as it was read.</summary>
/// <param name="Selector">In its string form; "" where the scale has none.</param>
internal sealed record ScaleTarget(ResourceKey Key, string ResourceVersion, int Replicas, string Selector)
{
    /// <summary>Exactly one is set: the target, or why it can not be read.</summary>
    public static async Task<(ScaleTarget? Target, string Error)> Read(IApi api, string ns, CrossVersionObjectReference reference, CancellationToken stop)
    {
        var slash = reference.ApiVersion.IndexOf('/', StringComparison.Ordinal);
        var group = slash < 0 ? "" : reference.ApiVersion[..slash];
        var kind = Find(StoredKinds.BuiltIn) ?? Find(await StoredKinds.Read(api, stop));
        if (kind is null) return (null, $"no matches for kind \"{reference.Kind}\" in group \"{group}\"");
        var key = ResourceKey.Of(kind, ns, reference.Name);
        try
        {
            using var scale = JsonDocument.Parse((await api.Get(key, "scale", stop)).Json);
            var root = scale.RootElement;
            return (new(key, Text(root, "metadata", "resourceVersion"), Part(root, "spec", "replicas") is { ValueKind: JsonValueKind.Number } number ? number.GetInt32() : 0, Text(root, "status", "selector")), "");
        }
        catch (ApiException e) when (e.Code is 400 or 403 or 404 or 405)
        {
            return (null, e.Message);
        }

        Kind? Find(IReadOnlyList<Kind> kinds) => kinds.FirstOrDefault(x => x.Group == group && x.Name == reference.Kind && x.Namespaced);
    }

    /// <summary>Of this revision alone: whoever else scaled it meanwhile is not undone.</summary>
    public Update To(int replicas) => new(Key, Body.Of(json =>
    {
        json.WriteString("apiVersion"u8, "autoscaling/v1");
        json.WriteString("kind"u8, "Scale");
        json.Object("metadata", meta =>
        {
            meta.WriteString("name"u8, Key.Name);
            meta.WriteString("namespace"u8, Key.Namespace);
            meta.WriteString("resourceVersion"u8, ResourceVersion);
        });
        json.Object("spec", spec => spec.WriteNumber("replicas"u8, replicas));
    }), "scale");

    private static JsonElement? Part(JsonElement root, string parent, string name) =>
        root.TryGetProperty(parent, out var at) && at.TryGetProperty(name, out var value) ? value : null;

    private static string Text(JsonElement root, string parent, string name) => Part(root, parent, name)?.GetString() ?? "";
}
