using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.Client.Reconcile;

/// <summary>
/// The one place where a plan's changes become requests. Changes are made in order, and the first that fails ends the plan. A run of creations
/// (or of deletions) is independent work: it goes out in batches of 1, 2, 4, …, so that many are quick and a cause that refuses them all
/// (a quota, a namespace that ends) is asked only once.
/// </summary>
public sealed class Applier(IApi api, string fieldManager)
{
    public const int BatchMax = 64;

    /// <returns>The changes that were tried, in order; fewer than given where one was not achieved.</returns>
    public async Task<IReadOnlyList<Applied>> Apply(IReadOnlyList<Change> changes, CancellationToken stop)
    {
        var applied = new List<Applied>(changes.Count);
        var batch = 1;
        for (var i = 0; i < changes.Count;)
        {
            var same = 1;
            if (changes[i] is Create or Delete)
            {
                while (same < batch && i + same < changes.Count && changes[i + same].GetType() == changes[i].GetType()) same++;
            }
            if (i > 0 && changes[i].GetType() != changes[i - 1].GetType()) (batch, same) = (1, 1);
            var running = new List<Task<Applied>>(same);
            for (var j = i; j < i + same; j++) running.Add(Apply(changes[j], stop));
            var failed = false;
            foreach (var task in running)
            {
                var result = await task;
                applied.Add(result);
                failed |= !result.IsAchieved;
            }
            if (failed) break;
            i += same;
            batch = Math.Min(batch * 2, BatchMax);
        }
        return applied;
    }

    private async Task<Applied> Apply(Change change, CancellationToken stop)
    {
        try
        {
            var written = change switch
            {
                Create x => await api.Create(x.Key, x.Json, new() { FieldManager = fieldManager }, stop),
                Patch x => await api.Patch(x.Key, x.Kind, x.Json, new() { FieldManager = fieldManager, Subresource = x.Subresource }, stop),
                Update x => await api.Update(x.Key, x.Json, new() { FieldManager = fieldManager, Subresource = x.Subresource }, stop),
                Delete x => await api.Delete(x.Key, x.Options, stop),
                _ => throw new InvalidOperationException($"no way to apply {change.GetType().Name}"),
            };
            return new(change, Outcome.Done, written, null);
        }
        catch (ApiException e)
        {
            return new(change, OutcomeOf(e), null, e);
        }
    }

    private static Outcome OutcomeOf(ApiException e) => e switch
    {
        { IsNotFound: true } => Outcome.NotFound,
        { Status.Reason: StatusReason.AlreadyExists } => Outcome.AlreadyExists,
        { Code: 409 } => Outcome.Conflict,
        _ => Outcome.Refused,
    };
}
