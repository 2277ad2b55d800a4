using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

internal sealed class PodStrategy : Strategy
{
    private const long DefaultGraceSeconds = 30;

    public PodStrategy() => HasStatus = true;

    public override bool HasGeneration => true;

    public override IReadOnlyList<string> SelectableFields { get; } =
        ["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"];

    public override void Default(JsonObject json) => PodDefaults.Apply(json.Need("spec"));

    public override void PrepareForCreate(JsonObject json, WriteContext context)
    {
        var spec = json.Need("spec");
        spec.Default("serviceAccountName", spec.Text("serviceAccount") is { Length: > 0 } old ? old : "default");
        spec["serviceAccount"] = spec.Text("serviceAccountName");
        json["status"] = new JsonObject { ["phase"] = "Pending", ["qosClass"] = PodDefaults.QosClass(json.Need("spec")) };
    }

    public override void PrepareSubresource(string subresource, JsonObject json, JsonObject old, WriteContext context)
    {
        if (subresource == "binding") return;
        if (subresource == "ephemeralcontainers") throw Status.MethodNotAllowed("ephemeral containers are not supported: tasks of Mesos can not be extended while they run");
        base.PrepareSubresource(subresource, json, old, context);
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        if (json.Object("spec") is not { } spec)
        {
            causes.Add(Metadata.Required("spec"));
            return;
        }
        if (old is null)
        {
            PodValidation.Spec(spec, "spec", causes);
            var part = new Part(spec, "spec", causes);
            foreach (var container in part.Items("containers").Concat(part.Items("initContainers"))) ContainerValidation.Image(container);
            if (spec.List("ephemeralContainers") is { Count: > 0 }) part.Forbidden("ephemeralContainers", "cannot be set on create");
            if (spec.Text("nodeName").Length > 0 && spec.List("schedulingGates") is { Count: > 0 }) part.Forbidden("nodeName", "cannot be set until all schedulingGates have been cleared");
            return;
        }
        PodUpdateValidation.Check(spec, old.Object("spec") ?? [], causes);
    }

    public override void Warn(JsonObject json, JsonObject? old, ICollection<string> warnings)
    {
        if (old is null && json.Object("spec") is { } spec) PodValidation.Warn(spec, "spec", warnings);
    }

    /// <summary>A pod that no agent holds, or that has ended, goes at once.</summary>
    public override long GraceSeconds(JsonObject json, long? asked)
    {
        var spec = json.Object("spec");
        if (spec is null || spec.Text("nodeName").Length == 0) return 0;
        if (json.Object("status")?.Text("phase") is "Succeeded" or "Failed") return 0;
        var seconds = asked ?? spec.Number("terminationGracePeriodSeconds") ?? DefaultGraceSeconds;
        // As Kubernetes reads it (podStrategy, CheckGracefulDelete).
        return seconds < 0 ? 1 : seconds;
    }
}
