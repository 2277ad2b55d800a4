using System.Text;
using Declarative.Api.Kinds;
using Declarative.Controllers.Placement.Matching;

namespace Declarative.Controllers.Placement;

/// <summary>Refusals in words: one line for the PodScheduled condition, and every reason per agent for <c>declarative why</c>.</summary>
public static class Why
{
    /// <summary>The annotation that holds every reason of a waiting pod, as text.</summary>
    public const string Annotation = "declarative.mesos/why";

    /// <summary>Of the annotation: enough for some hundred reasons.</summary>
    private const int DetailCharsMax = 8_000;

    /// <summary>The explanation of a pod's place or lack of one, from its stored object.</summary>
    public static string Text(Pod pod)
    {
        var text = new StringBuilder();
        var scheduled = pod.Status.Conditions.FirstOrDefault(x => x.Type == "PodScheduled");
        if (pod.Spec.NodeName.Length > 0)
        {
            text.Append("pod ").Append(pod.Namespace).Append('/').Append(pod.Name).Append(" has its place on ").Append(pod.Spec.NodeName).Append(", phase ").Append(pod.Status.Phase).Append('\n');
            if (pod.Task is { } task)
            {
                text.Append("task ").Append(task.Id).Append(" on agent ").Append(task.Agent);
                foreach (var (port, host) in task.Ports.OrderBy(x => x.Key, StringComparer.Ordinal)) text.Append(", ").Append(port).Append(" at port ").Append(host);
                text.Append('\n');
            }
            foreach (var container in pod.Status.ContainerStatuses)
            {
                if (container.State.Waiting is { } waiting) text.Append(container.Name).Append(" waits: ").Append(waiting.Reason).Append(waiting.Message.Length > 0 ? ": " + waiting.Message : "").Append('\n');
                if (container.State.Terminated is { } ended) text.Append(container.Name).Append(" ended: ").Append(ended.Reason).Append(" (exit code ").Append(ended.ExitCode).Append(')').Append(ended.Message.Length > 0 ? ": " + ended.Message : "").Append('\n');
            }
        }
        else if (pod.IsFinished)
        {
            text.Append("pod ").Append(pod.Namespace).Append('/').Append(pod.Name).Append(" is ").Append(pod.Status.Phase).Append(pod.Status.Message.Length > 0 ? ": " + pod.Status.Message : "").Append('\n');
        }
        else
        {
            text.Append("pod ").Append(pod.Namespace).Append('/').Append(pod.Name).Append(" waits for a place: ").Append(scheduled is { Message.Length: > 0 } ? scheduled.Message : "it was not looked at yet, or no agent is connected").Append('\n');
        }
        if (pod.Metadata.Annotations.TryGetValue(Annotation, out var detail)) text.Append(detail);
        return text.ToString();
    }

    internal static string Summary(Refusal refusal)
    {
        if (refusal.Agents.Count == 0) return "0/0 agents fit: no agent is known to this cluster";
        var total = refusal.Agents.Count;
        var kinds = refusal.Agents.SelectMany(x => x.Reasons.Select(y => y.Kind).Distinct()).GroupBy(x => x).OrderByDescending(x => x.Count()).ThenBy(x => x.Key);
        var counts = string.Join(", ", kinds.Select(x => $"{x.Count()} {Words(x.Key)}"));
        var nearest = refusal.Agents[0];
        return $"0/{total} agents fit: {counts}; nearest {nearest.Agent}: {string.Join("; ", nearest.Reasons.Select(x => x.Text))}";
    }

    internal static string Detail(Refusal refusal)
    {
        var text = new StringBuilder();
        for (var i = 0; i < refusal.Agents.Count; i++)
        {
            var agent = refusal.Agents[i];
            if (text.Length > DetailCharsMax)
            {
                text.Append("… and ").Append(refusal.Agents.Count - i).Append(" more agents\n");
                break;
            }
            text.Append(agent.Agent).Append(":\n");
            foreach (var reason in agent.Reasons) text.Append("  - ").Append(reason.Text).Append("\n    → ").Append(reason.Remedy).Append('\n');
        }
        return text.ToString();
    }

    private static string Words(RefusalKind kind) => kind switch
    {
        RefusalKind.NoOffer => "offer nothing now",
        RefusalKind.OtherAgent => "are not the agent where it ran",
        RefusalKind.Unschedulable => "are cordoned",
        RefusalKind.Taint => "have a taint",
        RefusalKind.NodeSelector => "do not match nodeSelector",
        RefusalKind.NodeAffinity => "do not match the node affinity",
        RefusalKind.Image => "run no images",
        RefusalKind.Cpus => "have too few cpus",
        RefusalKind.Memory => "have too little memory",
        RefusalKind.Disk => "have too little disk",
        RefusalKind.Gpus => "have too few gpus",
        RefusalKind.HostPort => "do not have the host port",
        RefusalKind.Ports => "have too few ports",
        RefusalKind.PodAffinity => "miss a pod to be near",
        RefusalKind.PodAntiAffinity => "have a pod to stay away from",
        RefusalKind.Volume => "do not offer the pod's volume",
        _ => "would break the topology spread",
    };
}
