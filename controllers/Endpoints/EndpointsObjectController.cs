using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Endpoints;

/// <summary>
/// Service and its EndpointSlices → the Endpoints object of the same name, for clients that read nothing newer (kubectl describe service
/// up to 1.30). Nothing of the platform reads it; so that a rollout does not write it once per pod, it follows after a moment.
/// </summary>
internal static class EndpointsObjectController
{
    public const string Name = "endpoints-object-controller";

    private const string ByService = "service";
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(500);

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var services = new Informer<Service>(api, Kind.Service, Service.Read, time, random) { Logger = logger };
        var slices = new Informer<EndpointSlice>(api, Kind.EndpointSlice, EndpointSlice.Read, time, random) { Logger = logger }
            .AddIndex(ByService, x => x.Metadata.Labels.GetValueOrDefault(EndpointSlice.ManagedByLabel) == EndpointSlice.OurManager ? $"{x.Namespace}/{x.ServiceName}" : null);
        var objects = new Informer<ApiObject>(api, Kind.Endpoints, ApiObject.Read, time, random) { Logger = logger, KeepJson = true };
        var controller = new Controller<ObjectName>(Name, api, time, (key, _) => new(Compute(key))) { Views = [services, slices, objects], Logger = logger };
        services.OnChange(change => controller.Queue.AddAfter(ObjectName.Of(change.Object), Moment));
        slices.OnChange(change =>
        {
            if (change.Object.ServiceName is { Length: > 0 } service) controller.Queue.AddAfter(new(change.Object.Namespace, service), Moment);
        });
        objects.OnChange(change => controller.Queue.AddAfter(ObjectName.Of(change.Object), Moment));
        return controller.Run(stop);

        Plan Compute(ObjectName key) => EndpointsObjectPlan.Compute(services.Get(key.Namespace, key.Name), slices.ByIndex(ByService, key.ToString()), objects.Entry(key.Namespace, key.Name));
    }
}
