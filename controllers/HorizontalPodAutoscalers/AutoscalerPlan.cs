using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>One look at one autoscaler: what its metrics want, what its limits and behaviour allow, and what its status says of it.</summary>
internal sealed class AutoscalerPlan(HorizontalPodAutoscaler autoscaler, ReadOnlyMemory<byte> json, ScalingHistory history, AutoscalerOptions options, DateTimeOffset now)
{
    private const string Able = "AbleToScale";
    private const string Active = "ScalingActive";
    private const string LimitedBy = "ScalingLimited";

    private readonly List<EventNote> _events = [];
    private readonly HorizontalPodAutoscalerStatus _old = autoscaler.Status;
    private IReadOnlyList<Condition> _conditions = autoscaler.Status.Conditions;
    private JsonArray? _metrics;
    private int _current = autoscaler.Status.CurrentReplicas;
    private int _desired = autoscaler.Status.DesiredReplicas;

    private HorizontalPodAutoscalerSpec Spec => autoscaler.Spec;

    /// <summary>Whether the number of replicas is a question of the metrics.</summary>
    public static bool AsksMetrics(HorizontalPodAutoscaler autoscaler, ScaleTarget target) =>
        target.Replicas > 0 && target.Replicas >= autoscaler.Spec.MinReplicas && target.Replicas <= autoscaler.Spec.MaxReplicas;

    /// <summary>The scale can not be read.</summary>
    public Plan WithoutTarget(string error)
    {
        Say(Able, false, "FailedGetScale", "the HPA controller was unable to get the target's current scale: " + error);
        Warn("FailedGetScale", error);
        return Ended();
    }

    /// <summary>The scale does not say which pods are its own.</summary>
    /// <param name="error">Of the selector; "" = there is none.</param>
    public Plan WithoutSelector(ScaleTarget target, string error)
    {
        Found(target);
        if (error.Length == 0) Warn("SelectorRequired", "selector is required");
        else Warn("InvalidSelector", error);
        Say(Active, false, "InvalidSelector", error.Length == 0 ? "the HPA target's scale is missing a selector" : "couldn't convert selector into a corresponding internal selector object: " + error);
        return Ended();
    }

    /// <summary>Other autoscalers would scale the same pods: none of them does.</summary>
    /// <param name="all">Of one namespace, this one too.</param>
    public Plan WithOthers(ScaleTarget target, IReadOnlyList<ObjectName> all)
    {
        Found(target);
        var error = $"pods by selector {target.Selector} are controlled by multiple HPAs: [{string.Join(' ', all.Select(x => $"{{{x.Name} {x.Namespace}}}"))}]";
        Warn("AmbiguousSelector", error);
        Say(Active, false, "AmbiguousSelector", error);
        return Ended();
    }

    /// <param name="pods">null where <see cref="AsksMetrics"/> says that they are not needed.</param>
    public Plan Of(ScaleTarget target, TargetPods? pods)
    {
        Found(target);
        history.Begin(target.Replicas, now);
        if (pods is null) return Scaled(target, OutOfRange(target.Replicas));
        var behavior = new ScalingBehavior(Spec, options);
        var calculator = new ReplicaCalculator(options, now);
        List<MetricReading> readings = [.. Spec.Metrics.Select(x => MetricReading.Of(x, target.Replicas, pods, behavior.Tolerances, calculator))];
        _metrics = [.. readings.Select(x => x.Current)];
        List<MetricReading> failed = [.. readings.Where(x => !x.IsValid)];
        foreach (var x in failed) Warn(x.Reason, x.Error);
        var best = readings.Where(x => x.IsValid).MaxBy(x => x.Replicas);
        if (failed.Count > 0) Warn("FailedComputeMetricsReplicas", $"invalid metrics ({failed.Count} invalid out of {readings.Count}), first error is: {failed[0].Error}");
        // What is not known may need as many as there are: it stands against scaling down.
        if (best is null || (failed.Count > 0 && best.Replicas < target.Replicas))
        {
            if (failed.Count > 0) Say(Active, false, failed[0].Reason, "the HPA was unable to compute the replica count: " + failed[0].Error);
            return Ended();
        }
        Say(Active, true, "ValidMetricFound", $"the HPA was able to successfully calculate a replica count from {best.Name}");
        var allowed = behavior.Allow(target.Replicas, best.Replicas, history, now);
        history.Recommend(best.Replicas, now);
        Say(Able, allowed.AbleToScale);
        Say(LimitedBy, allowed.ScalingLimited);
        return Scaled(target, (allowed.Replicas, allowed.Replicas > target.Replicas ? best.Name + " above target" : "All metrics below target"));
    }

    private void Found(ScaleTarget target)
    {
        _current = target.Replicas;
        Say(Able, true, "SucceededGetScale", "the HPA controller was able to get the target's current scale");
    }

    private (int Replicas, string Why) OutOfRange(int replicas)
    {
        if (replicas > Spec.MaxReplicas) return (Spec.MaxReplicas, "Current number of replicas above Spec.MaxReplicas");
        if (replicas > 0) return (Spec.MinReplicas, "Current number of replicas below Spec.MinReplicas");
        Say(Active, false, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero");
        return (0, "");
    }

    private Plan Scaled(ScaleTarget target, (int Replicas, string Why) to)
    {
        _desired = to.Replicas;
        if (to.Replicas == target.Replicas) return Ended();
        var able = (_conditions, _desired);
        Say(Able, true, "SucceededRescale", $"the HPA controller was able to update the target scale to {to.Replicas}");
        var plan = Ended(rescaled: true);
        return plan with
        {
            Changes = [target.To(to.Replicas), .. plan.Changes],
            Tell = applied =>
            {
                if (applied.Change is not Update) return null;
                history.Change(to.Replicas - target.Replicas, now);
                return EventNote.Normal(About, "SuccessfulRescale", $"New size: {to.Replicas}; reason: {to.Why}");
            },
            OnRefused = applied =>
            {
                if (applied.Change is not Update) return Plan.Nothing;
                (_conditions, _desired) = (able._conditions, _old.DesiredReplicas);
                Say(Able, false, "FailedUpdateScale", "the HPA controller was unable to update the target scale: " + applied.Error!.Message);
                Warn("FailedRescale", $"New size: {to.Replicas}; reason: {to.Why}; error: {applied.Error.Message}");
                return Ended();
            },
        };
    }

    private ObjectReference About => Body.Reference(Kind.HorizontalPodAutoscaler, autoscaler);

    private void Warn(string reason, string message) => _events.Add(EventNote.Warning(About, reason, message));

    private void Say(string type, Verdict verdict) => Say(type, verdict.IsTrue, verdict.Reason, verdict.Message);

    private void Say(string type, bool isTrue, string reason, string message) =>
        _conditions = _conditions.With(type, isTrue ? "True" : "False", reason, message, now, touch: _conditions.Find(type)?.Message != message, hasUpdateTime: false);

    /// <summary>The status where it is another than before, the events, and the next look.</summary>
    private Plan Ended(bool rescaled = false)
    {
        var plan = new Plan { LookAgainIn = options.SyncPeriod, Events = [.. _events] };
        var same = !rescaled && _old.CurrentReplicas == _current && _old.DesiredReplicas == _desired && _old.Conditions.SequenceEqual(_conditions)
            && JsonNode.DeepEquals(JsonNode.Parse(json.Span)?["status"]?["currentMetrics"], _metrics);
        if (same) return plan;
        return plan with
        {
            Changes = [Change.Merge(ResourceKey.Of(Kind.HorizontalPodAutoscaler, autoscaler.Namespace, autoscaler.Name), Body.Of(body =>
            {
                body.Object("metadata", meta => meta.WriteString("uid"u8, autoscaler.Uid));
                body.Object("status", status =>
                {
                    status.WriteNumber("currentReplicas"u8, _current);
                    status.WriteNumber("desiredReplicas"u8, _desired);
                    if (rescaled) status.WriteString("lastScaleTime"u8, Body.Time(now));
                    status.WritePropertyName("currentMetrics"u8);
                    if (_metrics is null) status.WriteNullValue();
                    else _metrics.WriteTo(status);
                    status.Conditions(_conditions);
                });
            }), "status")],
        };
    }
}
