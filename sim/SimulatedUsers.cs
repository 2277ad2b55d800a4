using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Sim;

/// <summary>People at kubectl who scale, roll out, delete, cordon and come back.</summary>
internal sealed class SimulatedUsers(World world, Tally tally, Func<Part, IApi> connect)
{
    private readonly IApi _api = connect(new("user", User.Admin, (_, _, _, _, _) => Task.CompletedTask));
    private const string SecondNamespace = "shop";

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
        await Try(() => _api.Create(new(Kind.Namespace, "", SecondNamespace), Encoding.UTF8.GetBytes("{\"metadata\":{\"name\":\"" + SecondNamespace + "\"}}")));
        foreach (var (ns, name) in Workloads) await Create(ns, name);
        await Try(() => _api.Create(new(PriorityClass, "", "batch"), Encoding.UTF8.GetBytes("{\"metadata\":{\"name\":\"batch\"},\"value\":-100}")));
        await Try(() => _api.Create(Batch, Encoding.UTF8.GetBytes(
            """
            {"metadata":{"name":"batch"},"spec":{"replicas":0,"selector":{"matchLabels":{"app":"batch"}},"template":{"metadata":{"labels":{"app":"batch"}},"spec":{
            "priorityClassName":"batch","terminationGracePeriodSeconds":5,"containers":[{"name":"main","command":["work"],"resources":{"requests":{"cpu":"7","memory":"64Mi"}}}]}}}}
            """)));
    }

    public static bool IsBatch(Deployment deployment) => deployment.Name == Batch.Name && deployment.Namespace == Batch.Namespace;

    /// <summary>At the end everything that people want is there, and no node is closed.</summary>
    public async Task Settle()
    {
        while (await Exists(new(Kind.Namespace, "", SecondNamespace)) is { } ns && Namespace.Read(ns.Json).Metadata.IsDeleting) await Task.Delay(TimeSpan.FromSeconds(5), world.Time);
        foreach (var node in await Nodes()) await Cordon(node, false);
        if (world.Random.Next(2) == 0 || await IsClaimGoing() || await IsVolumeLost()) await EndDatabase();
        await Begin();
        await Scale(new(Kind.Deployment, Database.Namespace, Database.Name), 1);
        await Scale(Batch, world.Random.Next(2) * BatchFills);
    }

    /// <summary>That a machine is lost can turn out only now: nobody waits for its volume then.</summary>
    public async Task Mind()
    {
        if (!await IsVolumeLost()) return;
        await EndDatabase();
        await Begin();
        await Scale(new(Kind.Deployment, Database.Namespace, Database.Name), 1);
    }

    public async Task Act()
    {
        var random = world.Random;
        var (ns, name) = Workloads[random.Next(Workloads.Length)];
        var deployment = new ResourceKey(Kind.Deployment, ns, name);
        switch (random.Next(20))
        {
            case 0 or 1 or 2:
                await Did(UserAction.ScaleUp, Scale(deployment, random.Next(4, 9)));
                break;
            case 3 or 4 or 5:
                await Did(UserAction.ScaleDown, Scale(deployment, random.Next(0, 3)));
                break;
            case 6 or 7:
                await Did(UserAction.Rollout, Patch(deployment, $"{{\"spec\":{{\"template\":{{\"metadata\":{{\"annotations\":{{\"rollout\":\"{++_revision}\"}}}}}}}}}}"));
                break;
            case 8 or 9:
                if (await AnyPod(ns) is { } pod) await Did(UserAction.DeletePod, Delete(pod, null));
                break;
            case 10:
                if (await AnyPod(ns) is { } forced) await Did(UserAction.ForceDeletePod, Delete(forced, 0));
                break;
            case 11:
                await Did(UserAction.DeleteDeployment, Delete(deployment, null));
                break;
            case 12:
                if (random.Next(3) == 0) await Did(UserAction.DeleteNamespace, Delete(new(Kind.Namespace, "", SecondNamespace), null));
                break;
            case 13:
                await Did(UserAction.Create, Begin());
                break;
            case 14:
                await Did(UserAction.FillWithBatch, Scale(Batch, BatchFills));
                break;
            case 15:
                await Did(UserAction.EndBatch, Scale(Batch, random.Next(3)));
                break;
            case 16:
                if ((await Nodes()) is { Count: > 1 } open) await Did(UserAction.CordonNode, Cordon(open[random.Next(open.Count)], true));
                break;
            case 17:
                await Did(UserAction.GrowClaim, Patch(DatabaseClaim, $"{{\"spec\":{{\"resources\":{{\"requests\":{{\"storage\":\"{_claimed += random.Next(1, 64)}Mi\"}}}}}}}}"));
                break;
            case 18:
                if (random.Next(2) == 0 || await IsVolumeLost()) await Did(UserAction.DeleteClaim, Delete(DatabaseClaim, null));
                break;
            default:
                foreach (var node in await Nodes()) await Did(UserAction.UncordonNode, Cordon(node, false));
                break;
        }
    }

    private async Task Create(string ns, string name)
    {
        if ((ns, name) == Database)
        {
            await Try(() => _api.Create(DatabaseClaim, Encoding.UTF8.GetBytes(
                $$$"""{"metadata":{"name":"{{{name}}}"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"{{{_claimed}}}Mi"} } } }""")));
        }
        await Try(() => _api.Create(new(Kind.Deployment, ns, name), DeploymentJson(name, world.Random.Next(1, 5), (ns, name) == Database)));
        await Try(() => _api.Create(new(Kind.Service, ns, name), Encoding.UTF8.GetBytes($$"""{"metadata":{"name":"{{name}}"},"spec":{"type":"LoadBalancer","selector":{"app":"{{name}}"},"ports":[{"port":{{9001 + Array.FindIndex(Workloads, x => x.Name == name)}},"targetPort":"http"}] } }""")));
    }

    /// <summary>The machine with the volume is there no more: its claim can only be given up.</summary>
    private async Task<bool> IsVolumeLost()
    {
        if (await Exists(DatabaseClaim) is not { } claim || PersistentVolumeClaim.Read(claim.Json).Spec.VolumeName is not { Length: > 0 } name) return false;
        if (await Exists(new(Kind.PersistentVolume, "", name)) is not { } volume) return true;
        var agent = PersistentVolume.Read(volume.Json).Spec.Csi?.VolumeAttributes.GetValueOrDefault("agent");
        return !(await List(new(Kind.Node))).Any(x => Node.Read(x.Json).Spec.ProviderID == "mesos://" + agent);
    }

    /// <summary>Somebody has deleted it; it stays until no pod uses it, and only then can there be another.</summary>
    private async Task<bool> IsClaimGoing() => await Exists(DatabaseClaim) is { } claim && PersistentVolumeClaim.Read(claim.Json).Metadata.IsDeleting;

    /// <summary>Claim and pods go; the volume is destroyed. What does not go is told by the rest that follows.</summary>
    private async Task EndDatabase()
    {
        for (var until = world.Elapsed + TimeSpan.FromMinutes(20); world.Elapsed < until && await Exists(DatabaseClaim) is not null;)
        {
            await Delete(new(Kind.Deployment, Database.Namespace, Database.Name), null);
            await Delete(DatabaseClaim, null);
            await Task.Delay(TimeSpan.FromSeconds(5), world.Time);
        }
    }

    private static byte[] DeploymentJson(string name, int replicas, bool claims) => Encoding.UTF8.GetBytes(
        """
        {"metadata":{"name":"NAME"},"spec":{"replicas":REPLICAS,"revisionHistoryLimit":1,STRATEGY"selector":{"matchLabels":{"app":"NAME"}},"template":{"metadata":{"labels":{"app":"NAME"}},"spec":{
        VOLUMES"containers":[{"name":"main",MOUNTS"command":["serve"],"ports":[{"name":"http","containerPort":8080}],"resources":{"requests":{"cpu":"500m","memory":"64Mi"}},
        "readinessProbe":{"httpGet":{"path":"/","port":"http"},"periodSeconds":2,"failureThreshold":1},"livenessProbe":{"httpGet":{"path":"/","port":"http"}}}]}}}}
        """.Replace("VOLUMES", claims ? "\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"NAME\"}}]," : "", StringComparison.Ordinal)
            .Replace("MOUNTS", claims ? "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/data\"}]," : "", StringComparison.Ordinal)
            .Replace("STRATEGY", claims ? "\"strategy\":{\"type\":\"Recreate\"}," : "", StringComparison.Ordinal)
            .Replace("NAME", name, StringComparison.Ordinal).Replace("REPLICAS", replicas.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));

    private Task<bool> Scale(ResourceKey key, int replicas) => Patch(key, $"{{\"spec\":{{\"replicas\":{replicas}}}}}");

    private Task<bool> Patch(ResourceKey key, string json) => Try(() => _api.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes(json)));

    private Task<bool> Delete(ResourceKey key, long? grace) => Try(() => _api.Delete(key, new() { GracePeriodSeconds = grace }));

    private Task<bool> Cordon(ResourceKey node, bool closed) => Patch(node, closed ? "{\"spec\":{\"unschedulable\":true}}" : "{\"spec\":{\"unschedulable\":null}}");

    private async Task<List<ResourceKey>> Nodes() => [.. (await List(new(Kind.Node))).Select(x => x.Key)];

    private async Task<ResourceKey?> AnyPod(string ns)
    {
        var pods = await List(new(Kind.Pod, ns));
        return pods.Count == 0 ? null : pods[world.Random.Next(pods.Count)].Key;
    }

    private async Task<IReadOnlyList<Stored>> List(ListRequest request)
    {
        try
        {
            return (await _api.List(request)).Items;
        }
        catch (ApiException)
        {
            return [];
        }
    }

    private async Task<Stored?> Exists(ResourceKey key)
    {
        try
        {
            return await _api.Get(key);
        }
        catch (ApiException)
        {
            return null;
        }
    }

    private async Task Did(UserAction action, Task<bool> done)
    {
        if (await done) tally.Add("user " + action);
    }

    private async Task Did(UserAction action, Task done)
    {
        await done;
        tally.Add("user " + action);
    }

    private async Task<bool> Try(Func<Task<Stored>> write)
    {
        for (var attempt = 0; attempt < 5; attempt++)
        {
            try
            {
                await write();
                return true;
            }
            catch (ApiException e) when (e.IsRetryable)
            {
                await Task.Delay(TimeSpan.FromSeconds(1), world.Time);
            }
            catch (ApiException)
            {
                return false;
            }
        }
        return false;
    }
}
