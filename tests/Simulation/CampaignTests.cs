using Xunit;

namespace Declarative.Tests.Simulation;

/// <summary>The whole platform under faults keeps what it promises, whatever the seed.</summary>
public sealed class CampaignTests
{
    [Fact]
    public async Task Every_seed_keeps_every_promise_and_everything_happens()
    {
        var (seeds, turmoil) = Seeds.All ? (1000, TimeSpan.FromMinutes(10)) : (200, TimeSpan.FromMinutes(3));
        var result = await Seeds.Campaign(1, seeds, new() { For = turmoil });
        Assert.True(result.Failures.Count == 0, string.Join("\n\n", result.Failures.Select(x =>
            $"replay: ./declarative simulate --seed {x.Seed} --seeds 1 --for {turmoil.TotalSeconds:0}s\n{string.Join('\n', x.Violations)}\n{string.Join('\n', x.Notes.TakeLast(40))}")));
        Assert.Empty(result.NeverOccurred);
        Assert.Equal(seeds, result.Ran);
    }

    [Fact]
    public void Without_faults_all_comes_to_what_was_asked_for()
    {
        var result = Seeds.Run(1, new() { For = TimeSpan.FromMinutes(3), Faults = false });
        Assert.True(result.Passed, string.Join('\n', result.Violations));
        Assert.DoesNotContain(result.Tally.Counts.Keys, x => x.StartsWith("fault", StringComparison.Ordinal));
    }
}
