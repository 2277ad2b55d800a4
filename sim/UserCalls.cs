using System.Text;
using Declarative.Api;

namespace Declarative.Sim;

/// <summary>The calls that people at kubectl make: tried again for a while where the server is away, and given up where it refuses.</summary>
internal sealed class UserCalls(World world, Tally tally, IApi api)
{
    public World World => world;

    public Task<bool> Create(ResourceKey key, string json) => Try(() => api.Create(key, Encoding.UTF8.GetBytes(json)));

    public Task<bool> Scale(ResourceKey key, int replicas) => Patch(key, $"{{\"spec\":{{\"replicas\":{replicas}}}}}");

    /// <summary>Another template, which does the same.</summary>
    public Task<bool> RollOut(ResourceKey key, int revision) => Patch(key, $"{{\"spec\":{{\"template\":{{\"metadata\":{{\"annotations\":{{\"rollout\":\"{revision}\"}}}}}}}}}}");

    public Task<bool> Patch(ResourceKey key, string json) => Try(() => api.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes(json)));

    /// <param name="grace">Seconds; null = the object's own, 0 = by force.</param>
    public Task<bool> Delete(ResourceKey key, long? grace) => Try(() => api.Delete(key, new() { GracePeriodSeconds = grace }));

    public async Task<IReadOnlyList<Stored>> List(ListRequest request)
    {
        try
        {
            return (await api.List(request)).Items;
        }
        catch (ApiException)
        {
            return [];
        }
    }

    public async Task<Stored?> Find(ResourceKey key)
    {
        try
        {
            return await api.Get(key);
        }
        catch (ApiException)
        {
            return null;
        }
    }

    /// <summary>Counts the action if it was done.</summary>
    public async Task Did(UserAction action, Task<bool> done)
    {
        if (await done) tally.Add("user " + action);
    }

    public async Task Did(UserAction action, Task done)
    {
        await done;
        tally.Add("user " + action);
    }

    private async Task<bool> Try(Func<Task<Stored>> write)
    {
        for (var attempt = 0; attempt < 5; attempt++)
        {
            try
            {
                await write();
                return true;
            }
            catch (ApiException e) when (e.IsRetryable)
            {
                await Task.Delay(TimeSpan.FromSeconds(1), world.Time);
            }
            catch (ApiException)
            {
                return false;
            }
        }
        return false;
    }
}
