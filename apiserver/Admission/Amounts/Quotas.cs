using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission.Amounts;

/// <summary>
/// ResourceQuotas: what a write uses more is added to <c>status.used</c> by a conditional write before the object is stored, so that two writes at
/// once never pass on the same rest. What is charged for a write that then fails, and what deletions give back, the controller counts again.
/// </summary>
/// <param name="change">Changes a quota's status, conditionally.</param>
internal sealed class Quotas(RevisionLog log, Func<ResourceKey, Func<Stored, JsonObject>, CancellationToken, Task> change)
{
    /// <exception cref="ApiException">403: a quota is exceeded, or a container does not state what a quota limits.</exception>
    public async Task Charge(AdmissionRequest request, CancellationToken stop)
    {
        if (request.Subresource.Length > 0 || request.Object is null || !request.Key.Kind.Namespaced || request.Key.Kind == Kind.Event) return;
        var quotas = log.Snapshot(Kind.ResourceQuota).Objects;
        if (quotas.Count == 0) return;
        byte[]? wanted = null;
        foreach (var (name, item) in quotas)
        {
            if (name.Namespace != request.Key.Namespace) continue;
            var quota = ResourceQuota.Read(item.Stored.Json);
            wanted ??= Canonical.Bytes(request.Object, request.Key.Kind);
            if (!QuotaUsage.Selects(quota, request.Key.Kind, wanted)) continue;
            if (request is { Operation: "CREATE" } && request.Key.Kind == Kind.Pod) Stated(request, quota, wanted);
            var more = More(request, quota, wanted);
            if (more.Count == 0) continue;
            if (request.DryRun) Add(request, item.Stored, more);
            else await change(item.Stored.Key, current => Add(request, current, more), stop);
        }
    }

    private static void Stated(AdmissionRequest request, ResourceQuota quota, byte[] wanted)
    {
        var missing = Pod.Read(wanted).Spec.Containers.SelectMany(x => QuotaUsage.Unstated(quota, x).Select(resource => (resource, x.Name)))
            .GroupBy(x => x.resource).Select(x => $"{x.Key} for: {string.Join(",", x.Select(y => y.Name))}").ToList();
        if (missing.Count > 0) throw Status.Forbidden(request.Key.Kind, request.Key.Name, $"failed quota: {quota.Name}: must specify {string.Join("; ", missing)}");
    }

    private static SortedDictionary<string, Quantity> More(AdmissionRequest request, ResourceQuota quota, byte[] wanted)
    {
        var before = request.Old is { } old ? QuotaUsage.Of(request.Key.Kind, Canonical.Bytes(old, request.Key.Kind)) : [];
        var more = new SortedDictionary<string, Quantity>(StringComparer.Ordinal);
        foreach (var (name, amount) in QuotaUsage.Of(request.Key.Kind, wanted))
        {
            var delta = amount - before.GetValueOrDefault(name);
            if (delta > Quantity.Zero && quota.Spec.Hard.ContainsKey(name)) more.Add(name, delta);
        }
        return more;
    }

    private JsonObject Add(AdmissionRequest request, Stored current, SortedDictionary<string, Quantity> more)
    {
        var quota = ResourceQuota.Read(current.Json);
        var used = more.Keys.ToDictionary(x => x, x => quota.Status.Used.TryGetValue(x, out var known) ? known : Count(quota, x), StringComparer.Ordinal);
        List<string> exceeded = [.. more.Keys.Where(x => used[x] + more[x] > quota.Spec.Hard[x])];
        if (exceeded.Count > 0)
        {
            throw Status.Forbidden(request.Key.Kind, request.Key.Name, $"exceeded quota: {quota.Name}, requested: {List(x => more[x])}, used: {List(x => used[x])}, limited: {List(x => quota.Spec.Hard[x])}");
        }
        var json = Canonical.Parse(current.Json);
        Metadata.Of(json).Remove("resourceVersion");
        var status = json.Need("status");
        if (status["hard"] is null && json.Object("spec")?["hard"] is { } hard) status["hard"] = hard.DeepClone();
        foreach (var (name, amount) in more) status.Need("used")[name] = (used[name] + amount).ToString();
        return json;

        string List(Func<string, Quantity> of) => string.Join(",", exceeded.Select(x => $"{x}={of(x)}"));
    }

    /// <summary>For a quota that the controller has not counted yet.</summary>
    private Quantity Count(ResourceQuota quota, string resource)
    {
        var sum = Quantity.Zero;
        foreach (var kind in Kind.All)
        {
            if (!kind.Namespaced || kind.Support == KindSupport.Review || kind == Kind.Event) continue;
            foreach (var (name, item) in log.Snapshot(kind).Objects)
            {
                if (name.Namespace == quota.Namespace && QuotaUsage.Selects(quota, kind, item.Stored.Json)) sum += QuotaUsage.Of(kind, item.Stored.Json).GetValueOrDefault(resource);
            }
        }
        return sum;
    }
}
