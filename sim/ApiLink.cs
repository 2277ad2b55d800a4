using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Sim;

/// <summary>
/// The API as one instance of a part reaches it: over a connection that is slow, is cut, loses answers and forgets watches. After
/// <see cref="Cut"/> nothing comes through in either direction, as if the part's process were gone.
/// </summary>
internal sealed class ApiLink(World world, Chances chances, Func<Connection> connect, Part part, Witness witness, Mutant mutant) : IApi
{
    private bool _cut;

    public void Cut() => _cut = true;

    public async Task<Stored> Get(ResourceKey key, string subresource, CancellationToken stop)
    {
        await Travel(stop);
        return await Answer(Seen(await Ask(api => api.Get(key, subresource, stop))));
    }

    public async Task<StoredList> List(ListRequest request, CancellationToken stop)
    {
        await Travel(stop);
        var result = await Ask(api => api.List(request, stop));
        return await Answer(HidesReports(request.Kind) ? result with { Items = [] } : mutant == Mutant.None ? result : result with { Items = [.. result.Items.Select(Seen)] });
    }

    public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop)
    {
        await Travel(stop);
        if (request.From > 0 && chances.Take(Fault.WatchExpired))
        {
            if (mutant != Mutant.NoRelistAfterExpiry) throw Status.Expired(request.From ?? 0, 0);
            // The seeded bug: what happens until the connection stands again is never asked for.
            await Task.Delay(TimeSpan.FromSeconds(2), world.Time, stop);
            request = request with { From = (await Ask(api => api.List(new(request.Kind) { Limit = 1 }, stop))).Revision };
        }
        var connection = connect();
        using var both = CancellationTokenSource.CreateLinkedTokenSource(stop, connection.Stop);
        await foreach (var change in connection.Api.Watch(request, both.Token))
        {
            await Answer(0);
            if (HidesReports(request.Kind) && change.Object is not null) continue;
            if (mutant == Mutant.ReadyEndpointOfUnreadyPod && part.Name == "endpoints-controller" && Witness.IsUnreadyPod(change)) continue;
            yield return mutant != Mutant.None && change.Object is { } stored ? change with { Object = Seen(stored) } : change;
            if (chances.Take(Fault.WatchDropped)) yield break;
        }
        // The server ends a watch in order when it is stopped; a dead one does not.
        if (connection.Died.IsCompleted && !stop.IsCancellationRequested) throw Status.Unavailable("simulated: the connection broke");
    }

    public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options, CancellationToken stop)
    {
        if (mutant == Mutant.AcceptBeforeIntent && options?.Subresource == "binding") return Pretend(key, json, options, stop);
        return Write("create", key, options?.Subresource ?? "", api => api.Create(key, json, options, stop), stop);
    }

    public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options, CancellationToken stop) =>
        Write("update", key, options?.Subresource ?? "", api => api.Update(key, json, options, stop), stop);

    public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options, CancellationToken stop) =>
        Write("patch", key, options?.Subresource ?? "", api => api.Patch(key, kind, patch, options, stop), stop);

    public Task<Stored> Delete(ResourceKey key, DeleteOptions? options, CancellationToken stop) =>
        Write("delete", key, "", api =>
        {
            if (options?.GracePeriodSeconds == 0 && part.Name == "user") witness.Forcing(key);
            return api.Delete(key, SeededBugs.Asked(mutant, part, options), stop);
        }, stop);

    private async Task<Stored> Write(string verb, ResourceKey key, string subresource, Func<IApi, Task<Stored>> write, CancellationToken stop)
    {
        await Travel(stop);
        if (verb != "create" && chances.Take(Fault.Conflict)) throw Status.Modified(key.Kind, key.Name);
        var result = await Ask(write);
        witness.Wrote(part, verb, subresource, result);
        if (mutant == Mutant.SecondWriter && verb == "create" && key.Kind == Kind.Pod && subresource.Length == 0) await WriteStatusToo(result);
        if (chances.Take(Fault.LostAnswer)) throw Status.Timeout("simulated: the answer was lost");
        result = await Answer(result);
        witness.Acknowledged(result);
        return result;
    }

    /// <summary>A dead server's clients learn of it by their connection, whatever they have asked.</summary>
    private async Task<T> Ask<T>(Func<IApi, Task<T>> call)
    {
        var connection = connect();
        var answer = call(connection.Api);
        if (!answer.IsCompleted) await Task.WhenAny(answer, connection.Died);
        if (!answer.IsCompleted) throw Status.Unavailable("simulated: the connection broke");
        return await answer;
    }

    private Stored Seen(Stored stored) => SeededBugs.Seen(mutant, part, stored);

    private bool HidesReports(Kind kind) => mutant == Mutant.TermBeforeReports && part.Name == "placement" && kind == Kind.TrafficReport;

    /// <summary>The seeded bug of a scheduler that goes on before its intent is stored: success is told at once, the write happens later.</summary>
    private async Task<Stored> Pretend(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions options, CancellationToken stop)
    {
        var before = await Ask(api => api.Get(key, "", stop));
        _ = Later();
        return before;

        async Task Later()
        {
            await Task.Delay(TimeSpan.FromSeconds(1), world.Time, CancellationToken.None);
            try
            {
                if (!_cut) await Ask(api => api.Create(key, json, options, CancellationToken.None));
            }
            catch (ApiException)
            {
                world.Note("the pretended binding failed");
            }
        }
    }

    /// <summary>The seeded bug of a part that writes what belongs to another.</summary>
    private async Task WriteStatusToo(Stored pod)
    {
        var written = await Ask(api => api.Patch(pod.Key, PatchKind.Merge, "{\"status\":{\"message\":\"made\"}}"u8.ToArray(), new() { Subresource = "status" }));
        witness.Wrote(part, "patch", "status", written);
    }

    /// <summary>The seeded bug of a wait that comes back from another thread.</summary>
    private async Task Hop()
    {
        using var cancelled = new CancellationTokenSource();
        // A delay that is cancelled completes its waiters on the thread pool.
        var first = Task.WhenAny(Task.Delay(TimeSpan.FromHours(1), world.Time, cancelled.Token), Completion.New().Task);
        cancelled.Cancel();
        await first;
    }

    private async Task Travel(CancellationToken stop)
    {
        await Gone();
        await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(5)), world.Time, stop);
        if (mutant == Mutant.OtherThread) await Hop();
        await Gone();
        if (chances.Take(Fault.Unavailable)) throw Status.Unavailable("simulated: no connection");
    }

    private async Task<T> Answer<T>(T result)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(5)), world.Time, CancellationToken.None);
        await Gone();
        return result;
    }

    private Task Gone() => _cut ? Completion.New().Task : Task.CompletedTask;
}
