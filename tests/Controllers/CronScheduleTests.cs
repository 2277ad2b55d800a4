using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.CronJobs;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>Schedules, daylight saving and what follows from the times that have come.</summary>
public sealed class CronScheduleTests
{
    [Theory]
    [InlineData("*/15 * * * *", "", "2030-01-01T00:00:00Z", "2030-01-01T00:15:00Z")]
    [InlineData("5/20 * * * *", "", "2030-01-01T00:05:00Z", "2030-01-01T00:25:00Z")]
    [InlineData("0 9-17/4 * * mon-fri", "", "2030-01-04T17:00:00Z", "2030-01-07T09:00:00Z")]
    [InlineData("0 0 29 feb *", "", "2025-01-01T00:00:00Z", "2028-02-29T00:00:00Z")]
    [InlineData("0 0 13 * fri", "", "2030-01-01T00:00:00Z", "2030-01-04T00:00:00Z")] // either day field is enough
    [InlineData("0 0 31 2 *", "", "2030-01-01T00:00:00Z", "")]
    [InlineData("@hourly", "", "2030-01-01T00:59:59Z", "2030-01-01T01:00:00Z")]
    [InlineData("@weekly", "", "2030-01-01T00:00:00Z", "2030-01-06T00:00:00Z")]
    [InlineData("@every 1h30m", "", "2030-01-01T00:00:10Z", "2030-01-01T01:30:10Z")]
    [InlineData("0 8 * * *", "America/New_York", "2030-01-01T00:00:00Z", "2030-01-01T13:00:00Z")]
    [InlineData("30 2 * * *", "America/New_York", "2030-03-09T12:00:00Z", "2030-03-11T06:30:00Z")] // 10 March has no 2:30
    [InlineData("30 1 * * *", "America/New_York", "2030-11-03T05:00:00Z", "2030-11-03T05:30:00Z")] // 3 November has 1:30 twice
    [InlineData("30 1 * * *", "America/New_York", "2030-11-03T05:30:00Z", "2030-11-03T06:30:00Z")]
    public void The_next_time(string schedule, string zone, string after, string expected)
    {
        var parsed = CronSchedule.Parse(schedule, zone.Length == 0 ? TimeZoneInfo.Utc : TimeZoneInfo.FindSystemTimeZoneById(zone))!;
        var next = parsed.Next(Time(after));
        Assert.Equal(expected, next is { } time ? Body.Time(time) : "");
        if (next is { } last) Assert.Equal(next, parsed.Last(Time(after), last.AddSeconds(30)));
    }

    [Theory]
    [InlineData("60 * * * *")]
    [InlineData("* * * *")]
    [InlineData("*/0 * * * *")]
    [InlineData("@never")]
    [InlineData("@every x")]
    [InlineData("5-1 * * * *")]
    public void What_is_no_schedule(string text) => Assert.Null(CronSchedule.Parse(text, TimeZoneInfo.Utc));

    /// <summary>Columns: spec beside the schedule, last time, now → lines of the plan.</summary>
    [Theory]
    [InlineData("", "2030-01-01T00:00:00Z", "2030-01-01T00:10:30Z", "create c-31557610")] // every minute since: the latest alone
    [InlineData("""{"suspend":true}""", "2030-01-01T00:00:00Z", "2030-01-01T00:10:30Z", "")]
    [InlineData("", "2030-01-01T00:00:00Z", "2030-01-01T00:00:30Z", "")]
    [InlineData("""{"startingDeadlineSeconds":10}""", "2030-01-01T00:00:00Z", "2030-01-01T00:01:30Z", "event MissSchedule")]
    [InlineData("", "2030-01-01T00:00:00Z", "2030-01-01T02:00:30Z", "create c-31557720|event TooManyMissedTimes")]
    [InlineData("""{"concurrencyPolicy":"Forbid"}""", "2030-01-01T00:00:00Z", "2030-01-01T00:01:30Z", "event JobAlreadyActive", true)]
    [InlineData("""{"concurrencyPolicy":"Replace"}""", "2030-01-01T00:00:00Z", "2030-01-01T00:01:30Z", "delete c-1|create c-31557601", true)]
    [InlineData("", "2030-01-01T00:00:00Z", "2030-01-01T00:01:30Z", "create c-31557601", true)]
    public void What_the_clock_asks_for(string more, string last, string now, string expected, bool isActive = false)
    {
        var json = JsonNode.Parse("""{"metadata":{"name":"c","namespace":"default","uid":"u","creationTimestamp":"2029-01-01T00:00:00Z"},"spec":{"schedule":"* * * * *","jobTemplate":{"spec":{}}}}""")!;
        foreach (var (name, value) in JsonNode.Parse(more.Length == 0 ? "{}" : more)!.AsObject()) json["spec"]![name] = value!.DeepClone();
        json["status"] = new JsonObject { ["lastScheduleTime"] = last };
        var bytes = Encoding.UTF8.GetBytes(json.ToJsonString());
        Job[] jobs = isActive ? [Job.Read("""{"metadata":{"name":"c-1","namespace":"default","uid":"j"}}"""u8.ToArray())] : [];
        var plan = CronJobPlan.Compute(CronJob.Read(bytes), bytes, jobs, _ => false, Time(now));
        string[] lines = [.. plan.Changes.Where(x => x is Create or Delete).Select(x => $"{(x is Create ? "create" : "delete")} {x.Key.Name}"), .. plan.Events.Select(x => "event " + x.Reason)];
        Assert.Equal(expected, string.Join('|', lines));
    }

    private static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
}
