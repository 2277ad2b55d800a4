using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Placement;

/// <summary>
/// The framework's identity (architecture.md, decision 5): ConfigMap kube-system/mesos-framework-NAME. Read before the first SUBSCRIBE, written
/// after the first SUBSCRIBED and before the first ACCEPT.
/// </summary>
internal sealed class Identity(IApi api, PlacementOptions options)
{
    public const string Namespace = "kube-system";

    public string ConfigMapName { get; } = "mesos-framework-" + options.FrameworkName;

    private ResourceKey Key => ResourceKey.Of(Kind.ConfigMap, Namespace, ConfigMapName);

    /// <summary>"" where the framework has never registered.</summary>
    public string FrameworkId { get; private set; } = "";
    public string Master { get; private set; } = "";

    public async Task Read(CancellationToken stop)
    {
        try
        {
            var stored = await api.Get(Key, stop: stop);
            var data = ConfigMap.Read(stored.Json).Data;
            FrameworkId = data.GetValueOrDefault("frameworkId", "");
            Master = data.GetValueOrDefault("master", "");
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            (FrameworkId, Master) = ("", "");
        }
    }

    /// <summary>A write that is lost and repeated does no harm: the same values again.</summary>
    public async Task Write(string frameworkId, string master, CancellationToken stop)
    {
        if (frameworkId == FrameworkId && master == Master) return;
        var body = Body.Of(json =>
        {
            json.TypeMeta(Kind.ConfigMap);
            json.Object("metadata", x =>
            {
                x.WriteString("name"u8, ConfigMapName);
                x.WriteString("namespace"u8, Namespace);
            });
            json.Map("data", [new("frameworkId", frameworkId), new("name", options.FrameworkName), new("principal", options.Principal), new("master", master)]);
        });
        try
        {
            await api.Patch(Key, PatchKind.Merge, body, new() { FieldManager = "placement" }, stop);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            await api.Create(Key, body, new() { FieldManager = "placement" }, stop);
        }
        (FrameworkId, Master) = (frameworkId, master);
    }
}
