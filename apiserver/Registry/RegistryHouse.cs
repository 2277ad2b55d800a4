using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>What goes by itself after a time.</summary>
internal sealed partial class Registry
{
    /// <summary>Removes what has outlived its time: events, and old states of objects. Ends when stopped.</summary>
    public async Task KeepHouse(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(1), time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                try
                {
                    await ExpireEvents(stop);
                }
                catch (ApiException e) when (e.IsRetryable)
                {
                    // A store that takes nothing now, as every write is told: what has expired goes at a later tick.
                }
                await ForgetHistory(stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
    }

    private async Task ForgetHistory(CancellationToken stop)
    {
        if (log.History is not { } history) return;
        try
        {
            await history.Trim(time.GetUtcNow() - options.HistoryKeptFor, options.HistoryBytesMax, stop);
        }
        catch (JournalException)
        {
            // A disk that is full or broken, as every write is told; what is too old goes at a later tick.
        }
    }

    private async Task ExpireEvents(CancellationToken stop)
    {
        var oldest = time.GetUtcNow() - options.EventsKeptFor;
        foreach (var (_, item) in log.Snapshot(Kind.Event).Objects)
        {
            var last = item.Field("lastTimestamp");
            if (last.Length == 0) last = item.Field("metadata.creationTimestamp");
            if (!DateTimeOffset.TryParse(last, System.Globalization.CultureInfo.InvariantCulture, out var seen) || seen > oldest) continue;
            await log.Commit(new(item.Stored.Key, item.Stored.Uid, item.Revision, null, Canonical.Bytes(Canonical.Parse(item.Stored.Json), Kind.Event)), stop);
        }
    }
}
