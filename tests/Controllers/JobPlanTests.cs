using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Jobs;
using Declarative.Controllers.Workloads;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>Single decisions of a job's plan.</summary>
public sealed class JobPlanTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Pods as <c>phase[:seconds since its end][:exit code][:index]</c>; what the plan says of the status' conditions, of pods, and of time.</summary>
    [Theory]
    [InlineData("""{"parallelism":2,"completions":3}""", "", "create create")]
    [InlineData("""{"parallelism":2}""", "Succeeded Running", "release")] // a work queue: no more are made once one has succeeded
    [InlineData("""{"parallelism":2}""", "Succeeded", "SuccessCriteriaMet=CompletionsReached release")]
    [InlineData("""{"parallelism":1,"completions":2}""", "Failed:1", "release later=9")]
    [InlineData("""{"parallelism":1,"completions":2}""", "Failed:11", "release create")]
    [InlineData("""{"parallelism":1,"completions":2}""", "Failed:11 Failed:30", "release release later=9")]
    [InlineData("""{"parallelism":1,"completions":2,"backoffLimit":1}""", "Failed:1 Failed:2", "FailureTarget=BackoffLimitExceeded release release")]
    [InlineData("""{"parallelism":2,"completions":2,"backoffLimit":0}""", "Failed:1 Running", "FailureTarget=BackoffLimitExceeded release release delete")]
    [InlineData("""{"parallelism":2,"completions":2,"suspend":true}""", "Running Running", "Suspended=JobSuspended release delete release delete")]
    [InlineData("""{"parallelism":1,"completions":4}""", "Running Pending", "release delete")]
    [InlineData("""{"completions":1,"podFailurePolicy":{"rules":[{"action":"Ignore","onExitCodes":{"operator":"In","values":[7]}}]}}""", "Failed:1:7", "release create")]
    [InlineData("""{"completions":1,"podFailurePolicy":{"rules":[{"action":"FailJob","onExitCodes":{"operator":"NotIn","values":[7]}}]}}""", "Failed:1:8", "FailureTarget=PodFailurePolicy release")]
    [InlineData("""{"completions":2,"parallelism":2,"completionMode":"Indexed","backoffLimitPerIndex":0,"backoffLimit":99}""", "Failed:1:1:0 Running:0:0:1", "release")]
    [InlineData("""{"completions":2,"parallelism":2,"completionMode":"Indexed","backoffLimitPerIndex":1,"backoffLimit":99}""", "Failed:11:1:0 Running:0:0:1", "create")] // held until its successor counts on
    [InlineData("""{"completions":2,"parallelism":2,"completionMode":"Indexed","backoffLimitPerIndex":0,"backoffLimit":99}""", "Failed:1:1:0 Succeeded:1:0:1", "FailureTarget=FailedIndexes release release")]
    [InlineData("""{"completions":3,"parallelism":3,"completionMode":"Indexed","successPolicy":{"rules":[{"succeededIndexes":"1"}]}}""", "Running:0:0:0 Succeeded:1:0:1 Running:0:0:2", "SuccessCriteriaMet=SuccessPolicy release release release delete delete")]
    [InlineData("""{"completions":1,"activeDeadlineSeconds":60}""", "Running", "later=50")]
    [InlineData("""{"completions":1,"activeDeadlineSeconds":5}""", "Running", "FailureTarget=DeadlineExceeded release delete")]
    public void What_follows(string spec, string pods, string expected)
    {
        var json = JsonNode.Parse("""{"metadata":{"name":"j","namespace":"default","uid":"u","resourceVersion":"5"},"status":{"startTime":"2029-12-31T23:59:50Z","ready":0,"terminating":0}}""")!;
        json["spec"] = JsonNode.Parse(spec);
        json["spec"]!["selector"] = new JsonObject { ["matchLabels"] = new JsonObject { ["a"] = "b" } };
        json["spec"]!["template"] = new JsonObject { ["spec"] = new JsonObject { ["containers"] = new JsonArray() } };
        var bytes = Encoding.UTF8.GetBytes(json.ToJsonString());
        var plan = JobPlan.Compute(Job.Read(bytes), TemplateJson.Of(bytes), [.. pods.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(PodOf)], [], true, Now);
        var said = plan.Changes.SelectMany(Says).ToList();
        if (plan.LookAgainIn is { } wait) said.Add($"later={wait.TotalSeconds}");
        Assert.Equal(expected, string.Join(' ', said));
    }

    [Fact]
    public void A_finished_job_goes_when_its_time_is_up()
    {
        var bytes = """{"metadata":{"name":"j","namespace":"default","uid":"u"},"spec":{"ttlSecondsAfterFinished":60},"status":{"conditions":[{"type":"Complete","status":"True","lastTransitionTime":"2029-12-31T23:59:30Z"}]}}"""u8.ToArray();
        var early = JobPlan.Compute(Job.Read(bytes), TemplateJson.Of(bytes), [], [], true, Now);
        Assert.Equal((0, TimeSpan.FromSeconds(30)), (early.Changes.Count, early.LookAgainIn));
        Assert.Equal("delete jobs/default/j uid=u Foreground", Assert.Single(JobPlan.Compute(Job.Read(bytes), TemplateJson.Of(bytes), [], [], true, Now.AddSeconds(30)).Changes).ToString());
    }

    [Theory]
    [InlineData("", 9, "")]
    [InlineData("0", 9, "0")]
    [InlineData("1,2", 9, "1,2")]
    [InlineData("5,1-3", 9, "1-3,5")]
    [InlineData("0-8", 4, "0-3")]
    public void Indexes_are_read_and_written_as_runs(string text, int end, string expected) => Assert.Equal(expected, IndexSet.Parse(text, end).ToString());

    private static IEnumerable<string> Says(Change change) => change switch
    {
        Create => ["create"],
        Delete => ["delete"],
        Patch { Subresource: "status" } patch => JsonNode.Parse(patch.Json.Span)!["status"]!["conditions"]?.AsArray().Select(x => $"{x!["type"]}={x["reason"]}") ?? [],
        _ => ["release"],
    };

    private static Pod PodOf(string text, int number)
    {
        var parts = text.Split(':');
        var ended = parts.Length > 1 ? Body.Time(Now.AddSeconds(-int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture))) : null;
        var json = new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["name"] = $"j-{number}", ["namespace"] = "default", ["uid"] = $"p{number}", ["finalizers"] = new JsonArray(Job.TrackingFinalizer), ["labels"] = new JsonObject { ["a"] = "b" },
                ["annotations"] = parts.Length > 3 ? new JsonObject { [Job.IndexLabel] = parts[3] } : new JsonObject(),
            },
            ["status"] = new JsonObject
            {
                ["phase"] = parts[0],
                ["containerStatuses"] = parts[0] is not ("Failed" or "Succeeded") ? new JsonArray()
                    : new JsonArray(new JsonObject { ["name"] = "c", ["state"] = new JsonObject { ["terminated"] = new JsonObject { ["exitCode"] = int.Parse(parts.ElementAtOrDefault(2) ?? "1", System.Globalization.CultureInfo.InvariantCulture), ["finishedAt"] = ended } } }),
            },
        };
        return Pod.Read(Encoding.UTF8.GetBytes(json.ToJsonString()));
    }
}
