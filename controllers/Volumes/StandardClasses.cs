using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Volumes;

/// <summary>
/// The two storage classes that a cluster begins with. They are made where there is no class of our provisioner at all, so that what people have
/// changed or deleted afterwards stays as they want it while they keep one of their own.
/// </summary>
internal static class StandardClasses
{
    private static readonly TimeSpan RetryFirst = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(10);

    public static async Task Make(IApi api, TimeProvider time, ILogger logger, CancellationToken stop)
    {
        for (var failures = 0; !stop.IsCancellationRequested; failures++)
        {
            try
            {
                await Make(api, stop);
                return;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) // the API is away: what can break has many types, and it is tried again for all
            {
                var delay = Client.Backoff.Exponential(RetryFirst, RetryMax, failures);
                Log.ClassesNotMade(logger, delay, e.Message);
                try
                {
                    await Task.Delay(delay, time, stop);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
        }
    }

    private static async Task Make(IApi api, CancellationToken stop)
    {
        var present = (await api.List(new(Kind.StorageClass), stop)).Items.Select(x => StorageClass.Read(x.Json)).ToList();
        if (present.Any(x => x.Provisioner == MesosVolume.Provisioner)) return;
        var isDefaultFree = !present.Any(x => x.IsDefault);
        await Make(api, MesosVolume.RetainClass, "Retain", isDefault: false, stop);
        await Make(api, MesosVolume.DefaultClass, "Delete", isDefaultFree, stop);
    }

    private static async Task Make(IApi api, string name, string reclaim, bool isDefault, CancellationToken stop)
    {
        var body = Body.Of(json =>
        {
            json.TypeMeta(Kind.StorageClass);
            json.Object("metadata", x =>
            {
                x.WriteString("name"u8, name);
                if (isDefault) x.Map("annotations", [new(StorageClass.DefaultAnnotation, "true")]);
            });
            json.WriteString("provisioner"u8, MesosVolume.Provisioner);
            json.WriteString("reclaimPolicy"u8, reclaim);
            json.WriteString("volumeBindingMode"u8, "WaitForFirstConsumer"u8);
            json.WriteBoolean("allowVolumeExpansion"u8, true);
        });
        try
        {
            await api.Create(ResourceKey.Of(Kind.StorageClass, "", name), body, new() { FieldManager = VolumeController.Name }, stop);
        }
        catch (ApiException e) when (e.IsConflict || e.Code == 409)
        {
            return; // there is one of that name: it is its maker's
        }
    }
}
