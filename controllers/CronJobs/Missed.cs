namespace Declarative.Controllers.CronJobs;

/// <summary>The times of a schedule that have come since a moment.</summary>
/// <param name="Latest">The last of them; null where none has come.</param>
/// <param name="Many">There were more than <see cref="FewMax"/>.</param>
internal readonly record struct Missed(DateTimeOffset? Latest, bool Many)
{
    /// <summary>More are told of as too many (Kubernetes doc "CronJob", Job creation).</summary>
    public const int FewMax = 100;

    public static Missed Since(CronSchedule schedule, DateTimeOffset since, DateTimeOffset now)
    {
        if (schedule.Last(since, now) is not { } latest) return default;
        var count = 0;
        for (var at = schedule.Next(since); at <= now && count <= FewMax; at = schedule.Next(at.Value)) count++;
        return new(latest, count > FewMax);
    }
}
