using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.Simulation;

/// <summary>Persistent volumes under faults: none is lost, none is destroyed that somebody wants, and in the end agents keep exactly those that the API names.</summary>
public sealed class VolumeWorldTests
{
    [Fact]
    public async Task Claims_keep_their_volumes_through_faults()
    {
        var result = await Seeds.Campaign(5001, 10, new() { For = TimeSpan.FromMinutes(4) });
        Assert.True(result.Failures.Count == 0, string.Join("\n\n", result.Failures.Select(x => $"seed {x.Seed}\n{string.Join('\n', x.Violations)}\n{string.Join('\n', x.Notes.TakeLast(60))}")));
    }

    [Fact]
    public void A_claim_is_made_grown_and_ended()
    {
        var tally = new Tally();
        for (var seed = 1; seed <= 4; seed++)
        {
            var result = Seeds.Run(seed, new() { For = TimeSpan.FromMinutes(6), Faults = false });
            Assert.True(result.Passed, $"seed {seed}\n{string.Join('\n', result.Violations)}\n{string.Join('\n', result.Notes.TakeLast(60))}");
            tally.Add(result.Tally);
        }
        Assert.All(["user GrowClaim", "user DeleteClaim", "action persistentvolume-controller create persistentvolumes", "action placement patch persistentvolumes"], x => Assert.True(tally.Of(x) > 0, x));
    }
}
