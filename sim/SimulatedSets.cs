using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Sim;

/// <summary>People who run StatefulSets: one whose pods come in order, one whose pods come all at once.</summary>
internal sealed class SimulatedSets(UserCalls calls, string secondNamespace)
{
    private readonly ResourceKey[] _sets = [new(Kind.StatefulSet, "default", "ring"), new(Kind.StatefulSet, secondNamespace, "mesh")];
    private int _revision;

    public async Task Begin()
    {
        foreach (var set in _sets)
        {
            await calls.Create(set,
                """
                {"metadata":{"name":"NAME"},"spec":{"replicas":REPLICAS,"serviceName":"NAME","podManagementPolicy":"POLICY","selector":{"matchLabels":{"app":"NAME"}},"template":{"metadata":{"labels":{"app":"NAME"}},
                "spec":{"terminationGracePeriodSeconds":10,"containers":[{"name":"main","command":["serve"],"ports":[{"name":"http","containerPort":8080}],"resources":{"requests":{"cpu":"100m","memory":"64Mi"}},
                "readinessProbe":{"httpGet":{"path":"/","port":"http"},"periodSeconds":2,"failureThreshold":1}}]}}}}
                """.Replace("NAME", set.Name, StringComparison.Ordinal)
                    .Replace("REPLICAS", calls.World.Random.Next(1, 4).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
                    .Replace("POLICY", set == _sets[0] ? "OrderedReady" : "Parallel", StringComparison.Ordinal));
        }
    }

    public async Task Act()
    {
        var random = calls.World.Random;
        var set = _sets[random.Next(_sets.Length)];
        switch (random.Next(7))
        {
            case 0 or 1 or 2:
                await calls.Did(UserAction.ScaleSet, calls.Scale(set, random.Next(0, 5)));
                break;
            case 3 or 4 or 5:
                await calls.Did(UserAction.RollOutSet, calls.RollOut(set, ++_revision));
                break;
            default:
                await calls.Did(UserAction.DeleteSet, calls.Delete(set, null));
                break;
        }
    }

    /// <summary>What sets are not yet as they are wanted: a ready pod of the newest template for each ordinal, no others, and a status that says so.</summary>
    public static void Unsettled(IEnumerable<StatefulSet> sets, IReadOnlyList<Pod> pods, StringBuilder text)
    {
        foreach (var set in sets)
        {
            var mine = pods.Where(x => x.Metadata.Controller?.Uid == set.Uid).ToList();
            var wanted = Enumerable.Range(0, set.Spec.Replicas).Select(i => $"{set.Name}-{i}").Order(StringComparer.Ordinal);
            var ready = mine.Where(x => x.IsReady && !x.Metadata.IsDeleting).Select(x => x.Name).Order(StringComparer.Ordinal).ToList();
            var status = set.Status;
            if (!ready.SequenceEqual(wanted) || mine.Count != ready.Count) text.Append(CultureInfo.InvariantCulture, $"set {set.Name}: {set.Spec.Replicas} wanted, ready are [{string.Join(' ', ready)}] of [{string.Join(' ', mine.Select(x => $"{x.Name} {x.Status.Phase}"))}]. ");
            else if (status.ReadyReplicas != ready.Count || status.UpdatedReplicas != ready.Count || status.CurrentRevision != status.UpdateRevision || status.ObservedGeneration != set.Metadata.Generation)
                text.Append(CultureInfo.InvariantCulture, $"set {set.Name}: status says ready {status.ReadyReplicas}, updated {status.UpdatedReplicas}, revisions {status.CurrentRevision} and {status.UpdateRevision}, generation {status.ObservedGeneration} of {set.Metadata.Generation}. ");
        }
    }
}
