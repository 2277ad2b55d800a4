using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Http;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>Follows the leases, the pods and the master of a running platform, and notes when what was new was seen.</summary>
internal sealed class TakeoverClock : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly HttpApi _api;
    private readonly Uri _master;
    private readonly HttpClient _http = new();
    private readonly Lock _gate = new();
    private readonly List<(long At, string What)> _seen = [];
    private readonly Dictionary<string, string> _holders = new(StringComparer.Ordinal);
    private readonly HashSet<string> _running = new(StringComparer.Ordinal);
    private readonly List<Task> _following;

    public TakeoverClock(RunningPlatform platform)
    {
        _api = new(Kubeconfig.Load(platform.Kubeconfig), TimeProvider.System);
        _master = new($"http://127.0.0.1:{platform.Ports.Master}/api/v1");
        _following = [Follow(new(Kind.Lease, "kube-system"), LeaseSeen), Follow(new(Kind.Pod, "default"), PodSeen), AskMaster()];
    }

    /// <summary>Pods that are seen running now.</summary>
    public int Running
    {
        get
        {
            lock (_gate) return _running.Count;
        }
    }

    /// <summary>Seconds from a moment until the first thing of this text that was new after it; null where there was none yet.</summary>
    public double? Since(long moment, string what)
    {
        lock (_gate)
        {
            foreach (var (at, seen) in _seen)
            {
                if (at > moment && seen == what) return Stopwatch.GetElapsedTime(moment, at).TotalSeconds;
            }
        }
        return null;
    }

    /// <summary>What happens one after the other when the leader dies.</summary>
    public static IReadOnlyList<string> Stages { get; } = ["another holds controllers", "another holds placement", "subscribed again", "a pod made", "a pod runs"];

    public string Text(long moment, string what) =>
        Since(moment, what) is { } seconds ? string.Create(CultureInfo.InvariantCulture, $"{what} after {seconds:0.00} s") : $"{what} before";

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await Task.WhenAll(_following);
        _api.Dispose();
        _http.Dispose();
        _stop.Dispose();
    }

    private void Note(string what) => _seen.Add((Stopwatch.GetTimestamp(), what));

    private void LeaseSeen(WatchEvent change)
    {
        var (name, holder) = (change.Object!.Key.Name, Lease.Read(change.Object.Json).Spec.HolderIdentity);
        if (_holders.GetValueOrDefault(name) is { Length: > 0 } before && before != holder && holder.Length > 0) Note($"another holds {name}");
        _holders[name] = holder;
    }

    private void PodSeen(WatchEvent change)
    {
        var pod = Pod.Read(change.Object!.Json);
        if (change.Type is WatchEventType.Added) Note("a pod made");
        if (change.Type is WatchEventType.Deleted || pod.Status.Phase != "Running") _running.Remove(pod.Uid);
        else if (_running.Add(pod.Uid)) Note("a pod runs");
    }

    private async Task Follow(WatchRequest request, Action<WatchEvent> seen)
    {
        try
        {
            await foreach (var change in _api.Watch(request with { SendInitialEvents = true }, _stop.Token))
            {
                if (change.Object is null) continue;
                lock (_gate) seen(change);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            return;
        }
    }

    private async Task AskMaster()
    {
        var connected = true;
        try
        {
            while (true)
            {
                using var call = new ByteArrayContent("""{"type":"GET_FRAMEWORKS"}"""u8.ToArray()) { Headers = { ContentType = new("application/json") } };
                using var answer = await _http.PostAsync(_master, call, _stop.Token);
                var frameworks = JsonNode.Parse(await answer.Content.ReadAsStringAsync(_stop.Token))!["get_frameworks"]?["frameworks"]?.AsArray() ?? [];
                var now = frameworks.Any(x => (bool)x!["connected"]!);
                lock (_gate)
                {
                    if (now && !connected) Note("subscribed again");
                }
                connected = now;
                await Task.Delay(10, _stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            return;
        }
    }
}
