using Declarative.Cli;
using Declarative.Sim;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Simulation;

/// <summary>Runs worlds of the whole platform.</summary>
internal static class Seeds
{
    /// <summary>DECLARATIVE_TEST_ALL=1: everything that is promised, not the share of it that fits into minutes.</summary>
    public static bool All => Environment.GetEnvironmentVariable("DECLARATIVE_TEST_ALL") == "1";

    public static SimulationResult Run(int seed, SimulationOptions options) => Declarative.Sim.Simulation.Run(seed, Parts, options);

    public static Task<CampaignResult> Campaign(int first, int seeds, SimulationOptions options) =>
        Declarative.Sim.Campaign.Run(new(first, seeds, Environment.ProcessorCount) { Simulation = options }, Parts, OnThread, null, TestContext.Current.CancellationToken);

    private static Task OnThread(Action work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static IReadOnlyList<Part> Parts(SimulatedTraffic traffic) => Platform.Simulated(NullLoggerFactory.Instance, traffic);
}
