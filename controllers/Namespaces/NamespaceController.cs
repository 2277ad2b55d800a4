using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Namespaces;

/// <summary>Namespace in deletion → nothing in it, and then no namespace.</summary>
internal static class NamespaceController
{
    public const string Name = "namespace-controller";

    /// <summary>Objects of one kind that one pass takes on; the rest is for the next pass.</summary>
    private const int ContentPerKindMax = 500;

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var namespaces = new Informer<Namespace>(api, Kind.Namespace, Namespace.Read, time, random) { KeepJson = true, Logger = logger };
        var controller = new Controller<ObjectName>(Name, api, time, Compute) { Views = [namespaces], Workers = 2, Logger = logger };
        namespaces.OnChange(change => controller.Queue.Add(ObjectName.Of(change.Object)));
        return controller.Run(stop);

        async ValueTask<Plan> Compute(ObjectName key, CancellationToken stopped)
        {
            if (namespaces.Entry("", key.Name) is not { } entry) return Plan.Nothing;
            var content = entry.Object.Metadata.IsDeleting ? await ContentOf(api, key.Name, stopped) : [];
            return NamespacePlan.Compute(entry.Object, entry.Json, content, time.GetUtcNow());
        }
    }

    // Read from the server, not from views: a namespace goes only when there is truly nothing in it.
    private static async Task<List<Content>> ContentOf(IApi api, string ns, CancellationToken stop)
    {
        var content = new List<Content>();
        foreach (var kind in await StoredKinds.Read(api, stop))
        {
            if (!kind.Namespaced) continue;
            try
            {
                var page = await api.List(new(kind, ns) { Limit = ContentPerKindMax }, stop);
                foreach (var stored in page.Items)
                {
                    var x = ApiObject.Read(stored.Json);
                    content.Add(new(stored.Key, stored.Uid, x.Metadata.IsDeleting, x.Metadata.Finalizers));
                }
            }
            catch (ApiException e) when (e.Code is 404 or 405)
            {
                continue; // not served here, so there is none
            }
        }
        return content;
    }
}
