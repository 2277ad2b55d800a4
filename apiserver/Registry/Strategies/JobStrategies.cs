using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Jobs (Kubernetes: pkg/apis/batch/v1 defaults, pkg/apis/batch/validation, registry/batch/job).</summary>
internal sealed class JobStrategy : Strategy
{
    private const string UidLabel = "batch.kubernetes.io/controller-uid";
    private const string NameLabel = "batch.kubernetes.io/job-name";

    public JobStrategy() => HasStatus = true;

    public override IReadOnlyList<string> SelectableFields => ["status.successful"];

    public override void Default(JsonObject json)
    {
        var spec = json.Need("spec");
        if (spec["completions"] is null && spec["parallelism"] is null) spec["completions"] = 1;
        spec.Default("parallelism", 1);
        spec.Default("backoffLimit", spec["backoffLimitPerIndex"] is null ? 6 : int.MaxValue);
        spec.Default("completionMode", "NonIndexed");
        spec.Default("suspend", false);
        spec.Default("manualSelector", false);
        spec.Default("podReplacementPolicy", spec["podFailurePolicy"] is null ? "TerminatingOrFailed" : "Failed");
        PodDefaults.Apply(spec.Need("template").Need("spec"));
    }

    /// <summary>Unless the user chooses, a job selects its pods by its own uid, which nothing else has.</summary>
    public override void PrepareForCreate(JsonObject json, WriteContext context)
    {
        var spec = json.Need("spec");
        if (spec.Flag("manualSelector")) return;
        var (uid, name) = (Metadata.Uid(json), Metadata.Name(json));
        var labels = spec.Need("template").Need("metadata").Need("labels");
        foreach (var (label, value) in new[] { ("controller-uid", uid), ("job-name", name), (UidLabel, uid), (NameLabel, name) }) labels[label] = value;
        spec.Need("selector").Need("matchLabels")[UidLabel] = uid;
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        Spec(spec, old?.Object("spec"), "spec", causes);
        if (spec.Object("selector") is null) causes.Add(Metadata.Required("spec.selector"));
        if (old?.Object("spec") is not { } before) return;
        Rules.Immutable(spec, before, "spec", causes, "selector", "completionMode", "podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "managedBy", "manualSelector");
        // An indexed job may grow and shrink as long as parallelism follows.
        if (spec.Text("completionMode") != "Indexed" || !JsonNode.DeepEquals(spec["completions"], spec["parallelism"])) Rules.Immutable(spec, before, "spec", causes, "completions");
        var mayBePlacedAnew = before.Flag("suspend") && old.Object("status")?["startTime"] is null;
        if (!mayBePlacedAnew) Rules.Immutable(spec, before, "spec", causes, "template");
    }

    public static void Spec(JsonObject spec, JsonObject? before, string path, List<StatusCause> causes)
    {
        Rules.NotNegative(spec, path, causes, "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes", "ttlSecondsAfterFinished");
        PodValidation.OneOf(spec.Text("completionMode"), ["NonIndexed", "Indexed"], $"{path}.completionMode", causes);
        PodValidation.OneOf(spec.Text("podReplacementPolicy"), ["Failed", "TerminatingOrFailed"], $"{path}.podReplacementPolicy", causes);
        if (spec.Text("completionMode") == "Indexed" && spec["completions"] is null) causes.Add(Metadata.Required($"{path}.completions", "when completion mode is Indexed"));
        if (spec["backoffLimitPerIndex"] is not null && spec.Text("completionMode") != "Indexed") causes.Add(Metadata.InvalidJson($"{path}.backoffLimitPerIndex", spec["backoffLimitPerIndex"], "requires indexed completion mode"));
        var template = spec.Need("template").Need("spec");
        PodTemplateValidation.Check(spec, before, path, causes, kind: null);
        if (template.Text("restartPolicy") is "Always")
        {
            causes.Add(new("FieldValueNotSupported", "Unsupported value: \"Always\": supported values: \"Never\", \"OnFailure\"", $"{path}.template.spec.restartPolicy"));
        }
    }

    public override void Warn(JsonObject json, JsonObject? old, ICollection<string> warnings)
    {
        if (old is null) PodValidation.Warn(json.Need("spec").Need("template").Need("spec"), "spec.template.spec", warnings);
    }
}

internal sealed class CronJobStrategy : Strategy
{
    /// <summary>A job's name is the cron job's with 11 characters more.</summary>
    private const int NameChars = 52;

    public CronJobStrategy() => HasStatus = true;

    public override int NameCharsMax => NameChars;

    public override string? NameError(string name) => name.Length > NameChars ? $"must be no more than {NameChars} characters" : base.NameError(name);

    public override void Default(JsonObject json)
    {
        var spec = json.Need("spec");
        spec.Default("concurrencyPolicy", "Allow");
        spec.Default("suspend", false);
        spec.Default("successfulJobsHistoryLimit", 3);
        spec.Default("failedJobsHistoryLimit", 1);
        PodDefaults.Apply(Template(spec).Need("template").Need("spec"));
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        var schedule = spec.Text("schedule");
        if (schedule.Length == 0) causes.Add(Metadata.Required("spec.schedule"));
        else if (CronFormat.Error(schedule) is { } error) causes.Add(Metadata.Invalid("spec.schedule", schedule, error));
        PodValidation.OneOf(spec.Text("concurrencyPolicy"), ["Allow", "Forbid", "Replace"], "spec.concurrencyPolicy", causes);
        Rules.NotNegative(spec, "spec", causes, "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit");
        if (spec["timeZone"] is not null)
        {
            var zone = spec.Text("timeZone");
            if (zone.Length == 0) causes.Add(Metadata.Invalid("spec.timeZone", "", "must be nil or non-empty string"));
            else if (zone.Equals("local", StringComparison.OrdinalIgnoreCase)) causes.Add(Metadata.Invalid("spec.timeZone", zone, "must be the name of a zone of the IANA time zone database, such as Europe/Paris"));
            else if (!TimeZoneInfo.TryFindSystemTimeZoneById(zone, out _)) causes.Add(Metadata.Invalid("spec.timeZone", zone, $"unknown time zone {zone}"));
        }
        JobStrategy.Spec(Template(spec), old?.Object("spec")?.Object("jobTemplate")?.Object("spec"), "spec.jobTemplate.spec", causes);
    }

    private static JsonObject Template(JsonObject spec) => spec.Need("jobTemplate").Need("spec");
}
