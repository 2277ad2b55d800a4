using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Client.Traffic;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Endpoints;

/// <summary>Service and Pods → EndpointSlices, and the TrafficReport that says up to which pod revision they are true (architecture.md, decision 12).</summary>
internal static class EndpointsController
{
    public const string Name = "endpoints-controller";

    private const string ByService = "service";

    public static async Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var services = new Informer<Service>(api, Kind.Service, Service.Read, time, random) { Logger = logger };
        var pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, random) { Logger = logger };
        var slices = new Informer<EndpointSlice>(api, Kind.EndpointSlice, EndpointSlice.Read, time, random) { Logger = logger }
            .AddIndex(ByService, x => IsOurs(x) ? $"{x.Namespace}/{x.ServiceName}" : null);
        var observed = new Observed();
        var reporting = false;
        // One instance works at a time (the leader), and always under the same name: after a crash the next one takes the report over.
        var reporter = new TrafficReporter("endpoints", "leader");
        var controller = new Controller<ObjectName>(Name, api, time, (key, _) => new(Compute(key)))
        {
            Views = [services, pods, slices],
            Finished = (key, achieved) =>
            {
                observed.Finished(key, achieved);
                Report();
            },
            Logger = logger,
        };
        services.OnChange(change => controller.Queue.Add(ObjectName.Of(change.Object)));
        slices.OnChange(change =>
        {
            if (IsOurs(change.Object)) controller.Queue.Add(new(change.Object.Namespace, change.Object.ServiceName));
        });
        pods.OnChange(change =>
        {
            var concerned = Concerned(change);
            observed.Changed(change.Revision, concerned, change.New is { Metadata.IsDeleting: true } && change.Old is not { Metadata.IsDeleting: true });
            foreach (var service in concerned) controller.Queue.Add(service);
            Report();
        });
        var running = controller.Run(stop);
        await ReportFromSyncOn();
        await running;

        async Task ReportFromSyncOn()
        {
            var stopped = Completion.New();
            using var stopping = stop.Register(() => stopped.TrySetResult());
            await Task.WhenAny(Task.WhenAll(services.Synced, pods.Synced, slices.Synced), stopped.Task);
            if (stop.IsCancellationRequested) return;
            // The pods of the first list may have come before the Services: nothing is known to stand in slices before each was looked at once.
            foreach (var service in services.List())
            {
                observed.Changed(1, [ObjectName.Of(service)], marksDeletion: false);
                controller.Queue.Add(ObjectName.Of(service));
            }
            reporting = true;
            Report();
            await reporter.Run(api, time, stop);
        }

        void Report()
        {
            if (Volatile.Read(ref reporting)) reporter.Report(observed.Revision, [], observed.Awaited);
        }

        Plan Compute(ObjectName key)
        {
            observed.Started(key);
            var service = services.Get(key.Namespace, key.Name);
            IReadOnlyList<Pod> selected = service is null ? [] : [.. pods.ListNamespace(key.Namespace).Where(x => EndpointsPlan.Selects(service, x.Metadata.Labels))];
            return EndpointsPlan.Compute(service, selected, slices.ByIndex(ByService, key.ToString()));
        }

        List<ObjectName> Concerned(Change<Pod> change)
        {
            if (change is { Old: { } old, New: { } now } && !Matters(old, now)) return [];
            var concerned = new List<ObjectName>();
            foreach (var service in services.ListNamespace(change.Object.Namespace))
            {
                if ((change.Old is { } before && EndpointsPlan.Selects(service, before.Metadata.Labels))
                    || (change.New is { } after && EndpointsPlan.Selects(service, after.Metadata.Labels))) concerned.Add(ObjectName.Of(service));
            }
            return concerned;
        }
    }

    private static bool IsOurs(EndpointSlice slice) => slice.Metadata.Labels.GetValueOrDefault(EndpointSlice.ManagedByLabel) == EndpointSlice.OurManager;

    /// <summary>Most changes of pods (probes, restarts, other conditions) concern no slice.</summary>
    private static bool Matters(Pod old, Pod now) =>
        old.IsReady != now.IsReady || old.Status.PodIP != now.Status.PodIP || old.Metadata.IsDeleting != now.Metadata.IsDeleting || old.IsFinished != now.IsFinished
        || old.Spec.NodeName != now.Spec.NodeName || old.Metadata.Annotations.GetValueOrDefault(TaskAnnotation.Key) != now.Metadata.Annotations.GetValueOrDefault(TaskAnnotation.Key)
        || !SameLabels(old.Metadata.Labels, now.Metadata.Labels);

    private static bool SameLabels(IReadOnlyDictionary<string, string> a, IReadOnlyDictionary<string, string> b) =>
        a.Count == b.Count && a.All(x => b.TryGetValue(x.Key, out var value) && value == x.Value);
}
