using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.CronJobs;

/// <summary>Makes the jobs of a time table and keeps so many of those that have ended (Kubernetes doc "CronJob").</summary>
internal static class CronJobPlan
{
    /// <param name="json">The stored cron job, whose template jobs are made from field for field.</param>
    /// <param name="jobs">Those that name this cron job as their controller.</param>
    /// <param name="isTaken">Whether a job of that name stands in the namespace, whoever owns it.</param>
    public static Plan Compute(CronJob cron, ReadOnlyMemory<byte> json, IReadOnlyList<Job> jobs, Func<string, bool> isTaken, DateTimeOffset now)
    {
        var about = Body.Reference(Kind.CronJob, cron);
        var events = new List<EventNote>();
        var changes = new List<Change>();
        List<Job> active = [.. jobs.Where(x => !x.IsFinished && !x.Metadata.IsDeleting).OrderBy(x => x.Metadata.CreationTimestamp).ThenBy(x => x.Name, StringComparer.Ordinal)];
        NoteEnds(cron, jobs, about, events);
        if (cron.Metadata.IsDeleting) return new() { Changes = Status(cron, active, jobs, cron.Status.LastScheduleTime), Events = events };
        changes.AddRange(History(jobs, "Complete", cron.Spec.SuccessfulJobsHistoryLimit));
        changes.AddRange(History(jobs, "Failed", cron.Spec.FailedJobsHistoryLimit));
        var scheduled = cron.Status.LastScheduleTime;
        TimeSpan? lookAgainIn = null;
        if (!cron.Spec.Suspend) Start(cron, json, active, isTaken, about, now, changes, events, ref scheduled, ref lookAgainIn);
        changes.AddRange(Status(cron, active, jobs, scheduled));
        return new()
        {
            Changes = changes,
            Events = events,
            LookAgainIn = lookAgainIn,
            Tell = applied => applied.Change switch
            {
                Create => EventNote.Normal(about, "SuccessfulCreate", $"Created job {applied.Written!.Key.Name}"),
                Delete => EventNote.Normal(about, "SuccessfulDelete", $"Deleted job {applied.Change.Key.Name}"),
                _ => null,
            },
            OnRefused = applied => applied.Change is Create ? new() { Events = [EventNote.Warning(about, "FailedCreate", $"Error creating job: {applied.Error!.Message}")] } : Plan.Nothing,
        };
    }

    /// <summary>The job of the latest time that has come, if it may start.</summary>
    private static void Start(
        CronJob cron, ReadOnlyMemory<byte> json, List<Job> active, Func<string, bool> isTaken, ObjectReference about, DateTimeOffset now,
        List<Change> changes, List<EventNote> events, ref DateTimeOffset? scheduled, ref TimeSpan? lookAgainIn)
    {
        var zone = TimeZoneInfo.Utc;
        if (cron.Spec.TimeZone.Length > 0 && !TimeZoneInfo.TryFindSystemTimeZoneById(cron.Spec.TimeZone, out zone!))
        {
            events.Add(EventNote.Warning(about, "UnknownTimeZone", $"invalid timeZone: {cron.Spec.TimeZone}"));
            return;
        }
        if (CronSchedule.Parse(cron.Spec.Schedule, zone) is not { } schedule)
        {
            events.Add(EventNote.Warning(about, "UnparseableSchedule", $"unparseable schedule: \"{cron.Spec.Schedule}\""));
            return;
        }
        var since = scheduled ?? cron.Metadata.CreationTimestamp ?? now;
        var deadline = cron.Spec.StartingDeadlineSeconds is { } seconds ? now - TimeSpan.FromSeconds(Math.Min(seconds, int.MaxValue)) : (DateTimeOffset?)null;
        var missed = Missed.Since(schedule, deadline > since ? deadline.Value : since, now);
        var last = schedule.Last(since, now);
        if (schedule.Next(last ?? since) is { } next) lookAgainIn = next - now;
        if (missed.Many) events.Add(EventNote.Warning(about, "TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"));
        if (missed.Latest is not { } time)
        {
            // With a deadline the time that is too late is not even looked for; it is told of once, when it passes.
            if (deadline > since && last is { } late) events.Add(EventNote.Warning(about, "MissSchedule", $"Missed scheduled time to start a job: {late.ToString("r", CultureInfo.InvariantCulture)}"));
            return;
        }
        var name = string.Create(CultureInfo.InvariantCulture, $"{cron.Name}-{time.ToUnixTimeSeconds() / 60}");
        if (isTaken(name))
        {
            scheduled = time;
            return;
        }
        if (active.Count > 0 && cron.Spec.ConcurrencyPolicy == "Forbid")
        {
            events.Add(EventNote.Normal(about, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid"));
            return;
        }
        if (cron.Spec.ConcurrencyPolicy == "Replace") changes.AddRange(active.Select(Remove));
        changes.Add(Change.Create(ResourceKey.Of(Kind.Job, cron.Namespace, name), JobJson(cron, json, name, TimeZoneInfo.ConvertTime(time, zone))));
        scheduled = time;
    }

    private static byte[] JobJson(CronJob cron, ReadOnlyMemory<byte> json, string name, DateTimeOffset time)
    {
        using var document = JsonDocument.Parse(json);
        var template = document.RootElement.GetProperty("spec").GetProperty("jobTemplate");
        var metadata = template.TryGetProperty("metadata", out var found) ? found : default;
        return Body.Of(job =>
        {
            job.TypeMeta(Kind.Job);
            job.Object("metadata", meta =>
            {
                meta.WriteString("name"u8, name);
                meta.WriteString("namespace"u8, cron.Namespace);
                if (Member(metadata, "labels") is { } labels) Write(meta, "labels", labels);
                meta.Object("annotations", annotations =>
                {
                    foreach (var x in Member(metadata, "annotations")?.EnumerateObject() ?? default)
                    {
                        if (x.Name != CronJob.ScheduledAnnotation) x.WriteTo(annotations);
                    }
                    annotations.WriteString(CronJob.ScheduledAnnotation, time.Offset == TimeSpan.Zero ? Body.Time(time) : time.ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture));
                });
                meta.Owner(Kind.CronJob, cron);
            });
            if (Member(template, "spec") is { } spec) Write(job, "spec", spec);
        });

        static JsonElement? Member(JsonElement of, string name) => of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? value : null;

        static void Write(Utf8JsonWriter json, string name, JsonElement value)
        {
            json.WritePropertyName(name);
            value.WriteTo(json);
        }
    }

    private static void NoteEnds(CronJob cron, IReadOnlyList<Job> jobs, ObjectReference about, List<EventNote> events)
    {
        foreach (var reference in cron.Status.Active)
        {
            var job = jobs.FirstOrDefault(x => x.Uid == reference.Uid);
            if (job is null) events.Add(EventNote.Normal(about, "MissingJob", $"Active job went missing: {reference.Name}"));
            else if (job.IsFinished) events.Add(EventNote.Normal(about, "SawCompletedJob", $"Saw completed job: {job.Name}, condition: {End(job)}"));
        }
    }

    /// <summary>The oldest of those that ended so, beyond the limit.</summary>
    private static IEnumerable<Change> History(IReadOnlyList<Job> jobs, string end, int? limit)
    {
        if (limit is not { } most) return [];
        var ended = jobs.Where(x => End(x) == end && !x.Metadata.IsDeleting)
            .OrderBy(x => x.Status.StartTime ?? x.Metadata.CreationTimestamp).ThenBy(x => x.Name, StringComparer.Ordinal).ToList();
        return ended.Take(Math.Max(0, ended.Count - most)).Select(Remove);
    }

    private static Delete Remove(Job job) => new(ResourceKey.Of(Kind.Job, job.Namespace, job.Name), new() { Uid = job.Uid, Propagation = Propagation.Background });

    private static string End(Job job) => job.Status.Conditions.FirstOrDefault(x => x is { Type: "Complete" or "Failed", IsTrue: true })?.Type ?? "";

    private static IReadOnlyList<Change> Status(CronJob cron, List<Job> active, IReadOnlyList<Job> jobs, DateTimeOffset? scheduled)
    {
        var old = cron.Status;
        var successful = jobs.Where(x => End(x) == "Complete").Select(x => x.Status.CompletionTime).Append(old.LastSuccessfulTime).Max();
        if (old.LastScheduleTime == scheduled && old.LastSuccessfulTime == successful && old.Active.Select(x => x.Uid).SequenceEqual(active.Select(x => x.Uid))) return [];
        return
        [
            Change.Merge(ResourceKey.Of(Kind.CronJob, cron.Namespace, cron.Name), Body.Status(json =>
            {
                json.Array("active", active, job =>
                {
                    json.WriteStartObject();
                    json.TypeMeta(Kind.Job);
                    json.WriteString("namespace"u8, job.Namespace);
                    json.WriteString("name"u8, job.Name);
                    json.WriteString("uid"u8, job.Uid);
                    json.WriteString("resourceVersion"u8, job.Metadata.ResourceVersion);
                    json.WriteEndObject();
                });
                if (scheduled is { } at) json.WriteString("lastScheduleTime"u8, Body.Time(at));
                if (successful is { } done) json.WriteString("lastSuccessfulTime"u8, Body.Time(done));
            }), "status"),
        ];
    }
}
