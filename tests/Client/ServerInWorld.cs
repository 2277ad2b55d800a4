using Declarative.Api;
using Declarative.Sim;

namespace Declarative.Tests.Client;

/// <summary>An API server and whatever else runs, in a world of one thread and one clock.</summary>
internal sealed class ServerInWorld(World world)
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];

    public World World => world;
    public TimeProvider Time => world.Time;
    public IApi Api { get; private set; } = null!;

    /// <summary>Runs a scenario on a fresh server; everything begun in it is stopped and awaited at its end.</summary>
    public static void Run(int seed, Func<ServerInWorld, Task> scenario)
    {
        var world = new World(seed);
        world.Run(async () =>
        {
            var server = new ServerInWorld(world);
            var api = await Declarative.ApiServer.ApiServer.Open(new MemoryJournal(), new(), world.Time, new Random(seed), CancellationToken.None);
            var running = api.Run(server._stop.Token);
            await api.Bootstrap(CancellationToken.None);
            server.Api = api.As(User.Admin);
            await scenario(server);
            server._stop.Cancel();
            foreach (var task in server._running) await task;
            await running;
        });
    }

    public void Begin(Func<CancellationToken, Task> run) => _running.Add(run(_stop.Token));

    public async Task Until(Func<bool> condition, string what, int minutes = 10)
    {
        var end = world.Elapsed + TimeSpan.FromMinutes(minutes);
        while (!condition())
        {
            Xunit.Assert.True(world.Elapsed < end, $"seed {world.Seed}: not within {minutes} simulated minutes: {what}");
            await Task.Delay(TimeSpan.FromMilliseconds(100), world.Time);
        }
    }
}
