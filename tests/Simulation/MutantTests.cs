using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.Simulation;

/// <summary>Each checker finds the bug that is seeded for it within a few seeds: a simulator that finds nothing proves nothing.</summary>
public sealed class MutantTests
{
    private const int SeedsMax = 30;

    [Theory]
    [InlineData(Mutant.AcceptBeforeIntent, "the intent is stored before the launch")]
    [InlineData(Mutant.AcceptTwice, "an attempt is launched at most once")]
    [InlineData(Mutant.NoRelistAfterExpiry, "everything converges")]
    [InlineData(Mutant.TermBeforeReports, "TERM waits for the reports")]
    [InlineData(Mutant.TwoTasksForOnePod, "never two live tasks for one pod")]
    [InlineData(Mutant.ReadyEndpointOfUnreadyPod, "no ready endpoint without a ready pod")]
    [InlineData(Mutant.SecondWriter, "one writer per field")]
    [InlineData(Mutant.ForgottenWrite, "nothing acknowledged is lost")]
    [InlineData(Mutant.StaleClient, "no request reaches a task that was told to stop")]
    [InlineData(Mutant.LaunchWithoutVolume, "a claim's pod has its volume")]
    [InlineData(Mutant.VolumeDestroyed, "a volume is destroyed only when nobody wants it")]
    [InlineData(Mutant.SetAllAtOnce, "an ordered set's pods come one after the other")]
    [InlineData(Mutant.SetForcesDeletion, "an ordinal has one pod")]
    [InlineData(Mutant.JobWantsMore, "no more pods of a job succeed than it asks for")]
    [InlineData(Mutant.PartEnds, "parts go on")]
    [InlineData(Mutant.OtherThread, "the world goes on")]
    public void A_seeded_bug_is_found_by_its_checker(Mutant mutant, string rule)
    {
        var seen = new List<string>();
        for (var seed = 1; seed <= SeedsMax; seed++)
        {
            var result = Seeds.Run(seed, new() { For = TimeSpan.FromMinutes(4), Mutant = mutant });
            if (result.Violations.Any(x => x.StartsWith(rule, StringComparison.Ordinal))) return;
            seen.AddRange(result.Violations);
        }
        Assert.Fail($"{SeedsMax} seeds do not show \"{rule}\", only:\n{string.Join('\n', seen)}");
    }
}
