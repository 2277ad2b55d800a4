using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.Simulation;

public sealed class WorldTests
{
    [Fact]
    public void Hours_pass_in_no_time_and_in_order()
    {
        var world = new World(1);
        var seen = new List<int>();
        world.Run(async () =>
        {
            async Task After(int hours)
            {
                await Task.Delay(TimeSpan.FromHours(hours), world.Time);
                seen.Add(hours);
            }
            await Task.WhenAll(After(3), After(1), After(2));
        });
        Assert.Equal([1, 2, 3], seen);
        Assert.Equal(TimeSpan.FromHours(3), world.Elapsed);
    }

    [Fact]
    public void A_wait_for_nothing_is_reported() =>
        Assert.Contains("never comes", Assert.Throws<InvalidOperationException>(() => new World(1).Run(() => new TaskCompletionSource().Task)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void An_API_server_with_its_watchers_gives_the_same_history_for_the_same_seed(int seed)
    {
        Assert.Equal(History(seed), History(seed));
        Assert.NotEqual(History(seed), History(seed + 100));

        static ulong History(int seed)
        {
            var world = new World(seed);
            world.Run(async () =>
            {
                using var stop = new CancellationTokenSource();
                var server = await Declarative.ApiServer.ApiServer.Open(new MemoryJournal(), new ApiServerOptions(), world.Time, world.Random, stop.Token);
                var running = server.Run(stop.Token);
                await server.Bootstrap(stop.Token);
                var api = server.As(User.Admin);
                async Task Watch(int id)
                {
                    await foreach (var change in api.Watch(new(Kind.ConfigMap, "default") { Bookmarks = true, Timeout = TimeSpan.FromMinutes(2) }, stop.Token))
                    {
                        world.Note($"{id} {change.Type} {change.Revision} {change.Object?.Uid}");
                    }
                }
                var watchers = Enumerable.Range(0, 5).Select(Watch).ToList();
                var writers = Enumerable.Range(0, 5).Select(async i =>
                {
                    for (var n = 0; n < 10; n++)
                    {
                        await Task.Delay(TimeSpan.FromSeconds(world.Random.Next(5)), world.Time);
                        await api.Create(new(Kind.ConfigMap, "default", $"m{i}-{n}"), "{}"u8.ToArray(), stop: stop.Token);
                    }
                }).ToList();
                await Task.WhenAll(writers);
                await Task.WhenAll(watchers);
                stop.Cancel();
                await running;
            });
            return world.Hash;
        }
    }
}
