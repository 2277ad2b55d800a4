using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Queue;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Client.Reconcile;

/// <summary>
/// Writes core/v1 Events. The same event again raises the count of the one that is there; one object may have a burst of
/// <see cref="BurstMax"/> and then one every <see cref="RefillEvery"/>. Recording never waits and never fails the recorder's caller.
/// </summary>
/// <param name="component">source.component, for example "deployment-controller".</param>
public sealed class EventRecorder(IApi api, string component, TimeProvider time, Random random)
{
    /// <summary>Events of one object at once, and the time after which it may have one more (client-go's defaults).</summary>
    public const int BurstMax = 25;
    public static readonly TimeSpan RefillEvery = TimeSpan.FromMinutes(5);

    /// <summary>Different events and objects remembered for counting and limiting.</summary>
    public const int RememberedMax = 4096;

    private readonly Lock _lock = new();
    private readonly WorkQueue<EventNote> _queue = new(time);
    private readonly Dictionary<EventNote, Series> _series = [];
    private readonly Queue<EventNote> _seriesOrder = new();
    private readonly Dictionary<string, Bucket> _buckets = new(StringComparer.Ordinal);
    private readonly Queue<string> _bucketsOrder = new();
    private readonly Random _random = new(random.Next());

    public ILogger Logger { get; init; } = NullLogger.Instance;

    public void Record(EventNote note)
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            if (!Allowed(note.About.Uid, now)) return;
            if (!_series.TryGetValue(note, out var series))
            {
                if (_seriesOrder.Count >= RememberedMax) _series.Remove(_seriesOrder.Dequeue());
                _series.Add(note, series = new(now));
                _seriesOrder.Enqueue(note);
            }
            series.Count++;
            series.Last = now;
        }
        _queue.Add(note);
    }

    public async Task Run(CancellationToken stop)
    {
        using var stopping = stop.Register(_queue.Stop);
        while (await _queue.Take() is { IsOpen: true, Key: var note })
        {
            try
            {
                await Write(note, stop);
                _queue.Forget(note);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) // the recorder's bulkhead: an event is worth retries, but no controller
            {
                if (e is ApiException { IsRetryable: false }) Log.EventDropped(Logger, note.Reason, note.About.Name, e.Message);
                else _queue.Retry(note);
            }
            finally
            {
                _queue.Done(note);
            }
        }
    }

    private async Task Write(EventNote note, CancellationToken stop)
    {
        Series series;
        int count;
        lock (_lock)
        {
            if (!_series.TryGetValue(note, out series!) || series.Written == series.Count) return;
            count = series.Count;
        }
        var ns = note.About.Namespace.Length == 0 ? "default" : note.About.Namespace;
        if (series.Name.Length > 0)
        {
            var patch = Body.Of(json =>
            {
                json.WriteNumber("count"u8, count);
                json.WriteString("lastTimestamp"u8, Body.Time(series.Last));
            });
            try
            {
                await api.Patch(ResourceKey.Of(Kind.Event, ns, series.Name), PatchKind.Merge, patch, new() { FieldManager = component }, stop);
                series.Written = count;
                return;
            }
            catch (ApiException e) when (e.IsNotFound)
            {
                series.Name = ""; // events are thrown away by age: begin a new one
            }
        }
        var name = $"{note.About.Name}.{series.First.UtcTicks:x}{_random.Next():x8}";
        var body = Body.Of(json =>
        {
            json.TypeMeta(Kind.Event);
            json.Object("metadata", x =>
            {
                x.WriteString("name"u8, name);
                x.WriteString("namespace"u8, ns);
            });
            json.Object("involvedObject", x =>
            {
                x.WriteString("apiVersion"u8, note.About.ApiVersion);
                x.WriteString("kind"u8, note.About.Kind);
                if (note.About.Namespace.Length > 0) x.WriteString("namespace"u8, note.About.Namespace);
                x.WriteString("name"u8, note.About.Name);
                x.WriteString("uid"u8, note.About.Uid);
                if (note.About.FieldPath.Length > 0) x.WriteString("fieldPath"u8, note.About.FieldPath);
            });
            json.WriteString("reason"u8, note.Reason);
            json.WriteString("message"u8, note.Message);
            json.WriteString("type"u8, note.Type);
            json.WriteNumber("count"u8, count);
            json.WriteString("firstTimestamp"u8, Body.Time(series.First));
            json.WriteString("lastTimestamp"u8, Body.Time(series.Last));
            json.Object("source", x => x.WriteString("component"u8, component));
            json.WriteString("reportingComponent"u8, component);
            json.WriteString("reportingInstance"u8, "");
        });
        await api.Create(ResourceKey.Of(Kind.Event, ns, name), body, new() { FieldManager = component }, stop);
        series.Name = name;
        series.Written = count;
    }

    private bool Allowed(string uid, DateTimeOffset now)
    {
        if (!_buckets.TryGetValue(uid, out var bucket))
        {
            if (_bucketsOrder.Count >= RememberedMax) _buckets.Remove(_bucketsOrder.Dequeue());
            _buckets.Add(uid, bucket = new(now));
            _bucketsOrder.Enqueue(uid);
        }
        var refill = (int)((now - bucket.Since) / RefillEvery);
        if (refill > 0)
        {
            bucket.Used = Math.Max(0, bucket.Used - refill);
            bucket.Since += refill * RefillEvery;
        }
        if (bucket.Used >= BurstMax) return false;
        bucket.Used++;
        return true;
    }

    private sealed class Series(DateTimeOffset first)
    {
        public DateTimeOffset First { get; } = first;
        public DateTimeOffset Last { get; set; } = first;
        public int Count { get; set; }
        public int Written { get; set; }
        public string Name { get; set; } = "";
    }

    private sealed class Bucket(DateTimeOffset since)
    {
        public DateTimeOffset Since { get; set; } = since;
        public int Used { get; set; }
    }
}
