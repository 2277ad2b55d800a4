using System.Runtime.CompilerServices;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Wire;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Deployments;
using Declarative.Controllers.Endpoints;
using Declarative.Controllers.Namespaces;
using Declarative.Controllers.ReplicaSets;
using Declarative.Controllers.Workloads;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>tests/Golden/controllers/CASE: the first object of in.yaml is reconciled among the others; plan.txt is what is to be done.</summary>
public sealed class GoldenPlans
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static TheoryData<string> Cases() => [.. Directory.GetDirectories(Folder()).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal)];

    /// <summary>Rewritten with UPDATE_GOLDEN=1.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Plan_is_as_written(string name)
    {
        var folder = Path.Combine(Folder(), name);
        var text = Text(Compute([.. Yaml.Read(File.ReadAllText(Path.Combine(folder, "in.yaml"))).Select(x => x.Json)]));
        var golden = Path.Combine(folder, "plan.txt");
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1") File.WriteAllText(golden, text);
        Assert.Equal(File.Exists(golden) ? File.ReadAllText(golden) : "", text);
    }

    private static Plan Compute(IReadOnlyList<byte[]> objects)
    {
        var first = objects[0];
        var pods = Of(objects, "Pod", Pod.Read);
        switch (ApiObject.Read(first).Kind)
        {
            case "Deployment":
                var deployment = Deployment.Read(first);
                var sets = objects.Where(x => ApiObject.Read(x).Kind == "ReplicaSet").Select(json => (Json: json, Set: ReplicaSet.Read(json))).ToList();
                var template = TemplateJson.Of(first);
                // TAKEN stands for the hash that the template has.
                var hash = TemplateHash.Of(template.Canonical(), 0);
                return DeploymentPlan.Compute(
                    deployment, template,
                    [.. sets.Where(x => x.Set.Metadata.Controller?.Uid == deployment.Uid)
                        .Select(x => OwnedSet.Of(new(ResourceKey.Of(Kind.ReplicaSet, "default", x.Set.Name), x.Set.Uid, long.Parse(x.Set.Metadata.ResourceVersion), x.Set, x.Json)))],
                    [.. sets.Where(x => x.Set.Metadata.Controller is null).Select(x => x.Set)],
                    taken => sets.Any(x => x.Set.Name.Replace("TAKEN", hash, StringComparison.Ordinal) == taken),
                    set => pods.Count(x => x.Metadata.Controller?.Uid == set.Uid && !x.IsFinished),
                    Now);
            case "ReplicaSet":
                var replicaSet = ReplicaSet.Read(first);
                return ReplicaSetPlan.Compute(
                    Kind.ReplicaSet, replicaSet, () => TemplateJson.Of(first), [.. pods.Where(x => x.Metadata.Controller?.Uid == replicaSet.Uid)], [.. pods.Where(x => x.Metadata.Controller is null)], Now);
            case "Service":
                return EndpointsPlan.Compute(Service.Read(first), pods, Of(objects, "EndpointSlice", EndpointSlice.Read));
            case "Namespace":
                var content = objects.Skip(1).Select(ApiObjectOf)
                    .Select(x => new Content(ResourceKey.Of(Kind.FindByName(x.ApiVersion, x.Kind)!, x.Namespace, x.Name), x.Uid, x.Metadata.IsDeleting, x.Metadata.Finalizers));
                return NamespacePlan.Compute(Namespace.Read(first), first, [.. content], Now);
            default:
                throw new InvalidOperationException("no plan for this kind");
        }
    }

    private static ApiObject ApiObjectOf(byte[] json) => ApiObject.Read(json);

    private static List<T> Of<T>(IReadOnlyList<byte[]> objects, string kind, Func<ReadOnlyMemory<byte>, T> read) =>
        [.. objects.Where(x => ApiObject.Read(x).Kind == kind).Select(x => read(x))];

    private static string Text(Plan plan)
    {
        var text = new StringBuilder();
        foreach (var change in plan.Changes) text.Append(change).Append('\n');
        foreach (var note in plan.Events) text.Append($"event {note.Type} {note.Reason} about {note.About.Kind} {note.About.Name}: {note.Message}\n");
        if (plan.LookAgainIn is { } delay) text.Append($"look again in {delay.TotalSeconds} s\n");
        return text.ToString();
    }

    private static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "..", "Golden", "controllers");
}
