using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Storage.Etcd;

/// <summary>
/// Lets etcd forget its own history by age and by count: nobody reads it here but a server that was cut off, which then reads everything anew.
/// Each API server does so; the second to ask is told that it is done.
/// </summary>
internal sealed class EtcdCompaction(EtcdClient client, EtcdOptions options, Func<long> newest, ILogger log)
{
    private readonly Queue<(DateTimeOffset At, long Etcd)> _marks = [];
    private long _compacted;

    public async Task Run(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(options.CompactEvery);
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                if (Through(DateTimeOffset.UtcNow, newest()) is { } through) await Compact(through, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
    }

    /// <summary>The revision through which nothing is needed any more; null = what is, is needed.</summary>
    internal long? Through(DateTimeOffset now, long newest)
    {
        _marks.Enqueue((now, newest));
        var through = newest - options.RevisionsKeptMax;
        while (_marks.TryPeek(out var mark) && now - mark.At >= options.KeptFor) through = Math.Max(through, _marks.Dequeue().Etcd);
        if (through <= _compacted) return null;
        _compacted = through;
        return through;
    }

    private async Task Compact(long through, CancellationToken stop)
    {
        try
        {
            await client.Compact(through, stop);
        }
        catch (EtcdException e) when (e.Code == EtcdException.OutOfRange)
        {
            // Another server was first.
            log.AlreadyCompacted(through);
        }
        catch (EtcdException e)
        {
            log.NotCompacted(through, e.Message);
        }
    }
}
