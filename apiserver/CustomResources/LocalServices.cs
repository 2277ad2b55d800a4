using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.CustomResources;

/// <summary>
/// An APIService for each group and version that this server serves, as Kubernetes' aggregator registers its own: those of the table at the start, those
/// of definitions as long as they are served.
/// </summary>
/// <param name="create">As this server.</param>
internal sealed class LocalServices(RevisionLog log, CustomKinds kinds, Func<ResourceKey, ReadOnlyMemory<byte>, CancellationToken, Task> create, Func<ResourceKey, CancellationToken, Task> delete, TimeProvider time)
{
    private const string Label = "kube-aggregator.kubernetes.io/automanaged";
    private const string AtStart = "onstart";
    private const string Always = "true";
    private const int GroupPriority = 1000;
    private const int VersionPriority = 100;

    /// <summary>Of kube-apiserver's own groups (pkg/controlplane/apiserver, aggregator): a higher one stands before others.</summary>
    private static readonly Dictionary<string, int> GroupPriorities = new()
    {
        [""] = 18_000, ["apps"] = 17_800, ["events.k8s.io"] = 17_750, ["authentication.k8s.io"] = 17_700, ["authorization.k8s.io"] = 17_600,
        ["autoscaling"] = 17_500, ["batch"] = 17_400, ["certificates.k8s.io"] = 17_300, ["networking.k8s.io"] = 17_200, ["policy"] = 17_100,
        ["rbac.authorization.k8s.io"] = 17_000, ["storage.k8s.io"] = 16_800, ["apiextensions.k8s.io"] = 16_700, ["admissionregistration.k8s.io"] = 16_700,
        ["scheduling.k8s.io"] = 16_600, ["coordination.k8s.io"] = 16_500, ["node.k8s.io"] = 16_300, ["discovery.k8s.io"] = 16_200,
        ["flowcontrol.apiserver.k8s.io"] = 16_100, ["resource.k8s.io"] = 16_200,
    };

    /// <summary>Those of the table of kinds; the aggregator has none for itself.</summary>
    public static IEnumerable<(ResourceKey Key, ReadOnlyMemory<byte> Json)> OfTable() =>
        from version in Kind.All.Select(x => (x.Group, x.Version)).Distinct()
        where version.Group != Kind.ApiService.Group
        select (Key(version.Group, version.Version), Make(version.Group, version.Version, AtStart));

    /// <summary>Says that what is served here is available.</summary>
    public static void SetAvailable(JsonObject service, DateTimeOffset now) => service["status"] = new JsonObject
    {
        ["conditions"] = new JsonArray(new JsonObject
        {
            ["type"] = "Available",
            ["status"] = "True",
            ["lastTransitionTime"] = Metadata.Time(now),
            ["reason"] = "Local",
            ["message"] = "Local APIServices are always available",
        }),
    };

    /// <summary>Follows the definitions, and makes a service again that somebody deletes, until <paramref name="stop"/> is set. Its owner awaits it.</summary>
    public Task Run(CancellationToken stop) => Upkeep.Of(log, [Kind.CustomResourceDefinition, Kind.ApiService], Tend, time, stop);

    private async Task<bool> Tend(CancellationToken stop)
    {
        var served = kinds.All.Where(x => !x.IsBuiltIn).Select(x => (x.Group, x.Version)).ToHashSet();
        var wanted = served.Where(x => Kind.All.All(kind => (kind.Group, kind.Version) != x)).ToDictionary(x => Key(x.Group, x.Version));
        var kept = log.Snapshot(Kind.ApiService).Objects.Where(x => x.Value.Labels.GetValueOrDefault(Label) == Always).Select(x => x.Value.Stored.Key).ToHashSet();
        foreach (var key in kept.Where(x => !wanted.ContainsKey(x))) await delete(key, stop);
        foreach (var (key, version) in wanted)
        {
            // One that somebody else has made for the same version is left as it is.
            if (log.Get(key) is null) await create(key, Make(version.Group, version.Version, Always), stop);
        }
        return false;
    }

    private static ResourceKey Key(string group, string version) => new(Kind.ApiService, "", $"{version}.{group}");

    private static ReadOnlyMemory<byte> Make(string group, string version, string managed) => System.Text.Encoding.UTF8.GetBytes(new JsonObject
    {
        ["apiVersion"] = Kind.ApiService.ApiVersion,
        ["kind"] = Kind.ApiService.Name,
        ["metadata"] = new JsonObject { ["name"] = $"{version}.{group}", ["labels"] = new JsonObject { [Label] = managed } },
        ["spec"] = new JsonObject
        {
            ["group"] = group,
            ["version"] = version,
            ["groupPriorityMinimum"] = GroupPriorities.GetValueOrDefault(group, GroupPriority),
            ["versionPriority"] = managed == Always ? VersionPriority : PriorityOf(version),
        },
    }.ToJsonString());

    // As kube-apiserver's table has them: a newer stable version before an older one, both before betas.
    private static int PriorityOf(string version) => version.Contains("beta", StringComparison.Ordinal) ? 9 : version == "v1" ? 15 : 30;
}
