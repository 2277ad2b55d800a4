using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Admission;

/// <summary>
/// What every namespace has: ServiceAccount <c>default</c>, and ConfigMap <c>kube-root-ca.crt</c> with the certificate that clients inside
/// tasks trust. Both come back when somebody deletes or changes them.
/// </summary>
internal sealed class NamespaceContents(IApi api, string rootCertificate, TimeProvider time)
{
    private const string Account = "default";
    private const string RootMap = "kube-root-ca.crt";
    private const string CertificateKey = "ca.crt";

    /// <summary>Follows namespaces and the two objects until <paramref name="stop"/>. Its owner awaits it.</summary>
    public Task Run(CancellationToken stop) => Completion.OfAll(
        Follow(new WatchRequest(Kind.Namespace), x => (x.Name, x.Name), stop),
        Follow(new WatchRequest(Kind.ServiceAccount) { Fields = FieldSelector.Parse("metadata.name=" + Account) }, x => (x.Namespace, x.Name), stop),
        Follow(new WatchRequest(Kind.ConfigMap) { Fields = FieldSelector.Parse("metadata.name=" + RootMap) }, x => (x.Namespace, x.Name), stop));

    private Task Follow(WatchRequest request, Func<ResourceKey, (string Namespace, string Name)> place, CancellationToken stop) => Following.Objects(
        api, request, (type, changed) => request.Kind == Kind.Namespace && type == WatchEventType.Deleted ? Task.CompletedTask : Ensure(place(changed.Key).Namespace, stop), time, stop);

    private async Task Ensure(string ns, CancellationToken stop)
    {
        await Create(ResourceKey.Of(Kind.ServiceAccount, ns, Account), [], stop);
        var map = ResourceKey.Of(Kind.ConfigMap, ns, RootMap);
        var wanted = new JsonObject { ["data"] = new JsonObject { [CertificateKey] = rootCertificate } };
        if (await Create(map, wanted, stop) || await Current(map, stop) is not { } present) return;
        var data = JsonNode.Parse(present.Json.Span)?["data"];
        if (JsonNode.DeepEquals(data, wanted["data"])) return;
        await api.Patch(map, PatchKind.Json, Encoding.UTF8.GetBytes(new JsonArray(new JsonObject { ["op"] = "add", ["path"] = "/data", ["value"] = wanted["data"]!.DeepClone() }).ToJsonString()), stop: stop);
    }

    /// <summary>False where it is there already, or its namespace is on its way out.</summary>
    private async Task<bool> Create(ResourceKey key, JsonObject body, CancellationToken stop)
    {
        if (await Current(key, stop) is not null) return false;
        body = (JsonObject)body.DeepClone();
        body["metadata"] = new JsonObject { ["name"] = key.Name, ["namespace"] = key.Namespace };
        try
        {
            await api.Create(key, Encoding.UTF8.GetBytes(body.ToJsonString()), stop: stop);
            return true;
        }
        catch (ApiException refused) when (refused.Status.Reason == StatusReason.AlreadyExists || refused.Code is 403 or 404)
        {
            return false;
        }
    }

    private async Task<Stored?> Current(ResourceKey key, CancellationToken stop)
    {
        try
        {
            return await api.Get(key, stop: stop);
        }
        catch (ApiException absent) when (absent.IsNotFound)
        {
            return null;
        }
    }
}
