using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Sim;

/// <summary>People who have work that ends: jobs of a few pods, with and without indexes, which they hold, speed up and throw away.</summary>
internal sealed class SimulatedJobs(UserCalls calls)
{
    private readonly ResourceKey[] _jobs = [new(Kind.Job, "default", "sum"), new(Kind.Job, "default", "sort"), new(Kind.Job, "default", "index")];

    public async Task Begin()
    {
        foreach (var job in _jobs) await Create(job);
    }

    /// <summary>At the end no job is held.</summary>
    public async Task Settle()
    {
        foreach (var job in _jobs) await calls.Patch(job, "{\"spec\":{\"suspend\":false}}");
    }

    public async Task Act()
    {
        var random = calls.World.Random;
        var job = _jobs[random.Next(_jobs.Length)];
        switch (random.Next(6))
        {
            case 0 or 1:
                await calls.Did(UserAction.ScaleJob, calls.Patch(job, $"{{\"spec\":{{\"parallelism\":{random.Next(1, 5)}}}}}"));
                break;
            case 2:
                await calls.Did(UserAction.SuspendJob, calls.Patch(job, "{\"spec\":{\"suspend\":true}}"));
                break;
            case 3:
                await calls.Did(UserAction.ResumeJob, calls.Patch(job, "{\"spec\":{\"suspend\":false}}"));
                break;
            default:
                // The same work once more, as soon as the last of the old is gone.
                await calls.Did(UserAction.DeleteJob, calls.Delete(job, null));
                await calls.Did(UserAction.CreateJob, Create(job));
                break;
        }
    }

    private Task<bool> Create(ResourceKey job)
    {
        var random = calls.World.Random;
        return calls.Create(job,
            """
            {"metadata":{"name":"NAME"},"spec":{"completions":COMPLETIONS,"parallelism":PARALLELISM,"completionMode":"MODE","backoffLimit":100000,"podReplacementPolicy":"REPLACEMENT","template":{
            "spec":{"restartPolicy":"RESTART","terminationGracePeriodSeconds":5,"containers":[{"name":"main","command":["work"],"resources":{"requests":{"cpu":"100m","memory":"64Mi"}}}]}}}}
            """.Replace("NAME", job.Name, StringComparison.Ordinal)
                .Replace("COMPLETIONS", random.Next(1, 6).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
                .Replace("PARALLELISM", random.Next(1, 4).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
                .Replace("MODE", job == _jobs[2] ? "Indexed" : "NonIndexed", StringComparison.Ordinal)
                .Replace("REPLACEMENT", random.Next(2) == 0 ? "Failed" : "TerminatingOrFailed", StringComparison.Ordinal)
                .Replace("RESTART", job == _jobs[1] ? "OnFailure" : "Never", StringComparison.Ordinal));
    }

    public static bool IsWork(Pod pod) => pod.Metadata.Controller is { Kind: "Job" };

    /// <summary>Jobs that are not over, or do not say what was asked of them.</summary>
    public static void Unsettled(IEnumerable<Job> jobs, StringBuilder text)
    {
        foreach (var job in jobs)
        {
            var (status, completions) = (job.Status, job.Spec.Completions ?? 1);
            var indexes = job.Spec.IsIndexed ? completions == 1 ? "0" : completions == 2 ? "0,1" : $"0-{completions - 1}" : "";
            if (!status.Conditions.Any(x => x is { Type: "Complete", IsTrue: true }) || status.Succeeded != completions || status.CompletedIndexes != indexes || status.Active != 0)
                text.Append(CultureInfo.InvariantCulture, $"job {job.Name}: {completions} completions wanted, status says {status.Succeeded} ({status.CompletedIndexes}), {status.Active} active, {string.Join(' ', status.Conditions.Where(x => x.IsTrue).Select(x => x.Type))}. ");
        }
    }
}
