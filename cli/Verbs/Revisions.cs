using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Cli.Verbs;

/// <summary>One revision of a Deployment: a ReplicaSet of its own.</summary>
internal sealed record Revision(long Number, string ChangeCause, Stored ReplicaSet)
{
    /// <summary>The pod template as the user gave it: without the label that tells the ReplicaSets apart.</summary>
    public JsonObject Template()
    {
        var template = JsonNode.Parse(ReplicaSet.Json.Span)!["spec"]!["template"]!.AsObject();
        template.Parent!.AsObject().Remove("template");
        Revisions.WithoutHash(template);
        return template;
    }
}

/// <summary>The revisions of a Deployment, the oldest first.</summary>
internal static class Revisions
{
    public const string NumberAnnotation = "deployment.kubernetes.io/revision";
    private const string CauseAnnotation = "kubernetes.io/change-cause";
    private const string HashLabel = "pod-template-hash";

    public static async Task<IReadOnlyList<Revision>> Of(Session session, Deployment deployment, CancellationToken stop)
    {
        var sets = await session.Api.List(new(Kind.ReplicaSet, deployment.Namespace) { Labels = deployment.Spec.Selector.ToSelector() }, stop);
        var revisions = new List<Revision>();
        foreach (var stored in sets.Items)
        {
            var set = ReplicaSet.Read(stored.Json);
            if (set.Metadata.Controller?.Uid != deployment.Uid || Number(set.Metadata.Annotations) is not { } number) continue;
            revisions.Add(new(number, set.Metadata.Annotations.GetValueOrDefault(CauseAnnotation, "<none>"), stored));
        }
        return [.. revisions.OrderBy(x => x.Number)];
    }

    public static void WithoutHash(JsonObject template)
    {
        if (template["metadata"]?["labels"] is JsonObject labels) labels.Remove(HashLabel);
    }

    private static long? Number(IReadOnlyDictionary<string, string> annotations) =>
        annotations.TryGetValue(NumberAnnotation, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
