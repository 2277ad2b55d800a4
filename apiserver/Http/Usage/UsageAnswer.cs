using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Streams;

namespace Declarative.ApiServer.Http.Usage;

/// <summary>
/// metrics.k8s.io/v1beta1: what pods and nodes use (kubectl top), from the statistics of the Mesos agents. A node's usage is that of all tasks of
/// its agent, of whichever framework; a pod or node that nobody can tell about is absent from lists and 404 by name, as in Kubernetes.
/// </summary>
internal sealed class UsageAnswer(HttpMessageInvoker agents, TimeProvider time)
{
    private readonly UsageSamples _samples = new(agents, time);

    /// <param name="api">The server's own: who may read metrics needs no right to read pods and nodes.</param>
    public async Task Answer(Exchange exchange, IApi api)
    {
        if (exchange.Verb is not ("get" or "list")) throw Status.MethodNotAllowed($"{exchange.Path.Kind.QualifiedPlural} are only read; the server does not allow {exchange.Verb}");
        var kind = exchange.Path.Kind;
        var nodes = (await api.List(new(Kind.Node), exchange.Aborted)).Items.Select(x => Node.Read(x.Json)).ToList();
        var (request, name) = (Reads.Request(exchange), exchange.Path.Name);
        await Send(exchange, kind.Name == "NodeMetrics" ? await Nodes(request, name, nodes, exchange.Aborted) : await Pods(api, request, name, nodes, exchange.Aborted));
    }

    /// <summary>The same list for who asks in this process; nobody's rights are looked at.</summary>
    public async Task<StoredList> List(IApi api, ListRequest request, CancellationToken stop)
    {
        var nodes = (await api.List(new(Kind.Node), stop)).Items.Select(x => Node.Read(x.Json)).ToList();
        return new(request.Kind.Name == "NodeMetrics" ? await Nodes(request, "", nodes, stop) : await Pods(api, request, "", nodes, stop), 0, "", null);
    }

    private async Task<List<Stored>> Nodes(ListRequest request, string name, List<Node> all, CancellationToken stop)
    {
        _samples.Keep(all.Select(x => x.Name).ToHashSet());
        var nodes = all.Where(x => name.Length == 0 ? request.Labels.Matches(x.Metadata.Labels) : x.Name == name).ToList();
        var usages = await Task.WhenAll(nodes.Select(x => _samples.Of(x, stop)));
        return [.. nodes.Zip(usages).Where(x => x.Second is not null).Select(x => Item(request.Kind, x.First, json =>
        {
            Begin(json, "NodeMetrics", x.First, x.Second!);
            Amounts(json, x.Second!.OfAll);
        }))];
    }

    private async Task<List<Stored>> Pods(IApi api, ListRequest request, string name, List<Node> nodes, CancellationToken stop)
    {
        var listed = await api.List(request with { Kind = Kind.Pod, Limit = 0, Continue = "", Revision = null, ExactRevision = false }, stop);
        var pods = listed.Items.Where(x => name.Length == 0 || x.Key.Name == name).Select(x => Pod.Read(x.Json)).Where(x => x is { Task: not null, Status.Phase: "Running" }).ToList();
        var wanted = pods.Select(x => x.Spec.NodeName).ToHashSet();
        var asked = nodes.Where(x => wanted.Contains(x.Name)).ToList();
        var usages = (await Task.WhenAll(asked.Select(x => _samples.Of(x, stop)))).Zip(asked).Where(x => x.First is not null).ToDictionary(x => x.Second.Name, x => x.First!);
        var items = new List<Stored>();
        foreach (var pod in pods)
        {
            if (!usages.TryGetValue(pod.Spec.NodeName, out var usage)) continue;
            var task = pod.Task!;
            var used = pod.Spec.Containers.Select(x => (x.Name, Used: usage.OfTask(ContainerTask.IdOf(pod, task, task.Attempt, x.Name)))).ToList();
            if (used.Any(x => x.Used is null)) continue;
            items.Add(Item(request.Kind, pod, json =>
            {
                Begin(json, "PodMetrics", pod, usage);
                json.WriteStartArray("containers"u8);
                foreach (var (of, container) in used)
                {
                    json.WriteStartObject();
                    json.WriteString("name"u8, of);
                    Amounts(json, container!.Value);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
            }));
        }
        return items;
    }

    /// <summary>In whichever form is asked for; at no revision, for nothing of this is stored.</summary>
    private static Task Send(Exchange exchange, List<Stored> items)
    {
        if (exchange.Path.Name.Length == 0) return Forms.List(exchange, new(items, 0, "", null), exchange.Accept);
        return Forms.Object(exchange, 200, items.Count == 1 ? items[0] : throw Status.NotFound(exchange.Path.Kind, exchange.Path.Name), exchange.Accept);
    }

    private static Stored Item(Kind kind, ApiObject of, Action<Utf8JsonWriter> members) =>
        new(ResourceKey.Of(kind, of.Namespace, of.Name), "", 0, Json(members));

    private void Begin(Utf8JsonWriter json, string kind, ApiObject of, NodeUsage usage)
    {
        json.WriteString("kind"u8, kind);
        json.WriteString("apiVersion"u8, "metrics.k8s.io/v1beta1"u8);
        json.WriteStartObject("metadata"u8);
        json.WriteString("name"u8, of.Name);
        if (of.Namespace.Length > 0) json.WriteString("namespace"u8, of.Namespace);
        json.WriteString("creationTimestamp"u8, Timestamp(time.GetUtcNow()));
        json.WriteStartObject("labels"u8);
        foreach (var (name, value) in of.Metadata.Labels) json.WriteString(name, value);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteString("timestamp"u8, Timestamp(DateTimeOffset.UnixEpoch.AddSeconds(usage.Now.Timestamp)));
        json.WriteString("window"u8, string.Create(CultureInfo.InvariantCulture, $"{usage.WindowSeconds:0.###}s"));
    }

    /// <summary>CPUs in billionths, memory in KiB, as Kubernetes' metrics-server writes them.</summary>
    private static void Amounts(Utf8JsonWriter json, (double Cpus, long MemoryBytes) used)
    {
        json.WriteStartObject("usage"u8);
        json.WriteString("cpu"u8, string.Create(CultureInfo.InvariantCulture, $"{(long)(used.Cpus * 1e9)}n"));
        json.WriteString("memory"u8, string.Create(CultureInfo.InvariantCulture, $"{used.MemoryBytes / 1024}Ki"));
        json.WriteEndObject();
    }

    private static string Timestamp(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static byte[] Json(Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
