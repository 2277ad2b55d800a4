using Declarative.Cli;
using Declarative.Sim;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>The whole platform in the simulated world, with Placement in it.</summary>
public class SimulationTests
{
    [Fact]
    public void Some_seeds_keep_every_promise()
    {
        for (var seed = First; seed < First + Seeds; seed++)
        {
            var result = Declarative.Sim.Simulation.Run(seed, Platform.Simulated(NullLoggerFactory.Instance), new() { For = TimeSpan.FromMinutes(5) });
            Assert.True(result.Passed, $"seed {seed} after {result.Elapsed}: {string.Join("\n", result.Violations)}\n{string.Join('\n', result.Notes.TakeLast(150))}");
        }
    }

    private static int First => int.TryParse(Environment.GetEnvironmentVariable("PLACEMENT_FIRST"), out var n) ? n : 1;

    private static int Seeds => int.TryParse(Environment.GetEnvironmentVariable("PLACEMENT_SEEDS"), out var n) ? n : 3;
}
