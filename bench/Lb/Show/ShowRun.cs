using System.Diagnostics;
using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Cli;
using Declarative.Client.Http;

namespace Declarative.Bench.Lb.Show;

/// <summary>How much of everything.</summary>
internal sealed record ShowOptions(int Replicas, int Rounds, int Changes, int Seconds, ShowLoad Load, bool Peer)
{
    public static ShowOptions Whole { get; } = new(10, 3, 1000, 10, new(500, 200, 50, 20), Peer: false);

    public static ShowOptions Short { get; } = new(2, 1, 100, 1, new(100, 20, 5, 4), Peer: false);
}

/// <summary>
/// Nothing fails and nothing is cut while everything changes: <c>declarative up</c> with real processes, load on all ways through the balancer, and meanwhile
/// scaling down to one and up again, rollouts, a node that is drained and changes of configuration.
/// </summary>
internal static class ShowRun
{
    private const int WebPort = 9100;
    private const int TalkPort = 9101;
    private const string Name = "show";

    /// <summary>Five of them.</summary>
    private static readonly TimeSpan ChangesEvery = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    /// <returns>0 = no request failed and no connection was cut through the balancer.</returns>
    public static async Task<int> Run(ShowOptions options)
    {
        var data = Directory.CreateTempSubdirectory("bench-show-").FullName;
        var program = Path.Combine(AppContext.BaseDirectory, "declarative");
        var ports = FreePorts();
        using var up = Child.Start(program, ["up", "--data", data, "--agents", "2", "--port-offset", $"{ports.Offset}"]);
        try
        {
            while (await up.Output.ReadLineAsync() is var line && line?.Contains("is ready (", StringComparison.Ordinal) != true)
            {
                if (line is null) throw new InvalidOperationException("up has ended; what it says stands above");
            }
            var said = up.Output.ReadToEndAsync();
            using var api = new HttpApi(Kubeconfig.Load(Path.Combine(data, "kubeconfig")), TimeProvider.System);
            var failed = await Run(options, api, ports.Offset);
            // On a busy machine its end takes longer than `down` would wait for it.
            up.Signal(15); // SIGTERM
            while (!up.HasExited) await Task.Delay(LookEvery);
            Child.Run(program, "down", "--data", data);
            await said;
            return failed ? 1 : 0;
        }
        catch (InvalidOperationException e)
        {
            Console.WriteLine(e.Message); // what follows may hide it
            throw;
        }
        finally
        {
            if (!up.HasExited) Child.Run(program, "down", "--data", data);
            Directory.Delete(data, recursive: true);
        }
    }

    private static async Task<bool> Run(ShowOptions options, IApi api, int offset)
    {
        var watch = Stopwatch.StartNew();
        await api.Create(ResourceKey.Of(Kind.Deployment, "default", Name), Deployment(options.Replicas));
        await api.Create(ResourceKey.Of(Kind.Service, "default", Name), Encoding.UTF8.GetBytes($$"""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"{{Name}}"},"spec":{"type":"LoadBalancer","selector":{"app":"{{Name}}"},"ports":[
              {"name":"web","port":{{WebPort}},"targetPort":"web","appProtocol":"http"},{"name":"talk","port":{{TalkPort}},"targetPort":"talk","appProtocol":"kubernetes.io/h2c"}]} }
            """));
        await Settled(api, options.Replicas);
        Say(watch, $"{options.Replicas} pods are ready");
        // In turn: what the machine has is one load's.
        List<ShowResult> results = [await Through(new("declarative", WebPort + offset, TalkPort + offset, options.Load, options.Seconds), options, api, watch)];
        if (options.Peer)
        {
            using var peer = await ShowPeer.Start(api, Name);
            results.Add(await Through(new("haproxy", peer.Web, peer.Talk, options.Load, options.Seconds), options, api, watch) with { Reloads = peer.Reloads });
            await peer.Stop();
        }
        ShowTable.Write(results, options);
        return results[0].Clients is var own && (own.Failed > 0 || own.Tallies.Any(x => x.Done == 0));
    }

    private static async Task<ShowResult> Through(ShowClients clients, ShowOptions options, IApi api, Stopwatch watch)
    {
        clients.Start();
        await clients.Begun();
        Say(watch, "the load is there", clients);
        var loaded = Stopwatch.StartNew();
        using var enough = new CancellationTokenSource();
        var changes = Changes(api, options, enough.Token);
        for (var round = 1; round <= options.Rounds; round++)
        {
            await Scale(api, 1);
            Say(watch, $"round {round}: scaled to 1", clients);
            await Scale(api, options.Replicas);
            Say(watch, $"round {round}: scaled to {options.Replicas}", clients);
            await Patch(api, Kind.Deployment, "default", Name, $$"""{"spec":{"template":{"metadata":{"annotations":{"round":"{{clients.Name}} {{round}}"} } } } }""");
            await Settled(api, options.Replicas);
            Say(watch, $"round {round}: rolled out", clients);
            await Drain(api, options.Replicas);
            Say(watch, $"round {round}: a node drained", clients);
        }
        await enough.CancelAsync();
        var changed = await changes;
        Say(watch, $"{changed} changes of configuration", clients);
        var time = loaded.Elapsed;
        var result = new ShowResult(clients, time, [.. clients.Tallies.Select(x => x.IsRate ? x.Counted / time.TotalSeconds : x.OpenAverage)], changed, Reloads: null);
        await clients.Stop();
        return result;
    }

    /// <summary>Services, rules and settings that come, change and go; at least as many as asked for, and until the rest is done.</summary>
    private static async Task<int> Changes(IApi api, ShowOptions options, CancellationToken enough)
    {
        var count = 0;
        var due = TimeSpan.Zero;
        var watch = Stopwatch.StartNew();
        while (count < options.Changes || !enough.IsCancellationRequested)
        {
            var i = count / 5;
            await Patch(api, Kind.Service, "default", Name, $$"""{"metadata":{"annotations":{"declarative.mesos/lb-balance":"{{(i % 2 == 0 ? "least-requests" : "round-robin")}}"} } }""");
            var service = ResourceKey.Of(Kind.Service, "default", $"other-{i}");
            await api.Create(service, Encoding.UTF8.GetBytes($$"""{"apiVersion":"v1","kind":"Service","metadata":{"name":"{{service.Name}}"},"spec":{"type":"LoadBalancer","selector":{"app":"{{Name}}"},"ports":[{"port":{{9200 + i % 100}},"targetPort":"web"}]} }"""));
            var ingress = ResourceKey.Of(Kind.Ingress, "default", $"other-{i}");
            await api.Create(ingress, Encoding.UTF8.GetBytes($$"""{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"{{ingress.Name}}"},"spec":{"rules":[{"host":"h{{i}}.example","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"{{service.Name}}","port":{"number":{{9200 + i % 100}} } } } }]} }]} }"""));
            await api.Delete(ingress);
            await api.Delete(service);
            count += 5;
            // Spread over the whole: the load shall meet them while pods come and go.
            due += ChangesEvery;
            if (due - watch.Elapsed is { Ticks: > 0 } wait) await Task.Delay(wait, CancellationToken.None);
        }
        return count;
    }

    private static async Task Scale(IApi api, int replicas)
    {
        await Patch(api, Kind.Deployment, "default", Name, $$"""{"spec":{"replicas":{{replicas}} } }""");
        await Settled(api, replicas);
    }

    /// <summary>As kubectl drain does it: no new pods, and each of those that are there is evicted.</summary>
    private static async Task Drain(IApi api, int replicas)
    {
        var pods = (await api.List(new(Kind.Pod, "default"))).Items.Select(x => Pod.Read(x.Json)).Where(x => !x.Metadata.IsDeleting).ToList();
        var node = pods[0].Spec.NodeName;
        await Patch(api, Kind.Node, "", node, """{"spec":{"unschedulable":true} }""");
        foreach (var pod in pods.Where(x => x.Spec.NodeName == node))
        {
            var key = ResourceKey.Of(Kind.Pod, "default", pod.Name);
            await api.Create(key, Encoding.UTF8.GetBytes($$"""{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"{{pod.Name}}","namespace":"default"} }"""), new() { Subresource = "eviction" });
        }
        await Settled(api, replicas);
        await Patch(api, Kind.Node, "", node, """{"spec":{"unschedulable":false} }""");
    }

    /// <summary>So many pods, all ready, of the newest template, and none that is on its way out.</summary>
    private static async Task Settled(IApi api, int replicas)
    {
        for (var end = DateTime.UtcNow.AddMinutes(3); ; await Task.Delay(LookEvery))
        {
            var deployment = Declarative.Api.Kinds.Deployment.Read((await api.Get(ResourceKey.Of(Kind.Deployment, "default", Name))).Json);
            var status = deployment.Status;
            var pods = (await api.List(new(Kind.Pod, "default"))).Items.Count;
            if (status.ObservedGeneration == deployment.Metadata.Generation && status.ReadyReplicas == replicas && status.UpdatedReplicas == replicas && status.Replicas == replicas && pods == replicas) return;
            if (DateTime.UtcNow > end) throw new InvalidOperationException($"not within 3 min: {replicas} pods; there are {pods}, ready {status.ReadyReplicas}, updated {status.UpdatedReplicas}");
        }
    }

    private static Task<Stored> Patch(IApi api, Kind kind, string ns, string name, string json) => api.Patch(ResourceKey.Of(kind, ns, name), PatchKind.Merge, Encoding.UTF8.GetBytes(json));

    private static byte[] Deployment(int replicas) => Encoding.UTF8.GetBytes($$"""
        {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"{{Name}}"},"spec":{"replicas":{{replicas}},"selector":{"matchLabels":{"app":"{{Name}}"} },
         "strategy":{"rollingUpdate":{"maxSurge":"50%","maxUnavailable":0} },
         "template":{"metadata":{"labels":{"app":"{{Name}}"} },"spec":{"terminationGracePeriodSeconds":60,"containers":[{"name":"server","command":["{{Environment.ProcessPath}}","lb","show-server"],
           "ports":[{"name":"web","containerPort":8080},{"name":"talk","containerPort":8081}],
           "env":[{"name":"DOTNET_TieredPGO","value":"0"},{"name":"POD_NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"} } }],
           "readinessProbe":{"httpGet":{"path":"/healthz","port":"web"},"periodSeconds":1,"timeoutSeconds":5,"failureThreshold":10},
           "resources":{"requests":{"cpu":"20m","memory":"64Mi"} } }]} } } }
        """);

    private static Ports FreePorts()
    {
        for (var attempt = 0; attempt < 1000; attempt++)
        {
            var ports = new Ports(Random.Shared.Next(10_000, 20_000));
            if (ports.Taken(agents: 2) is null) return ports;
        }
        throw new InvalidOperationException("no free port offset");
    }

    private static void Say(Stopwatch watch, string what, ShowClients clients)
    {
        Say(watch, $"{clients.Name}: {what}; {clients.Tallies[0].Done} requests, {string.Join(", ", clients.Tallies.Skip(1).Select(x => $"{x.Open} {x.Name}"))}, {clients.Failed} failed");
        foreach (var tally in clients.Tallies.Where(x => x.Failed > 0)) Say(watch, $"  {tally.Name} {tally.Why}");
    }

    private static void Say(Stopwatch watch, string what) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{watch.Elapsed.TotalSeconds,6:F1} s  {what}"));
}
