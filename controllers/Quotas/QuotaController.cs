using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Quotas;

/// <summary>ResourceQuota and what is in its namespace → status. Writes are charged as they are made; this counts again what they missed and deletions gave back.</summary>
internal static class QuotaController
{
    public const string Name = "resourcequota-controller";

    /// <summary>Changes within this time are counted together.</summary>
    private static readonly TimeSpan Together = TimeSpan.FromMilliseconds(500);

    /// <summary>Kinds that are not watched are counted this often (Kubernetes: 5 min for all).</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromMinutes(1);

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var quotas = new Informer<ResourceQuota>(api, Kind.ResourceQuota, ResourceQuota.Read, time, random) { Logger = logger };
        var views = Watched.Select(kind => new Informer<ApiObject>(api, kind, ApiObject.Read, time, random) { Logger = logger }).ToList();
        var lower = new Dictionary<ObjectName, string>();
        var controller = new Controller<ObjectName>(Name, api, time, Compute) { Views = [quotas, .. views], Workers = 1, Logger = logger };
        quotas.OnChange(change =>
        {
            // A charge is followed by the write that it is for: counting at once would miss it.
            if (change.Old is null || !Same(change.Old.Spec.Hard, change.Object.Spec.Hard)) controller.Queue.Add(ObjectName.Of(change.Object));
        });
        foreach (var view in views)
        {
            view.OnChange(change =>
            {
                foreach (var quota in quotas.ListNamespace(change.Object.Namespace)) controller.Queue.AddAfter(ObjectName.Of(quota), Together);
            });
        }
        return controller.Run(stop);

        async ValueTask<Plan> Compute(ObjectName key, CancellationToken stopped)
        {
            if (quotas.Get(key.Namespace, key.Name) is not { } quota) return Plan.Nothing;
            var used = new SortedDictionary<string, Quantity>(StringComparer.Ordinal);
            foreach (var name in quota.Spec.Hard.Keys) used[name] = Quantity.Zero;
            foreach (var kind in await StoredKinds.Read(api, stopped))
            {
                if (!kind.Namespaced || !Counts(quota, kind)) continue;
                foreach (var stored in (await api.List(new(kind, key.Namespace), stopped)).Items)
                {
                    if (!QuotaUsage.Selects(quota, kind, stored.Json)) continue;
                    foreach (var (name, amount) in QuotaUsage.Of(kind, stored.Json))
                    {
                        if (used.TryGetValue(name, out var sum)) used[name] = sum + amount;
                    }
                }
            }
            // Less than was charged may be a write that is on its way: it is given back when it is still less a little later.
            if (!used.Any(x => quota.Status.Used.TryGetValue(x.Key, out var charged) && x.Value < charged)) lower.Remove(key);
            else if (lower.GetValueOrDefault(key) != quota.Metadata.ResourceVersion)
            {
                lower[key] = quota.Metadata.ResourceVersion;
                return new() { LookAgainIn = Together };
            }
            return Written(quota, used);
        }
    }

    private static IEnumerable<Kind> Watched => [Kind.Pod, Kind.Service, Kind.ConfigMap, Kind.Secret, Kind.Find("", "v1", "persistentvolumeclaims")!];

    private static bool Counts(ResourceQuota quota, Kind kind)
    {
        if (kind == Kind.Pod || kind == Kind.Service || kind is { Group: "", Plural: "persistentvolumeclaims" }) return true;
        return quota.Spec.Hard.ContainsKey("count/" + kind.QualifiedPlural) || quota.Spec.Hard.ContainsKey(kind.Plural);
    }

    private static Plan Written(ResourceQuota quota, SortedDictionary<string, Quantity> used)
    {
        if (Same(quota.Status.Hard, quota.Spec.Hard) && Same(quota.Status.Used, used)) return new() { LookAgainIn = LookAgain };
        var key = ResourceKey.Of(Kind.ResourceQuota, quota.Namespace, quota.Name);
        var patch = Change.Merge(key, Body.Of(json =>
        {
            // What is charged meanwhile must not be undone: only of this revision.
            json.Object("metadata", meta => meta.WriteString("resourceVersion"u8, quota.Metadata.ResourceVersion));
            json.Object("status", status =>
            {
                Amounts("hard", quota.Spec.Hard, quota.Status.Hard);
                Amounts("used", used, quota.Status.Used);

                void Amounts(string name, IEnumerable<KeyValuePair<string, Quantity>> now, IReadOnlyDictionary<string, Quantity> before) => status.Object(name, map =>
                {
                    foreach (var (resource, amount) in now.OrderBy(x => x.Key, StringComparer.Ordinal)) map.WriteString(resource, amount.ToString());
                    foreach (var gone in before.Keys.Where(x => !quota.Spec.Hard.ContainsKey(x)).Order(StringComparer.Ordinal)) map.WriteNull(gone);
                });
            });
        }), "status");
        return new() { Changes = [patch], LookAgainIn = LookAgain };
    }

    private static bool Same(IReadOnlyDictionary<string, Quantity> a, IReadOnlyDictionary<string, Quantity> b) => a.Count == b.Count && a.All(x => b.TryGetValue(x.Key, out var y) && x.Value == y);
}
