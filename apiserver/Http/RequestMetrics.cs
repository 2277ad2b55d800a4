using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary><c>/metrics</c> in the Prometheus text format 0.0.4, with the metric names of kube-apiserver where the meaning is the same.</summary>
internal sealed class RequestMetrics
{
    private static readonly double[] BucketSeconds = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30];
    private readonly ConcurrentDictionary<(string Verb, string Resource, int Code), Counter> _requests = new();

    public void Count(string verb, string resource, int code, TimeSpan duration) =>
        _requests.GetOrAdd((verb, resource, code), static _ => new()).Add(duration);

    /// <param name="auditLost">null without an audit log.</param>
    public Task Answer(HttpContext context, InFlight inFlight, long? auditLost)
    {
        var text = new StringBuilder(4096);
        text.Append("# HELP apiserver_request_total Answered requests by verb, resource and code.\n# TYPE apiserver_request_total counter\n");
        var rows = _requests.ToArray();
        Array.Sort(rows, (a, b) => Comparer<(string, string, int)>.Default.Compare(a.Key, b.Key));
        foreach (var ((verb, resource, code), counter) in rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"apiserver_request_total{{verb=\"{verb}\",resource=\"{resource}\",code=\"{code}\"}} {counter.Total}\n");
        }
        text.Append("# HELP apiserver_request_duration_seconds Time from request to the end of its answer, watches and log streams left out.\n# TYPE apiserver_request_duration_seconds histogram\n");
        foreach (var group in rows.Where(x => x.Key.Verb is not "watch").GroupBy(x => x.Key.Verb))
        {
            long below = 0;
            for (var i = 0; i < BucketSeconds.Length; i++)
            {
                below += group.Sum(x => x.Value.Bucket(i));
                text.Append(CultureInfo.InvariantCulture, $"apiserver_request_duration_seconds_bucket{{verb=\"{group.Key}\",le=\"{BucketSeconds[i]}\"}} {below}\n");
            }
            var all = group.Sum(x => x.Value.Total);
            text.Append(CultureInfo.InvariantCulture, $"apiserver_request_duration_seconds_bucket{{verb=\"{group.Key}\",le=\"+Inf\"}} {all}\n");
            text.Append(CultureInfo.InvariantCulture, $"apiserver_request_duration_seconds_sum{{verb=\"{group.Key}\"}} {group.Sum(x => x.Value.Seconds):0.######}\n");
            text.Append(CultureInfo.InvariantCulture, $"apiserver_request_duration_seconds_count{{verb=\"{group.Key}\"}} {all}\n");
        }
        text.Append("# HELP apiserver_current_inflight_requests Requests being answered now.\n# TYPE apiserver_current_inflight_requests gauge\n");
        text.Append(CultureInfo.InvariantCulture, $"apiserver_current_inflight_requests{{request_kind=\"readOnly\"}} {inFlight.Now(RequestClass.Read)}\n");
        text.Append(CultureInfo.InvariantCulture, $"apiserver_current_inflight_requests{{request_kind=\"mutating\"}} {inFlight.Now(RequestClass.Write)}\n");
        text.Append(CultureInfo.InvariantCulture, $"apiserver_current_inflight_requests{{request_kind=\"long\"}} {inFlight.Now(RequestClass.Long)}\n");
        text.Append("# HELP apiserver_flowcontrol_current_inqueue_requests Requests that wait for their turn.\n# TYPE apiserver_flowcontrol_current_inqueue_requests gauge\n");
        text.Append(CultureInfo.InvariantCulture, $"apiserver_flowcontrol_current_inqueue_requests{{request_kind=\"readOnly\"}} {inFlight.Queued(RequestClass.Read)}\n");
        text.Append(CultureInfo.InvariantCulture, $"apiserver_flowcontrol_current_inqueue_requests{{request_kind=\"mutating\"}} {inFlight.Queued(RequestClass.Write)}\n");
        if (auditLost is { } lost) text.Append(CultureInfo.InvariantCulture, $"# HELP apiserver_audit_error_total Audit events that the disk refused.\n# TYPE apiserver_audit_error_total counter\napiserver_audit_error_total {lost}\n");
        text.Append("# HELP process_resident_memory_bytes Memory of this process.\n# TYPE process_resident_memory_bytes gauge\n");
        text.Append(CultureInfo.InvariantCulture, $"process_resident_memory_bytes {Environment.WorkingSet}\n");
        text.Append("# HELP process_cpu_seconds_total User and system time of this process.\n# TYPE process_cpu_seconds_total counter\n");
        text.Append(CultureInfo.InvariantCulture, $"process_cpu_seconds_total {Environment.CpuUsage.TotalTime.TotalSeconds:0.###}\n");
        return Answers.Bytes(context, 200, "text/plain; version=0.0.4; charset=utf-8", System.Text.Encoding.UTF8.GetBytes(text.ToString()));
    }

    private sealed class Counter
    {
        private readonly long[] _buckets = new long[BucketSeconds.Length];
        private long _total;
        private long _ticks;

        public long Total => Volatile.Read(ref _total);
        public double Seconds => TimeSpan.FromTicks(Volatile.Read(ref _ticks)).TotalSeconds;

        public long Bucket(int index) => Volatile.Read(ref _buckets[index]);

        public void Add(TimeSpan duration)
        {
            Interlocked.Increment(ref _total);
            Interlocked.Add(ref _ticks, duration.Ticks);
            var seconds = duration.TotalSeconds;
            for (var i = 0; i < BucketSeconds.Length; i++)
            {
                if (seconds > BucketSeconds[i]) continue;
                Interlocked.Increment(ref _buckets[i]);
                break;
            }
        }
    }
}
