using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Sim;

/// <summary>People at kubectl who scale, roll out, delete, cordon and come back.</summary>
internal sealed class SimulatedUsers(UserCalls calls)
{
    private const string SecondNamespace = "shop";
    private readonly SimulatedSets _sets = new(calls, SecondNamespace);
    private readonly SimulatedJobs _jobs = new(calls);

    /// <summary>One pod at a time with a persistent volume.</summary>
    private static readonly (string Namespace, string Name) Database = ("default", "db");
    private static readonly ResourceKey DatabaseClaim = new(Kind.PersistentVolumeClaim, Database.Namespace, Database.Name);
    private int _claimed = 64;
    private static readonly (string Namespace, string Name)[] Workloads = [("default", "web"), ("default", "api"), (SecondNamespace, "cart"), Database];
    private static readonly Kind PriorityClass = Kind.FindByName("scheduling.k8s.io/v1", "PriorityClass")!;
    private static readonly ResourceKey Batch = new(Kind.Deployment, "default", "batch");

    /// <summary>As many as nearly fill the machines, so that what is more important has to displace some.</summary>
    private const int BatchFills = 4;
    private int _revision;

    public async Task Begin()
    {
        await calls.Create(new(Kind.Namespace, "", SecondNamespace), "{\"metadata\":{\"name\":\"" + SecondNamespace + "\"}}");
        foreach (var (ns, name) in Workloads) await Create(ns, name);
        await calls.Create(new(PriorityClass, "", "batch"), "{\"metadata\":{\"name\":\"batch\"},\"value\":-100}");
        await calls.Create(Batch,
            """
            {"metadata":{"name":"batch"},"spec":{"replicas":0,"selector":{"matchLabels":{"app":"batch"}},"template":{"metadata":{"labels":{"app":"batch"}},"spec":{
            "priorityClassName":"batch","terminationGracePeriodSeconds":5,"containers":[{"name":"main","command":["work"],"resources":{"requests":{"cpu":"7","memory":"64Mi"}}}]}}}}
            """);
        await _sets.Begin();
        await _jobs.Begin();
    }

    public static bool IsBatch(Deployment deployment) => deployment.Name == Batch.Name && deployment.Namespace == Batch.Namespace;

    /// <summary>At the end everything that people want is there, and no node is closed.</summary>
    public async Task Settle()
    {
        while (await calls.Find(new(Kind.Namespace, "", SecondNamespace)) is { } ns && Namespace.Read(ns.Json).Metadata.IsDeleting) await Task.Delay(TimeSpan.FromSeconds(5), calls.World.Time);
        foreach (var node in await Nodes()) await Cordon(node, false);
        if (calls.World.Random.Next(2) == 0 || await IsClaimGoing() || await IsVolumeLost()) await EndDatabase();
        await Begin();
        await _jobs.Settle();
        await calls.Scale(new(Kind.Deployment, Database.Namespace, Database.Name), 1);
        await calls.Scale(Batch, calls.World.Random.Next(2) * BatchFills);
    }

    /// <summary>That a machine is lost can turn out only now: nobody waits for its volume then.</summary>
    public async Task Mind()
    {
        if (!await IsVolumeLost()) return;
        await EndDatabase();
        await Begin();
        await calls.Scale(new(Kind.Deployment, Database.Namespace, Database.Name), 1);
    }

    public async Task Act()
    {
        var random = calls.World.Random;
        var (ns, name) = Workloads[random.Next(Workloads.Length)];
        var deployment = new ResourceKey(Kind.Deployment, ns, name);
        switch (random.Next(26))
        {
            case 20 or 21 or 22:
                await _sets.Act();
                break;
            case 23 or 24 or 25:
                await _jobs.Act();
                break;
            case 0 or 1 or 2:
                await calls.Did(UserAction.ScaleUp, calls.Scale(deployment, random.Next(4, 9)));
                break;
            case 3 or 4 or 5:
                await calls.Did(UserAction.ScaleDown, calls.Scale(deployment, random.Next(0, 3)));
                break;
            case 6 or 7:
                await calls.Did(UserAction.Rollout, calls.RollOut(deployment, ++_revision));
                break;
            case 8 or 9:
                if (await AnyPod(ns) is { } pod) await calls.Did(UserAction.DeletePod, calls.Delete(pod, null));
                break;
            case 10:
                if (await AnyPod(ns) is { } forced) await calls.Did(UserAction.ForceDeletePod, calls.Delete(forced, 0));
                break;
            case 11:
                await calls.Did(UserAction.DeleteDeployment, calls.Delete(deployment, null));
                break;
            case 12:
                if (random.Next(3) == 0) await calls.Did(UserAction.DeleteNamespace, calls.Delete(new(Kind.Namespace, "", SecondNamespace), null));
                break;
            case 13:
                await calls.Did(UserAction.Create, Begin());
                break;
            case 14:
                await calls.Did(UserAction.FillWithBatch, calls.Scale(Batch, BatchFills));
                break;
            case 15:
                await calls.Did(UserAction.EndBatch, calls.Scale(Batch, random.Next(3)));
                break;
            case 16:
                if ((await Nodes()) is { Count: > 1 } open) await calls.Did(UserAction.CordonNode, Cordon(open[random.Next(open.Count)], true));
                break;
            case 17:
                await calls.Did(UserAction.GrowClaim, calls.Patch(DatabaseClaim, $"{{\"spec\":{{\"resources\":{{\"requests\":{{\"storage\":\"{_claimed += random.Next(1, 64)}Mi\"}}}}}}}}"));
                break;
            case 18:
                if (random.Next(2) == 0 || await IsVolumeLost()) await calls.Did(UserAction.DeleteClaim, calls.Delete(DatabaseClaim, null));
                break;
            default:
                foreach (var node in await Nodes()) await calls.Did(UserAction.UncordonNode, Cordon(node, false));
                break;
        }
    }

    private async Task Create(string ns, string name)
    {
        if ((ns, name) == Database)
        {
            await calls.Create(DatabaseClaim,
                $$$"""{"metadata":{"name":"{{{name}}}"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"{{{_claimed}}}Mi"} } } }""");
        }
        await calls.Create(new(Kind.Deployment, ns, name), DeploymentJson(name, calls.World.Random.Next(1, 5), (ns, name) == Database));
        await calls.Create(new(Kind.Service, ns, name), $$"""{"metadata":{"name":"{{name}}"},"spec":{"type":"LoadBalancer","selector":{"app":"{{name}}"},"ports":[{"port":{{9001 + Array.FindIndex(Workloads, x => x.Name == name)}},"targetPort":"http"}] } }""");
    }

    /// <summary>The machine with the volume is there no more: its claim can only be given up.</summary>
    private async Task<bool> IsVolumeLost()
    {
        if (await calls.Find(DatabaseClaim) is not { } claim || PersistentVolumeClaim.Read(claim.Json).Spec.VolumeName is not { Length: > 0 } name) return false;
        if (await calls.Find(new(Kind.PersistentVolume, "", name)) is not { } volume) return true;
        var agent = PersistentVolume.Read(volume.Json).Spec.Csi?.VolumeAttributes.GetValueOrDefault("agent");
        return !(await calls.List(new(Kind.Node))).Any(x => Node.Read(x.Json).Spec.ProviderID == "mesos://" + agent);
    }

    /// <summary>Somebody has deleted it; it stays until no pod uses it, and only then can there be another.</summary>
    private async Task<bool> IsClaimGoing() => await calls.Find(DatabaseClaim) is { } claim && PersistentVolumeClaim.Read(claim.Json).Metadata.IsDeleting;

    /// <summary>Claim and pods go; the volume is destroyed. What does not go is told by the rest that follows.</summary>
    private async Task EndDatabase()
    {
        for (var until = calls.World.Elapsed + TimeSpan.FromMinutes(20); calls.World.Elapsed < until && await calls.Find(DatabaseClaim) is not null;)
        {
            await calls.Delete(new(Kind.Deployment, Database.Namespace, Database.Name), null);
            await calls.Delete(DatabaseClaim, null);
            await Task.Delay(TimeSpan.FromSeconds(5), calls.World.Time);
        }
    }

    private static string DeploymentJson(string name, int replicas, bool claims) =>
        """
        {"metadata":{"name":"NAME"},"spec":{"replicas":REPLICAS,"revisionHistoryLimit":1,STRATEGY"selector":{"matchLabels":{"app":"NAME"}},"template":{"metadata":{"labels":{"app":"NAME"}},"spec":{
        VOLUMES"containers":[{"name":"main",MOUNTS"command":["serve"],"ports":[{"name":"http","containerPort":8080}],"resources":{"requests":{"cpu":"500m","memory":"64Mi"}},
        "readinessProbe":{"httpGet":{"path":"/","port":"http"},"periodSeconds":2,"failureThreshold":1},"livenessProbe":{"httpGet":{"path":"/","port":"http"}}}]}}}}
        """.Replace("VOLUMES", claims ? "\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"NAME\"}}]," : "", StringComparison.Ordinal)
            .Replace("MOUNTS", claims ? "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/data\"}]," : "", StringComparison.Ordinal)
            .Replace("STRATEGY", claims ? "\"strategy\":{\"type\":\"Recreate\"}," : "", StringComparison.Ordinal)
            .Replace("NAME", name, StringComparison.Ordinal).Replace("REPLICAS", replicas.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

    private Task<bool> Cordon(ResourceKey node, bool closed) => calls.Patch(node, closed ? "{\"spec\":{\"unschedulable\":true}}" : "{\"spec\":{\"unschedulable\":null}}");

    private async Task<List<ResourceKey>> Nodes() => [.. (await calls.List(new(Kind.Node))).Select(x => x.Key)];

    private async Task<ResourceKey?> AnyPod(string ns)
    {
        var pods = await calls.List(new(Kind.Pod, ns));
        return pods.Count == 0 ? null : pods[calls.World.Random.Next(pods.Count)].Key;
    }
}
