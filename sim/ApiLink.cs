using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.Sim;

/// <summary>
/// The API as one instance of a part reaches it: over a connection that is slow, is cut, loses answers and forgets watches. After
/// <see cref="Cut"/> nothing comes through in either direction, as if the part's process were gone.
/// </summary>
internal sealed class ApiLink(World world, Chances chances, Func<IApi> server, Func<CancellationToken> serverEnds, Part part, Witness witness, Mutant mutant) : IApi
{
    private bool _cut;

    public void Cut() => _cut = true;

    public async Task<Stored> Get(ResourceKey key, string subresource, CancellationToken stop)
    {
        await Travel(stop);
        var result = await server().Get(key, subresource, stop);
        return await Answer(result);
    }

    public async Task<StoredList> List(ListRequest request, CancellationToken stop)
    {
        await Travel(stop);
        var result = await server().List(request, stop);
        if (mutant == Mutant.TermBeforeReports && request.Kind == Api.Kinds.Kind.TrafficReport && part.Name == "placement") result = result with { Items = [] };
        return await Answer(result);
    }

    public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop)
    {
        await Travel(stop);
        if (chances.Take(Fault.WatchExpired))
        {
            if (mutant != Mutant.NoRelistAfterExpiry) throw Status.Expired(request.From ?? 0, 0);
            var (revision, _) = (await server().List(new(request.Kind) { Limit = 1 }, stop), 0);
            request = request with { From = revision.Revision };
        }
        // A server that dies takes its connections along; the client finds out.
        using var connection = CancellationTokenSource.CreateLinkedTokenSource(stop, serverEnds());
        await foreach (var change in server().Watch(request, connection.Token))
        {
            await Answer(0);
            if (mutant == Mutant.TermBeforeReports && request.Kind == Api.Kinds.Kind.TrafficReport && part.Name == "placement" && change.Object is not null) continue;
            if (mutant == Mutant.ReadyEndpointOfUnreadyPod && part.Name == "endpoints" && Witness.IsUnreadyPod(change)) continue;
            yield return change;
            if (chances.Take(Fault.WatchDropped)) yield break;
        }
    }

    public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options, CancellationToken stop)
    {
        if (mutant == Mutant.AcceptBeforeIntent && options?.Subresource == "binding") return Pretend(key, json, options, stop);
        return Write("create", key, options?.Subresource ?? "", () => server().Create(key, json, options, stop), stop);
    }

    public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options, CancellationToken stop) =>
        Write("update", key, options?.Subresource ?? "", () => server().Update(key, json, options, stop), stop);

    public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options, CancellationToken stop) =>
        Write("patch", key, options?.Subresource ?? "", () => server().Patch(key, kind, patch, options, stop), stop);

    public Task<Stored> Delete(ResourceKey key, DeleteOptions? options, CancellationToken stop) =>
        Write("delete", key, "", () => server().Delete(key, options, stop), stop);

    private async Task<Stored> Write(string verb, ResourceKey key, string subresource, Func<Task<Stored>> write, CancellationToken stop)
    {
        await Travel(stop);
        if (chances.Take(Fault.Conflict)) throw Status.Modified(key.Kind, key.Name);
        var result = await write();
        witness.Wrote(part, verb, subresource, result);
        if (chances.Take(Fault.LostAnswer)) throw Status.Timeout("simulated: the answer was lost");
        result = await Answer(result);
        witness.Acknowledged(result);
        return result;
    }

    /// <summary>The seeded bug of a scheduler that goes on before its intent is stored: success is told at once, the write happens later.</summary>
    private async Task<Stored> Pretend(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions options, CancellationToken stop)
    {
        var before = await server().Get(key, "", stop);
        _ = Later();
        return before;

        async Task Later()
        {
            await Task.Delay(TimeSpan.FromSeconds(1), world.Time, CancellationToken.None);
            try
            {
                if (!_cut) await server().Create(key, json, options, CancellationToken.None);
            }
            catch (ApiException)
            {
                world.Note("the pretended binding failed");
            }
        }
    }

    private async Task Travel(CancellationToken stop)
    {
        await Gone();
        await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(5)), world.Time, stop);
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

/// <summary>Bugs seeded on purpose, each of which a checker must find.</summary>
public enum Mutant
{
    None,

    /// <summary>Tasks are launched before the pod says so.</summary>
    AcceptBeforeIntent,

    /// <summary>After 410 a watch goes on from now instead of listing again.</summary>
    NoRelistAfterExpiry,

    /// <summary>Placement does not see the traffic reports.</summary>
    TermBeforeReports,

    /// <summary>Every launch is done twice.</summary>
    TwoTasksForOnePod,

    /// <summary>The Endpoints controller does not see pods becoming unready.</summary>
    ReadyEndpointOfUnreadyPod,

    /// <summary>A second writer of Pod.status.</summary>
    SecondWriter,

    /// <summary>The store acknowledges what it does not keep.</summary>
    ForgottenWrite,
}
